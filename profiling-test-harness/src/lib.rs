//! Runs every `#[profile_job]` of a package under `cargo test`, each in a process of its own.
//!
//! ```toml
//! [[test]]
//! name = "profiling"
//! harness = false
//! required-features = ["profiling"]
//! ```
//!
//! ```ignore
//! // tests/profiling.rs
//! use my_blueprint as _;              // links the jobs in
//! profiling_test_harness::main!();    // installs the counting allocator and main()
//! ```
//!
//! The process that cargo starts is the *supervisor*. For every case of every job it starts the same
//! binary again as a *worker*, which executes the case and reports each execution over a pipe. The
//! supervisor ends a worker at the job's deadline, reads from its exit what it could no longer say,
//! and stores the profiles.
//!
//! # What each dependency is for
//!
//! | crate | for |
//! |---|---|
//! | clap | the command line, compatible with libtest's |
//! | comfy-table | the table at the end of a run |
//! | console, indicatif | colours, the live progress line |
//! | fastrand | the random order of turns in a comparison |
//! | humantime | durations and dates as people write them |
//! | ruzstd, tar, twox-hash | a baseline in one file, and whether it is whole |
//! | rustix | pipes, signals, child processes and mounts without `unsafe` (Unix) |
//! | serde, serde_json | messages between the two processes |
//! | signal-hook | hearing of signals without `unsafe` (Linux) |
//! | strsim | which key of `Cargo.toml` was meant |
//! | tempfile | a temporary directory for each worker, and where callgrind writes |
//! | thiserror | error types |
//! | toml | defaults in `Cargo.toml` |

#![forbid(unsafe_code)]

#[macro_use]
mod print;

mod advisor;
mod attribution;
mod auto;
mod baseline;
mod binary;
mod budgets;
mod capture;
mod cgroup;
mod channel;
mod cli;
mod comparison;
mod config;
mod descendants;
mod environment;
mod events;
mod excerpt;
mod files;
mod in_process;
mod instructions;
mod interruption;
mod keep;
mod machine;
mod mountinfo;
mod origin;
mod outcome;
mod plan;
mod platforms;
mod rehearsal;
mod report;
mod roster;
mod sampler;
mod selection;
mod session;
mod shelf;
mod signals;
mod subcommand;
mod supervisor;
mod sweeping;
mod targets;
mod temporary;
mod watch;
mod wire;
mod worker;

use std::ffi::OsString;
use std::process::ExitCode;

#[doc(hidden)]
pub use profiling_core::CountingAllocator;

/// libtest's exit code for failed tests and for unusable arguments.
const FAILED: u8 = 101;

/// Writes `main` for a test or bench target with `harness = false`, and installs the counting
/// allocator.
///
/// | form | allocations |
/// |---|---|
/// | `main!()` | counted in front of the operating system's allocator |
/// | `main!(allocator = MiMalloc)` | counted in front of another one; its path is both type and value |
/// | `main!(allocator = none)` | not counted, and so not measured |
#[macro_export]
macro_rules! main {
    () => {
        #[global_allocator]
        static __PROFILING_ALLOCATOR: $crate::CountingAllocator = $crate::CountingAllocator::system();
        $crate::main!(allocator = none);
    };
    (allocator = none) => {
        fn main() -> ::std::process::ExitCode {
            $crate::run(&$crate::Host {
                package: ::core::env!("CARGO_PKG_NAME"),
                manifest_dir: ::core::env!("CARGO_MANIFEST_DIR"),
                module: ::core::module_path!(),
                file: ::core::file!(),
                debug_assertions: ::core::cfg!(debug_assertions),
                opt_level: ::core::option_env!("PROFILING_OPT_LEVEL"),
                fingerprint: ::core::option_env!("PROFILING_FINGERPRINT"),
            })
        }
    };
    (allocator = $allocator:path) => {
        #[global_allocator]
        static __PROFILING_ALLOCATOR: $crate::CountingAllocator<$allocator> =
            $crate::CountingAllocator::new($allocator);
        $crate::main!(allocator = none);
    };
}

/// What [`main!`] knows of the package that it is written in.
#[doc(hidden)]
#[derive(Debug)]
pub struct Host {
    pub package: &'static str,
    pub manifest_dir: &'static str,
    /// The module with `main!`, the target's crate first.
    pub module: &'static str,
    /// The file with `main!`, as the compiler names it.
    pub file: &'static str,
    pub debug_assertions: bool,
    /// What `Embed` in the package's build script was told of it.
    pub opt_level: Option<&'static str>,
    /// What `Embed` found it to be made of, as JSON.
    pub fingerprint: Option<&'static str>,
}

/// The `main` of [`main!`]: a worker where the supervisor started this process, else the supervisor.
#[doc(hidden)]
#[must_use]
pub fn run(host: &Host) -> ExitCode {
    match worker::assignment() {
        Some(Ok(assignment)) => worker::run(&assignment),
        Some(Err(unusable)) => worker::refuse(&unusable),
        None => session::run(host),
    }
}

/// The `main` of `cargo-profiling`; `arguments` has the program's name first.
#[doc(hidden)]
#[must_use]
pub fn cargo_profiling(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    subcommand::run(arguments)
}
