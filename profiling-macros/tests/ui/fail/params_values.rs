#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(params(n = []))]
fn empty() {}

#[profile_job(params(n = [1, "two", 3]))]
fn mixed_integers() {}

#[profile_job(params(n = ["one", 2]))]
fn mixed_strings() {}

#[profile_job(params(n = [1.5], b = [true], c = ['c']))]
fn other_types() {}

#[profile_job(params(n = [1, 10, 1], name = ["a", "a"]))]
fn duplicates() {}

#[profile_job(params(n = 5))]
fn single() {}

#[profile_job(params(name = "five"))]
fn single_text() {}

#[profile_job(params(n = [1], n = [2]))]
fn twice() {}

const TEN: u64 = 10;

#[profile_job(params(n = [TEN], m = TEN))]
fn constants() {}

#[profile_job(params(n = [18_446_744_073_709_551_616]))]
fn too_large() {}

#[profile_job(params)]
fn nothing() {}

#[profile_job(params = [1, 2])]
fn no_parentheses() {}

fn main() {}
