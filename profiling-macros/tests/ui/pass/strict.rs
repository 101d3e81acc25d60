//! A crate that allows nothing.

#![deny(missing_docs, unsafe_code, warnings)]
#![forbid(unsafe_code)]
#![deny(clippy::all, clippy::pedantic)]
#![deny(
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    let_underscore_drop,
    missing_debug_implementations,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unit_bindings,
    unnameable_types,
    unreachable_pub,
    unused,
    unused_import_braces,
    unused_lifetimes,
    unused_qualifications,
    unused_results,
    variant_size_differences
)]

use profiling_core::profile_job;

/// Helps the tests.
#[path = "../support.rs"]
mod support;

/// Squares.
#[profile_job(
    id = 0,
    params(n = [1, 2], k = ["a", "b"]),
    setup(text = k.to_owned(), mut buffer = vec![n; 3]),
    args(n, &text, &mut buffer),
    verify(|output| output.is_ok()),
    teardown(buffer.clear())
)]
async fn square(n: u64, text: &str, buffer: &mut Vec<u64>) -> Result<u64, String> {
    buffer.push(n);
    if text.is_empty() { Err(text.to_owned()) } else { Ok(n * n) }
}

/// Cubes.
#[profile_job(id = 1, args(run))]
#[must_use]
fn cube(n: u64) -> u64 {
    n * n * n
}

/// Does nothing.
#[profile_job]
fn nothing() {}

/// Was good once.
#[profile_job(args(1))]
#[deprecated(note = "for the test")]
fn old(n: u64) -> u64 {
    n
}

fn main() {
    for name in ["square", "cube", "nothing", "old"] {
        assert!(support::execute(name).is_ok(), "{name}");
    }
}
