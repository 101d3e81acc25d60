//! Spans whose costs are known. One test at a time: what is recorded is the whole process's.

#[path = "support/serial.rs"]
mod serial;

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use profiling_core::breakdown::{Breakdown, StageProfile};
use profiling_core::stage::Recording;
use profiling_core::{AllocationSpan, CountingAllocator, stage};
use tracing::{Instrument, info_span, instrument};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::system();

const MS: u64 = 1_000_000;

fn main() -> ExitCode {
    // The first one stays.
    assert!(profiling_core::tracing::install());
    assert!(!profiling_core::tracing::install());
    serial::main(&[
        ("spans_and_stages_nest", spans_and_stages_nest),
        ("futures_in_spans_wait", futures_in_spans_wait),
        ("explicit_parents_are_kept", explicit_parents_are_kept),
        ("spans_may_overlap", spans_may_overlap),
        ("any_number_of_spans", any_number_of_spans),
    ])
}

fn recorded(work: impl FnOnce()) -> Breakdown {
    let recording = Recording::begin();
    work();
    recording.end()
}

#[track_caller]
fn find<'a>(breakdown: &'a Breakdown, name: &str, parent: Option<&str>) -> &'a StageProfile {
    let found = breakdown.stages.iter().find(|stage| stage.name == name && stage.parent.as_deref() == parent);
    found.unwrap_or_else(|| panic!("no {name} in {parent:?}: {breakdown:#?}"))
}

#[instrument]
fn inner(ms: u64) {
    tracing::info!("an event is nothing");
    thread::sleep(Duration::from_millis(ms));
}

fn spans_and_stages_nest() {
    let outside = info_span!("outside");
    let breakdown = recorded(|| {
        let _stage = stage!("stage");
        let span = info_span!("span").entered();
        inner(10);
        drop(span);
        inner(20);
        outside.in_scope(|| {});
    });
    assert_eq!(breakdown.stages.len(), 4, "{breakdown:#?}");
    assert!(find(&breakdown, "span", Some("stage")).wall_ns.min >= 10 * MS);
    let within = find(&breakdown, "inner", Some("span")).wall_ns.min;
    assert!((10 * MS..500 * MS).contains(&within), "{within}");
    let after = find(&breakdown, "inner", Some("stage")).wall_ns.min;
    assert!((20 * MS..500 * MS).contains(&after), "{after}");
}

#[instrument]
async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

fn futures_in_spans_wait() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("it starts");
    let breakdown = recorded(|| {
        runtime.block_on(stage!("outer", async {
            let spawned = tokio::spawn(pause(30).instrument(info_span!("spawned")));
            tokio::join!(pause(10), pause(20));
            spawned.await.expect("no panic");
        }));
    });
    let pauses = find(&breakdown, "pause", Some("outer"));
    assert_eq!(pauses.calls, 2);
    assert!(pauses.wall_ns.min >= 10 * MS && pauses.wall_ns.max >= 20 * MS, "{pauses:#?}");
    assert!(pauses.busy_ns.is_some_and(|busy| busy.min < 5 * MS), "{pauses:#?}");
    assert_eq!(find(&breakdown, "spawned", Some("outer")).calls, 1);
    assert!(find(&breakdown, "pause", Some("spawned")).wall_ns.min >= 30 * MS);
}

fn explicit_parents_are_kept() {
    let breakdown = recorded(|| {
        let parent = info_span!("parent");
        let _other = info_span!("other").entered();
        info_span!(parent: &parent, "child").in_scope(|| {});
        info_span!(parent: None, "root").in_scope(|| {});
        drop(parent.clone());
    });
    assert_eq!(breakdown.stages.len(), 3, "never entered, never recorded: {breakdown:#?}");
    assert_eq!(find(&breakdown, "child", Some("parent")).calls, 1);
    assert_eq!(find(&breakdown, "root", None).calls, 1);
}

fn spans_may_overlap() {
    let breakdown = recorded(|| {
        let first = info_span!("first").entered();
        let second = info_span!(parent: None, "second").entered();
        drop(first);
        thread::sleep(Duration::from_millis(10));
        drop(second);
    });
    assert!(find(&breakdown, "first", None).wall_ns.max < find(&breakdown, "second", None).wall_ns.max);
    assert!(find(&breakdown, "second", None).wall_ns.max >= 10 * MS);
}

fn any_number_of_spans() {
    let recording = Recording::begin();
    let span = AllocationSpan::begin();
    for _ in 0..100_000 {
        info_span!("short").in_scope(|| info_span!("shorter").in_scope(|| {}));
    }
    assert_eq!(span.end().allocations, 0);
    let breakdown = recording.end();
    assert_eq!(find(&breakdown, "shorter", Some("short")).calls, 100_000);
    let breakdown = recorded(|| {
        let open: Vec<_> = (0..2_000).map(|_| info_span!("open")).collect();
        for span in &open {
            span.in_scope(|| {});
        }
    });
    assert_eq!(find(&breakdown, "open", None).calls, 1_024);
    assert_eq!(breakdown.stage_calls_not_recorded, Some(976));
}
