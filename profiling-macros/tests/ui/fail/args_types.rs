#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(args("text", 2, missing))]
fn types(number: u64, text: &str, other: u8) {}

#[profile_job(setup(text = String::new()), args(text, text))]
fn moved(left: String, right: String) {}

fn main() {}
