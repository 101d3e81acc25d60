#![allow(unused)]

use profiling_core::profile_job;

#[profile_job]
fn no_args(x: u64, (y, z): (u64, u64)) {}

#[profile_job(args(1))]
fn too_few(first: u64, mut second: u64, &third: &u64) {}

#[profile_job(args(1, 2 + 2, 3))]
async fn too_many(x: u64) {}

#[profile_job(args(1))]
fn none_needed() {}

#[profile_job(args(1,, 2))]
fn double_comma(x: u64, y: u64) {}

#[profile_job(args = [1])]
fn no_parentheses(x: u64) {}

fn main() {}
