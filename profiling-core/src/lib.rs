//! Annotate a job function, run `cargo test`, and know what one execution of it costs.
//!
//! ```ignore
//! use profiling_core::profile_job;
//!
//! #[profile_job(id = 0, samples = 10, warmup = 2, args(12_345))]
//! pub async fn square(x: u64) -> u64 {
//!     x * x
//! }
//! ```
//!
//! `profiling-test-harness` finds every annotated job in a test binary, runs each one in a process
//! of its own and writes one profile per job. In `build.rs`, [`embed`] puts the profiles into
//! `blueprint.json`.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | none | [`profile_job`], [`profile_stage`], [`stage!`] and [`record_payload`], of which nothing is left in the machine code |
//! | `profiling` | the registry, the measuring code, [`ProfileRunner`] |
//! | `linkme` | `profiling`, with jobs found through `linkme` where constructors don't run before `main` |
//! | `tracing` | `profiling`, with spans of `tracing` as stages |
//! | `build` | [`embed`], for `build.rs` |

#[cfg(feature = "formats")]
pub mod advise;
#[cfg(feature = "profiling")]
mod around;
#[cfg(feature = "formats")]
pub mod breakdown;
#[cfg(feature = "formats")]
pub mod budget;
#[cfg(feature = "build")]
pub mod embed;
#[cfg(feature = "formats")]
pub mod environment;
#[cfg(feature = "formats")]
pub mod evidence;
#[cfg(feature = "formats")]
pub mod fingerprint;
#[cfg(feature = "profiling")]
mod fixture;
#[cfg(feature = "formats")]
pub mod history;
#[cfg(feature = "profiling")]
pub mod job;
#[cfg(feature = "profiling")]
pub mod measure;
#[cfg(feature = "formats")]
pub mod mixture;
#[cfg(feature = "formats")]
pub mod origin;
mod payload;
#[cfg(feature = "formats")]
pub mod profile;
#[cfg(feature = "profiling")]
pub mod registry;
#[cfg(feature = "profiling")]
pub mod runner;
#[cfg(feature = "profiling")]
mod runtime_metrics;
#[cfg(feature = "formats")]
pub mod sample;
#[cfg(feature = "formats")]
pub mod samples;
#[cfg(feature = "formats")]
pub mod sampling;
pub mod stage;
#[cfg(feature = "formats")]
pub mod statistics;
#[cfg(feature = "formats")]
pub mod store;
#[cfg(feature = "formats")]
pub mod tangle;
#[cfg(feature = "tracing")]
pub mod tracing;

#[doc(hidden)]
pub mod __private;

pub use payload::record_payload;
pub use profiling_macros::{profile_job, profile_stage};

#[cfg(feature = "profiling")]
pub use measure::allocator::{AllocationFigures, AllocationSpan, CountingAllocator};
#[cfg(feature = "profiling")]
pub use runner::{ProfileConfig, ProfileRunner, ResourceMeasurement};
#[cfg(feature = "formats")]
pub use tangle::{BlueprintProfiles, JobProfile, ProfilingError, has_profiling_data};
