#![allow(unused)]

use profiling_core::profile_job;

#[profile_job]
fn forever() -> ! {
    loop {}
}

fn main() {}
