#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(name = "")]
fn empty() {}

#[profile_job(name = "two\nlines")]
fn control() {}

#[profile_job(name = square)]
fn bare() {}

#[profile_job(name = b"square")]
fn bytes() {}

fn main() {}
