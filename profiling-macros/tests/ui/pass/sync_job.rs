//! A sync function, with every argument that takes a literal.

use std::time::Duration;

use profiling_core::job::Entry;
use profiling_core::profile_job;
use profiling_core::sampling::Samples;

#[path = "../support.rs"]
mod support;

#[profile_job(
    id = 7,
    name = "the cube",
    samples = 3,
    warmup = 0,
    timeout = "1.5s",
    stateful,
    persistent_connections = true,
    ignore = false,
    args(3)
)]
fn cube(x: u64) -> u64 {
    x * x * x
}

#[profile_job]
fn defaults() {}

fn main() {
    let job = support::job("the cube");
    assert_eq!((job.id, job.samples, job.warmup), (Some(7), Some(Samples::Count(3)), Some(0)));
    assert_eq!(job.timeout, Some(Duration::from_millis(1_500)));
    assert_eq!((job.stateful, job.persistent_connections, job.ignore), (true, true, false));
    assert!(job.function.ends_with("::cube"), "{}", job.function);
    assert!(job.source.file.ends_with("sync_job.rs"), "{}", job.source.file);
    assert_eq!(job.source.line, 12);
    assert!(job.params.is_empty());
    assert_eq!(job.cases().len(), 1);
    assert!(matches!(job.entry, Entry::Sync(_)));
    support::execute("the cube").expect("it passes");

    let job = support::job("defaults");
    assert_eq!((job.id, job.samples, job.warmup), (None, None, None));
    assert_eq!(job.timeout, None);
    assert_eq!((job.stateful, job.persistent_connections, job.ignore), (false, false, false));
    support::execute("defaults").expect("it passes");
    assert_eq!(cube(2), 8);
}
