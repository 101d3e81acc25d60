#![deny(warnings)]

use profiling_core::profile_job;

#[profile_job(params(n = [1, 2], k = 1..=3), setup(a = k, mut b = 1), args(b))]
fn ordinary_warnings(_: u64) {}

fn main() {}
