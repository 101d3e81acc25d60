#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(id = 0)]
#[inline]
#[profiling_core::profile_job(id = 1)]
fn twice() {}

fn main() {}
