#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(id = 0, samples = 10, id = 1, stateful, samples = 20, stateful = false)]
fn twice() {}

fn main() {}
