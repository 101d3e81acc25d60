#![allow(unused)]

use profiling_core::profile_job;

#[profile_job]
const fn constant() {}

#[profile_job]
unsafe fn not_safe() {}

#[profile_job]
pub extern "C" fn foreign() {}

#[profile_job]
pub(crate) const unsafe extern "C" fn everything() {}

fn main() {}
