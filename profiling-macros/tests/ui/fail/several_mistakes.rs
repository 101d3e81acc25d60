#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(id = -1, samples = 0, nmae = "x", params(n = []), runtime = "fibers", args(1))]
fn many<T>(self_: T, x: impl Copy) -> ! {
    loop {}
}

fn main() {}
