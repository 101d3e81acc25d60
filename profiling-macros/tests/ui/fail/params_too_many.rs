#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(params(a = 0..100, b = 0..100))]
fn cases() {}

#[profile_job(params(a = 0..1_000, b = 0..1_000, c = 0..1_000, a == b, b == c))]
fn combinations() {}

fn main() {}
