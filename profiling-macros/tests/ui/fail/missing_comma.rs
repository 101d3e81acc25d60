#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(id = 0 samples = 10, warmup = 2 + 2)]
fn run_together() {}

fn main() {}
