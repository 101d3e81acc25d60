#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(params(n = [1, 300], k = 250..=260), args(n, k))]
fn small(_: u8, _: u8) {}

fn main() {}
