#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(id = "0")]
fn text() {}

#[profile_job(id = -1)]
fn negative() {}

#[profile_job(id = 4_294_967_296)]
fn too_large() {}

#[profile_job(id = 1u64)]
fn suffix() {}

#[profile_job(id)]
fn alone() {}

#[profile_job(id =)]
fn cut_off() {}

#[profile_job(id(0))]
fn parentheses() {}

fn main() {}
