#![allow(unused)]

use std::future::Future;
use std::pin::Pin;

use profiling_core::{profile_stage, stage};

#[profile_stage("")]
fn unnamed() {}

#[profile_stage("one", "two")]
fn named_twice() {}

#[profile_stage(name = "merge")]
fn keyword() {}

#[profile_stage("merge" crate = profiling_core)]
fn no_comma() {}

#[profile_stage(crate = "profiling_core")]
fn quoted() {}

#[profile_stage("constant")]
const fn constant() {}

#[profile_stage]
struct NoFunction;

#[profile_stage]
fn future() -> impl Future<Output = u8> {
    async { 1 }
}

#[profile_stage]
fn boxed() -> Pin<Box<dyn Future<Output = u8> + Send>> {
    Box::pin(async { 1 })
}

trait Bodiless {
    #[profile_stage]
    fn bodiless(&self);
}

fn main() {}
