#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(sample = 10)]
fn misspelt() {}

#[profile_job(id = 0, quota(p95 = "50ms"), platforms("aws-lambda"))]
fn unheard_of() {}

#[profile_job("name")]
fn no_name() {}

fn main() {}
