#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(crate = "profiling_core")]
fn quoted() {}

#[profile_job(crate)]
fn alone() {}

#[profile_job(crate = profiling_core::missing)]
fn missing() {}

fn main() {}
