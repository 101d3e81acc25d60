#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(params(n = [1, 2], n + 1))]
fn no_comparison() {}

#[profile_job(params(n = [1, 2], name = ["a"], n == name, name + 1 == 2))]
fn mixed() {}

#[profile_job(params(n = [1, 2], n.pow(2) < 3, (n as u8) < 3, n & 1 == 0, (n & 1) == 0, is_even(n)))]
fn more_than_arithmetic() {}

#[profile_job(params(n = [1, 2], 0 < n < 2))]
fn chained() {}

#[profile_job(params(n = [1, 2], true, n == 1.0))]
fn literals() {}

#[profile_job(params(n = [1, 2], crate::N < n))]
fn path() {}

fn main() {}
