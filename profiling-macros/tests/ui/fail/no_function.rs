#![allow(unused)]

use profiling_core::profile_job;

#[profile_job]
pub struct Unit;

#[profile_job(id = 0)]
struct Braces {
    _field: fn(),
}

#[profile_job]
mod module {
    pub fn inner() {}
}

#[profile_job]
const CONSTANT: fn() = main;

#[profile_job]
/// Documented.
trait Work {
    fn work();
}

#[profile_job]
impl Braces {}

fn main() {}
