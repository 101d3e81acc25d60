#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(teardown())]
fn nothing() {}

#[profile_job(teardown(drop(1), drop(2)))]
fn two() {}

#[profile_job(teardown(let a = 1))]
fn statement() {}

#[profile_job(teardown = drop(1))]
fn no_parentheses() {}

fn main() {}
