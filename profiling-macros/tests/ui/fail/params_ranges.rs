#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(params(n = 3..3))]
fn empty() {}

#[profile_job(params(n = 3..=1))]
fn backwards() {}

#[profile_job(params(n = log(0..=1_000)))]
fn logarithm_of_zero() {}

#[profile_job(params(n = log(1, 1_000)))]
fn no_range() {}

#[profile_job(params(n = log[1, 10]))]
fn brackets() {}

#[profile_job(params(n = log(1..=10, 2)))]
fn base() {}

#[profile_job(params(n = 1..))]
fn open() {}

const TEN: u64 = 10;

#[profile_job(params(n = 1..TEN))]
fn constant() {}

#[profile_job(params(n = "a".."z"))]
fn texts() {}

fn main() {}
