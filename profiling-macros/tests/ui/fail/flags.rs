#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(stateful = "yes", persistent_connections(true), ignore = 1)]
fn not_true() {}

#[profile_job(ignore: true)]
fn colon() {}

fn main() {}
