//! Stages: named parts of a job, each with its own wall time, CPU time and allocations.
//!
//! ```
//! use profiling_core::{profile_stage, stage};
//!
//! #[profile_stage("parse")]
//! fn parse(text: &str) -> Vec<u64> {
//!     text.split(' ').filter_map(|word| word.parse().ok()).collect()
//! }
//!
//! fn job(text: &str) -> u64 {
//!     let numbers = parse(text);
//!     let _sum = stage!("sum");
//!     numbers.iter().sum()
//! }
//! # assert_eq!(job("1 2"), 3);
//! ```
//!
//! Recorded is what begins and ends within the measured window of an execution. With the feature
//! `profiling` off, all of this compiles to nothing.
//!
//! # What the figures are
//!
//! - A stage belongs to the thread that it is entered on. Its CPU time and allocations are that thread's;
//!   what other threads do for it is found in stages that these enter.
//! - The figures of a stage contain those of the stages within. Its *parent* is the stage that was entered
//!   last on the thread and not left yet; of an instrumented future, the one in which it was
//!   instrumented.
//! - Wall time and allocations are measured of every call.
//! - CPU time takes a system call to read. It is read of every call that takes 60 µs or more; of a future, of
//!   every poll that does, and of the shorter ones where they come to as much. Where a stage begins soon after
//!   the thread's CPU clock was read, that reading is made do with: the figure is wrong by 30 µs at the most,
//!   and by less than one as a rule.
//! - Of shorter calls it is read of the first four of an execution on each thread, and of one in so many that
//!   it adds a few percent; which ones doesn't depend on their own length. They stand for all short calls, in
//!   the mean, the deviation and the percentiles. `cpu_calls` says how many calls were read in all.
//! - Of a future whose polls are many and short, it is not read. It is never more than the wall time.
//! - Memory is constant in the number of calls: 127 names and 128 pairs of a stage and its parent have
//!   room. Calls beyond are counted in `stage_calls_not_recorded`.

#[cfg(feature = "profiling")]
mod call;
#[cfg(feature = "profiling")]
mod cpu;
#[cfg(feature = "profiling")]
mod lane;
#[cfg(not(feature = "profiling"))]
mod off;
#[cfg(feature = "profiling")]
mod on;
#[cfg(feature = "profiling")]
pub(crate) mod recorder;
#[cfg(feature = "profiling")]
pub(crate) mod store;

#[cfg(feature = "tracing")]
pub(crate) use self::call::{Call, Inside, Until};
#[cfg(not(feature = "profiling"))]
pub use self::off::Stage;
#[cfg(feature = "profiling")]
pub use self::on::{Instrumented, Recording, Site, Stage};

/// What a stage's name must be; checked at compile time.
const fn check_name(name: &str) {
    assert!(!name.is_empty(), "a stage's name is not empty");
}

/// Enters a stage, until the [`Stage`] that it returns is dropped; with a second argument, makes a future
/// one.
///
/// ```
/// use profiling_core::stage;
///
/// fn job(mut numbers: Vec<u64>) -> Vec<u64> {
///     let _stage = stage!("sort");
///     numbers.sort_unstable();
///     numbers
/// }
///
/// async fn fetch_all() {
///     // The same: `stage!("fetch").instrument(fetch()).await`.
///     stage!("fetch", fetch()).await;
///     stage!("pause", async { /* … */ }).await;
/// }
///
/// async fn fetch() {}
/// # assert_eq!(job(vec![2, 1]), [1, 2]);
/// # drop(fetch_all());
/// ```
///
/// The name is a constant `&'static str`. A `Stage` must not be held across `.await`: meanwhile the
/// thread does other work. It is not `Send`, so that runtimes with several threads refuse such a future.
///
/// ```compile_fail
/// # use profiling_core::stage;
/// fn spawn(_: impl Future + Send) {}
///
/// spawn(async {
///     let _stage = stage!("wrong");
///     std::future::ready(()).await;
/// });
/// ```
#[macro_export]
#[cfg(feature = "profiling")]
macro_rules! stage {
    ($name:expr $(,)?) => {{
        static __PROFILING_SITE: $crate::stage::Site = $crate::stage::Site::new($name);
        $crate::stage::Stage::enter(&__PROFILING_SITE)
    }};
    ($name:expr, $future:expr $(,)?) => {
        $crate::stage!($name).instrument($future)
    };
}

/// Enters a stage, until the [`Stage`] that it returns is dropped; with a second argument, makes a future
/// one.
///
/// ```
/// use profiling_core::stage;
///
/// fn job(mut numbers: Vec<u64>) -> Vec<u64> {
///     let _stage = stage!("sort");
///     numbers.sort_unstable();
///     numbers
/// }
///
/// async fn fetch_all() {
///     // The same: `stage!("fetch").instrument(fetch()).await`.
///     stage!("fetch", fetch()).await;
///     stage!("pause", async { /* … */ }).await;
/// }
///
/// async fn fetch() {}
/// # assert_eq!(job(vec![2, 1]), [1, 2]);
/// # drop(fetch_all());
/// ```
///
/// The name is a constant `&'static str`. A `Stage` must not be held across `.await`: meanwhile the
/// thread does other work. It is not `Send`, so that runtimes with several threads refuse such a future.
///
/// ```compile_fail
/// # use profiling_core::stage;
/// fn spawn(_: impl Future + Send) {}
///
/// spawn(async {
///     let _stage = stage!("wrong");
///     std::future::ready(()).await;
/// });
/// ```
#[macro_export]
#[cfg(not(feature = "profiling"))]
macro_rules! stage {
    ($name:expr $(,)?) => {{
        const _: () = $crate::stage::Stage::check_name($name);
        $crate::stage::Stage::off()
    }};
    ($name:expr, $future:expr $(,)?) => {
        $crate::stage!($name).instrument($future)
    };
}
