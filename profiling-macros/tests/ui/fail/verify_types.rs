#![allow(unused)]

use profiling_core::profile_job;

fn is_short(text: &str) -> bool {
    text.len() < 3
}

#[profile_job(verify(is_short))]
fn other_type() -> u64 {
    1
}

#[profile_job(verify(|output| output.is_empty()))]
fn no_such_method() -> u64 {
    1
}

fn main() {}
