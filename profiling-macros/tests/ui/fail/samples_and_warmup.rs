#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(samples = 0, warmup = -2)]
fn none() {}

#[profile_job(samples = 1.5, warmup = "two")]
fn not_whole() {}

const SAMPLES: u32 = 10;

#[profile_job(samples = SAMPLES, warmup = 0)]
fn constant() {}

fn main() {}
