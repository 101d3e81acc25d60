#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(params(a = 0..16, b = 0..16, c = 0..16, d = 0..2))]
fn cases() {}

#[profile_job(params(a = 0..16, b = 0..16, c = 0..16, d = 0..16, e = 0..16, f = 0..2, a == b))]
fn combinations() {}

fn main() {}
