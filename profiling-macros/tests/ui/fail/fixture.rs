#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(fixture())]
fn empty() {}

#[profile_job(fixture)]
fn no_parentheses() {}

#[profile_job(fixture = 1)]
fn equals() {}

#[profile_job(fixture(a))]
fn no_value() {}

#[profile_job(fixture((a, b) = (1, 2)))]
fn pattern() {}

#[profile_job(fixture(a == 1))]
fn comparison() {}

#[profile_job(fixture(a = ))]
fn cut_off() {}

#[profile_job(fixture(a = 1; b = 2))]
fn semicolon() {}

#[profile_job(fixture(mut a = 1))]
fn mutable() {}

#[profile_job(fixture(run = 1))]
fn run_fixture() {}

#[profile_job(params(n = [1]), fixture(n = 2))]
fn param_and_fixture() {}

#[profile_job(fixture(a = 1, a = 2))]
fn fixture_twice() {}

#[profile_job(setup(a = 1), fixture(a = 2))]
fn fixture_and_setup() {}

#[profile_job(fixture(a = 1), fixture(b = 1))]
fn given_twice() {}

#[profile_job(fixtures(a = 1))]
fn misspelt() {}

fn main() {}
