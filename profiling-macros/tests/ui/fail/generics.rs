#![allow(unused)]

use profiling_core::profile_job;

#[profile_job(args(1))]
fn of_type<T: Into<Vec<T>>, U>(x: T) {}

#[profile_job(args([1]))]
fn of_constant<'a, const N: usize>(x: [u8; N]) {}

#[profile_job(args(1, &2))]
fn of_impl(x: impl Copy, y: &(impl Copy + Send)) {}

fn main() {}
