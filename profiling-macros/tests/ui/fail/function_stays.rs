#![allow(unused)]

use profiling_core::profile_job;

// The mistake is reported once: the function is there for those that use it.
#[profile_job(samples = none)]
pub fn square(x: u64) -> u64 {
    x * x
}

fn main() {
    square(2);
}
