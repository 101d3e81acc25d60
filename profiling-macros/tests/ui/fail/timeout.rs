#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(timeout = 30)]
fn number() {}

#[profile_job(timeout = "30")]
fn no_unit() {}

#[profile_job(timeout = "30 parsecs")]
fn other_unit() {}

#[profile_job(timeout = "0s")]
fn zero() {}

#[profile_job(timeout = "-1s")]
fn negative() {}

#[profile_job(timeout = "")]
fn empty() {}

#[profile_job(timeout = "1.5ns")]
fn too_fine() {}

#[profile_job(timeout = "99999999999999999999s")]
fn too_long() {}

fn main() {}
