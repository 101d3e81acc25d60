//! What a job may cost, how often it is measured, and where it is to run, as the registration has it.

use std::time::Duration;

use profiling_core::budget::{Budget, Subject};
use profiling_core::profile_job;
use profiling_core::sampling::{Auto, Samples};
use profiling_core::statistics::Percentile;

#[path = "../support.rs"]
mod support;

#[profile_job(
    samples = auto(precision = 1.5%, percentile = p95, time = "3s"),
    budget(p95 = "50ms", peak_memory = "64MiB", allocations = 1000),
    targets("aws-lambda", "cloudflare-workers"),
)]
fn limited() {}

#[profile_job(samples = 7, warmup = 1, timeout = "1s", cold_samples = 2)]
fn counted() {}

#[profile_job]
fn plain() {}

fn main() {
    let limited = support::job("limited");
    let budget = |subject, limit| Budget { subject, limit };
    assert_eq!(
        limited.budgets,
        [budget(Subject::P95, 50_000_000), budget(Subject::PeakMemory, 64 << 20), budget(Subject::Allocations, 1000)]
    );
    assert_eq!(limited.targets, ["aws-lambda", "cloudflare-workers"]);
    let (percentile, time) = (Percentile::P95, Duration::from_secs(3));
    let auto = Auto { precision: 0.015, percentile, time, ..Auto::DEFAULT };
    assert_eq!(limited.samples, Some(Samples::Auto(auto)));
    let counted = support::job("counted");
    assert_eq!((counted.samples, counted.warmup, counted.cold_samples), (Some(Samples::Count(7)), Some(1), Some(2)));
    assert_eq!(counted.timeout, Some(Duration::from_secs(1)));
    let plain = support::job("plain");
    assert!(plain.samples.is_none() && plain.warmup.is_none() && plain.timeout.is_none());
    assert!(plain.budgets.is_empty() && plain.targets.is_empty());
}
