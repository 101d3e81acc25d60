#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(params(n = [1]), setup(n = 2))]
fn param_and_setup() {}

#[profile_job(setup(a = 1, a = 2))]
fn setup_twice() {}

#[profile_job(params(run = [1, 2]))]
fn run_param() {}

#[profile_job(setup(mut run = 1))]
fn run_setup() {}

fn main() {}
