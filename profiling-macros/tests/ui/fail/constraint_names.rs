#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(params(size = [1, 2], count = [1, 2], siez <= count))]
fn misspelt() {}

#[profile_job(params(n = [1, 2], x <= y, n < z))]
fn unknown() {}

#[profile_job(params(n == 5))]
fn no_values() {}

#[profile_job(params(n = [1, 2], a <= n), setup(a = 1))]
fn from_setup() {}

fn main() {}
