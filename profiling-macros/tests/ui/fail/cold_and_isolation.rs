#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(cold_samples = 0, isolation = "execution")]
fn not_values() {}

#[profile_job(cold_samples, isolation = sample)]
fn not_written_so() {}

fn main() {}
