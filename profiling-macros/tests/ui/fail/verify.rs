#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(verify(|| true))]
fn no_parameter() {}

#[profile_job(verify(|a, b| a == b))]
fn two_parameters() {}

#[profile_job(verify(async |output| true))]
fn not_awaited() {}

#[profile_job(verify(true))]
fn no_closure() {}

#[profile_job(verify())]
fn nothing() {}

#[profile_job(verify(|_| true, |_| false))]
fn two() {}

#[profile_job(verify)]
fn alone() {}

fn main() {}
