#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(budget(p59 = "50ms", peak_mem = "64MiB", latency = "1s"))]
fn unknown() {}

#[profile_job(budget(p95 = 50, peak_memory = 64, allocations = "1000", instructions = 1.5))]
fn wrong_types() {}

#[profile_job(budget(p95 = "50", cpu = "50MiB", peak_heap = "50ms", allocated = "64"))]
fn wrong_units() {}

#[profile_job(budget(p95 = "50ms", p95 = "60ms"))]
fn twice() {}

#[profile_job(budget(max = "0s", "50ms", p50, p90 =))]
fn no_values() {}

#[profile_job(budget())]
fn nothing() {}

#[profile_job(budget = "50ms")]
fn no_parentheses() {}

fn main() {}
