//! `cargo profiling`: what the stored profiles of a package say, without running anything.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    profiling_test_harness::cargo_profiling(std::env::args_os())
}
