#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(runtime = "fibers")]
async fn unknown() {}

#[profile_job(runtime = current_thread)]
async fn bare() {}

#[profile_job(runtime = "multi_thread", worker_threads = 2)]
fn on_a_sync_job() {}

#[profile_job(worker_threads = 0)]
async fn none() {}

#[profile_job(runtime = "current_thread", worker_threads = 2)]
async fn contradiction() {}

fn main() {}
