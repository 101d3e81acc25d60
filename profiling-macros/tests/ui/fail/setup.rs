#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(setup((a, b) = (1, 2)))]
fn pattern() {}

#[profile_job(setup(a))]
fn no_value() {}

#[profile_job(setup(1 + 1))]
fn no_name() {}

#[profile_job(setup(a = ))]
fn cut_off() {}

#[profile_job(setup(a = 1 b = 2))]
fn no_comma() {}

#[profile_job(setup(a = 1; b = 2))]
fn semicolon() {}

#[profile_job(setup = 1)]
fn no_parentheses() {}

#[profile_job(setup(let a = 1))]
fn let_() {}

fn main() {}
