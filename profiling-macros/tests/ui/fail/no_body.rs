#![allow(unused)]

use profiling_core::profile_job;

trait Work {
    #[profile_job]
    fn work();
}

fn main() {}
