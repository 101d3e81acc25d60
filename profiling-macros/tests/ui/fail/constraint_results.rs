#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(params(n = [1, 2], m = [3, 4], n > m))]
fn none_left() {}

#[profile_job(params(n = [0, 1], 10 / n > 1))]
fn by_zero() {}

#[profile_job(params(n = [9_223_372_036_854_775_807], n * n * n > 0))]
fn overflow() {}

fn main() {}
