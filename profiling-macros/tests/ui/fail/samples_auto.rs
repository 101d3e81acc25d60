#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(samples = automatic)]
fn other_word() {}

#[profile_job(samples = auto(maximum = 10, "10s", min))]
fn unknown() {}

#[profile_job(samples = auto(min = 0, precision = 0.02, percentile = p96, time = 10))]
fn wrong_values() {}

#[profile_job(samples = auto(precision = 0%, time = "10", max = "many"))]
fn more_wrong_values() {}

#[profile_job(samples = auto(min = 20, max = 10))]
fn min_above_max() {}

#[profile_job(samples = auto(percentile = p99, max = 200))]
fn too_few_for_the_percentile() {}

#[profile_job(samples = auto(min = 1, min = 2))]
fn twice() {}

fn main() {}
