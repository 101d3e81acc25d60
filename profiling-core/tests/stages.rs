//! Stages whose costs are known. One test at a time: what is recorded is the whole process's.

#[path = "support/serial.rs"]
mod serial;
#[path = "support/mod.rs"]
mod support;

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::panic::catch_unwind;
use std::pin::pin;
use std::process::ExitCode;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use profiling_core::breakdown::{Breakdown, StageProfile};
use profiling_core::job::{Entry, JobDescriptor, Runtime};
use profiling_core::measure::thread::cpu_ns;
use profiling_core::runner::CaseRunner;
use profiling_core::stage::Recording;
use profiling_core::{AllocationSpan, CountingAllocator, profile_stage, record_payload, stage};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::system();

const MS: u64 = 1_000_000;
/// How much later than it might something may be done, in ms, where other processes want the CPUs.
const LATE: u64 = 500;

fn main() -> ExitCode {
    serial::main(&[
        ("nothing_is_recorded_outside", nothing_is_recorded_outside),
        ("wall_time_is_the_clocks", wall_time_is_the_clocks),
        ("sync_stages_nest", sync_stages_nest),
        ("futures_wait_and_work", futures_wait_and_work),
        ("concurrent_futures_are_told_apart", concurrent_futures_are_told_apart),
        ("spawned_futures_keep_their_parent", spawned_futures_keep_their_parent),
        ("a_future_may_change_threads", a_future_may_change_threads),
        ("a_future_that_is_dropped_has_ended", a_future_that_is_dropped_has_ended),
        ("a_panic_leaves_the_stage", a_panic_leaves_the_stage),
        ("allocations_are_those_of_the_thread", allocations_are_those_of_the_thread),
        ("recording_allocates_nothing", recording_allocates_nothing),
        ("every_thread_is_heard", every_thread_is_heard),
        ("short_calls_are_all_counted", short_calls_are_all_counted),
        #[cfg(unix)]
        ("every_long_call_has_its_cpu_time", every_long_call_has_its_cpu_time),
        ("attributes_work_everywhere", attributes_work_everywhere),
        ("payloads_have_sizes", payloads_have_sizes),
        ("a_case_has_what_its_samples_recorded", a_case_has_what_its_samples_recorded),
        ("what_has_no_room_is_counted", what_has_no_room_is_counted),
    ])
}

fn recorded<R>(work: impl FnOnce() -> R) -> Breakdown {
    let recording = Recording::begin();
    black_box(work());
    recording.end()
}

#[track_caller]
fn find<'a>(breakdown: &'a Breakdown, name: &str, parent: Option<&str>) -> &'a StageProfile {
    let found = breakdown.stages.iter().find(|stage| stage.name == name && stage.parent.as_deref() == parent);
    found.unwrap_or_else(|| panic!("no {name} in {parent:?}: {breakdown:#?}"))
}

fn sleep(ms: u64) {
    thread::sleep(Duration::from_millis(ms));
}

/// Uses so much of this thread's CPU time, however long that takes.
fn burn(ms: u64) {
    let begin = Instant::now();
    let begin_cpu = cpu_ns();
    let used =
        || cpu_ns().zip(begin_cpu).map_or_else(|| begin.elapsed(), |(now, begin)| Duration::from_nanos(now - begin));
    while used() < Duration::from_millis(ms) {}
}

/// Never less than the truth, and CPU time no more than 2 ms above it; wall time as far as other processes
/// want the machine's CPUs.
#[track_caller]
fn expect(stage: &StageProfile, wall_ms: u64, cpu_ms: u64) {
    let (wall, cpu) = (stage.wall_ns.min, stage.cpu_ns.map(|cpu| cpu.min));
    assert!((wall_ms * MS..(wall_ms + LATE) * MS).contains(&wall), "{wall_ms} ms: {stage:#?}");
    #[cfg(unix)]
    assert!(cpu.is_some_and(|cpu| (cpu_ms * MS..(cpu_ms + 2) * MS).contains(&cpu)), "{cpu_ms} ms: {stage:#?}");
    #[cfg(not(unix))]
    assert_eq!((cpu, cpu_ms - cpu_ms), (None, 0));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads can be made")
}

fn nothing_is_recorded_outside() {
    let before = stage!("outside");
    let breakdown = recorded(|| drop(before));
    assert!(breakdown.is_empty(), "{breakdown:#?}");
    let recording = Recording::begin();
    let unfinished = stage!("unfinished");
    assert!(recording.end().is_empty());
    let breakdown = recorded(|| {
        // The stage of another execution ends within this one.
        let _now = stage!("now");
        drop(unfinished);
        drop(stage!("within"));
    });
    assert_eq!((breakdown.stages.len(), find(&breakdown, "within", Some("now")).calls), (2, 1));
}

/// By the test's own clock, to 2 ms; again where something came between the two clocks.
fn wall_time_is_the_clocks() {
    let apart = |ms: u64| {
        let mut took = Duration::ZERO;
        let breakdown = recorded(|| {
            let begin = Instant::now();
            {
                let _stage = stage!("timed");
                sleep(ms);
                burn(ms);
            }
            took = begin.elapsed();
        });
        let wall = Duration::from_nanos(find(&breakdown, "timed", None).wall_ns.max);
        took.abs_diff(wall)
    };
    for ms in [10, 20, 30] {
        let nearest = (0..5).map(|_| apart(ms)).min().expect("five");
        assert!(nearest < Duration::from_millis(2), "{nearest:?}");
    }
}

fn sync_stages_nest() {
    let breakdown = recorded(|| {
        for _ in 0..3 {
            let _outer = stage!("outer");
            sleep(10);
            burn(10);
            {
                let _inner = stage!("inner");
                sleep(20);
                burn(20);
            }
            drop(stage!("inner"));
        }
        let _inner = stage!("inner");
        sleep(30);
    });
    let outer = find(&breakdown, "outer", None);
    assert_eq!((outer.calls, outer.busy_ns), (3, None));
    expect(outer, 60, 30);
    let inner = find(&breakdown, "inner", Some("outer"));
    assert_eq!(inner.calls, 6);
    assert!(inner.wall_ns.p90 >= 40 * MS && inner.wall_ns.min < 20 * MS, "{inner:#?}");
    let cpu = inner.cpu_ns.map_or(20 * MS, |cpu| cpu.max);
    assert!((20 * MS..22 * MS).contains(&cpu), "{inner:#?}");
    expect(find(&breakdown, "inner", None), 30, 0);
}

#[profile_stage("works")]
async fn works(asleep: u64, busy: u64) {
    tokio::time::sleep(Duration::from_millis(asleep)).await;
    burn(busy);
}

fn futures_wait_and_work() {
    let breakdown = recorded(|| {
        runtime().block_on(stage!("outer", async {
            works(20, 10).await;
            works(10, 20).await;
        }));
    });
    let outer = find(&breakdown, "outer", None);
    expect(outer, 60, 30);
    let busy = outer.busy_ns.expect("a future was polled").min;
    assert!((30 * MS..(30 + LATE) * MS).contains(&busy), "{outer:#?}");
    let works = find(&breakdown, "works", Some("outer"));
    assert_eq!(works.calls, 2);
    expect(works, 30, 10);
}

fn concurrent_futures_are_told_apart() {
    let breakdown = recorded(|| {
        runtime().block_on(async {
            tokio::join!(
                stage!("thirty", works(30, 0)),
                stage!("twenty", works(20, 0)),
                stage!("twenty", works(20, 10)),
            )
        })
    });
    expect(find(&breakdown, "thirty", None), 30, 0);
    expect(find(&breakdown, "works", Some("thirty")), 30, 0);
    let twenty = find(&breakdown, "twenty", None);
    assert_eq!(twenty.calls, 2);
    expect(twenty, 20, 0);
    let cpu = twenty.cpu_ns.map_or(10 * MS, |cpu| cpu.max);
    assert!((10 * MS..12 * MS).contains(&cpu), "{twenty:#?}");
}

fn spawned_futures_keep_their_parent() {
    let breakdown = recorded(|| {
        runtime().block_on(stage!("outer", async {
            let spawn = || tokio::spawn(stage!("spawned", works(10, 20)));
            let (one, other) = (spawn(), spawn());
            one.await.and(other.await).expect("no panic");
        }));
    });
    let spawned = find(&breakdown, "spawned", Some("outer"));
    assert_eq!(spawned.calls, 2);
    expect(spawned, 30, 20);
    expect(find(&breakdown, "works", Some("spawned")), 30, 20);
    #[cfg(unix)]
    assert!(find(&breakdown, "outer", None).cpu_ns.is_some_and(|cpu| cpu.max < 2 * MS), "other threads did the work");
}

/// Works for 10 ms in each of two polls.
async fn twice() {
    let mut polled = false;
    poll_fn(|_| {
        burn(10);
        if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn a_future_may_change_threads() {
    let breakdown = recorded(|| {
        let mut future = Box::pin(stage!("moves", twice()));
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        sleep(10);
        let poll = move || future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(thread::spawn(poll).join().expect("no panic").is_ready());
    });
    let moves = find(&breakdown, "moves", None);
    assert_eq!(moves.calls, 1);
    expect(moves, 30, 20);
    assert!(moves.busy_ns.is_some_and(|busy| busy.max + 10 * MS <= moves.wall_ns.max), "{moves:#?}");
}

fn a_future_that_is_dropped_has_ended() {
    let breakdown = recorded(|| {
        drop(stage!("never_polled", twice()));
        let mut future = Box::pin(stage!("dropped", twice()));
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        sleep(20);
    });
    assert_eq!(breakdown.stages.len(), 1, "{breakdown:#?}");
    expect(find(&breakdown, "dropped", None), 30, 10);
}

fn a_panic_leaves_the_stage() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let breakdown = recorded(|| {
        let panicked = catch_unwind(|| {
            let _stage = stage!("panics");
            panic!("for the test");
        });
        assert!(panicked.is_err());
        let panicked = catch_unwind(|| {
            let future = pin!(stage!("panics_too", async { panic!("for the test") }));
            let _: Poll<()> = future.poll(&mut Context::from_waker(Waker::noop()));
        });
        assert!(panicked.is_err());
        drop(stage!("after"));
    });
    std::panic::set_hook(hook);
    for name in ["panics", "panics_too", "after"] {
        assert_eq!(find(&breakdown, name, None).calls, 1);
    }
}

fn allocations_are_those_of_the_thread() {
    let breakdown = recorded(|| {
        let _outer = stage!("outer");
        let kept = black_box(vec![0_u8; 1000]);
        {
            let _inner = stage!("inner");
            drop(black_box(vec![0_u8; 1 << 20]));
        }
        thread::scope(|scope| {
            scope.spawn(|| {
                let _there = stage!("there");
                drop(black_box(vec![0_u8; 1 << 22]));
            });
        });
        drop(kept);
    });
    let allocated = |name: &str, parent| find(&breakdown, name, parent).allocated_bytes.map(|bytes| bytes.max);
    assert_eq!(allocated("inner", Some("outer")), Some(1 << 20));
    assert_eq!(allocated("there", None), Some(1 << 22));
    let outer = allocated("outer", None).expect("counted");
    // Starting a thread takes some, too.
    assert!(((1 << 20) + 1000..(1 << 20) + 10_000).contains(&outer), "{outer}");
}

fn recording_allocates_nothing() {
    let calls = |count: u32| {
        for _ in 0..count {
            let _outer = stage!("outer");
            drop(stage!("inner"));
            record_payload("number", 5);
            let future = pin!(stage!("future", async {}));
            assert!(future.poll(&mut Context::from_waker(Waker::noop())).is_ready());
        }
    };
    let on_a_thread = |count: u32| drop(thread::spawn(move || calls(count)).join());
    on_a_thread(0);
    let recording = Recording::begin();
    let span = AllocationSpan::begin();
    calls(100_000);
    assert_eq!(span.end().allocations, 0);
    let allocations = [0, 1, 100_000].map(|count| {
        let span = AllocationSpan::begin();
        on_a_thread(count);
        span.end().allocations
    });
    assert_eq!(allocations[1], allocations[2]);
    // Older standard libraries allocate once to note that a thread has something to do when it ends.
    assert!(allocations[1] - allocations[0] <= 1, "{allocations:?}");
    assert_eq!(find(&recording.end(), "inner", Some("outer")).calls, 200_001);
}

fn every_thread_is_heard() {
    const THREADS: u64 = 100;
    let breakdown = recorded(|| {
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| (0..300).for_each(|_| drop(stage!("heard"))));
            }
        });
        // More at once than have lanes.
        let barrier = std::sync::Barrier::new(usize::try_from(THREADS).expect("small"));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    drop(stage!("together"));
                    barrier.wait();
                    drop(stage!("together"));
                });
            }
        });
    });
    assert_eq!(find(&breakdown, "heard", None).calls, 300 * THREADS);
    assert_eq!(find(&breakdown, "together", None).calls, 2 * THREADS);
}

fn short_calls_are_all_counted() {
    const CALLS: u32 = 200_000;
    let breakdown = recorded(|| (0..CALLS).for_each(|_| drop(stage!("short"))));
    let short = find(&breakdown, "short", None);
    assert_eq!(short.calls, u64::from(CALLS));
    assert!(short.wall_ns.p50 < 1_000, "{short:#?}");
    #[cfg(unix)]
    {
        let read = short.cpu_calls.expect("some");
        assert!(read > 0 && read < short.calls / 10, "{short:#?}");
        assert!(short.cpu_ns.is_some_and(|cpu| cpu.p50 < 1_000), "{short:#?}");
    }
}

struct Merger<T>(Vec<T>);

impl<T: Ord + Clone> Merger<T> {
    #[profile_stage("merge")]
    fn merge(&mut self, more: &[T]) -> &[T] {
        self.0.extend_from_slice(more);
        self.0.sort();
        &self.0
    }

    #[profile_stage]
    async fn fetch(&self, index: usize) -> Result<&T, String> {
        let found = self.0.get(index).ok_or("none")?;
        Ok(found)
    }
}

#[profile_stage("shortest")]
async fn shortest<'a, T>(values: &'a [T], mut length: usize) -> Option<&'a T>
where
    T: Sync,
{
    length -= 1;
    if length > values.len() {
        return None;
    }
    values.get(length)
}

#[cfg(unix)]
fn every_long_call_has_its_cpu_time() {
    let breakdown = recorded(|| {
        runtime().block_on(async {
            let spawned: Vec<_> = (0..20).map(|_| tokio::spawn(stage!("spawned", works(0, 2)))).collect();
            for spawned in spawned {
                spawned.await.expect("no panic");
            }
        });
        for _ in 0..20 {
            let _stage = stage!("sync");
            burn(1);
        }
    });
    // A thread may have nothing in hand for the first of the futures that it takes over from another.
    for (name, ms, least) in [("spawned", 2, 18), ("sync", 1, 20)] {
        let stage = find(&breakdown, name, None);
        assert!(stage.calls == 20 && stage.cpu_calls.is_some_and(|calls| calls >= least), "{stage:#?}");
        assert!(stage.cpu_ns.is_some_and(|cpu| cpu.min >= ms * MS && cpu.max < (ms + 2) * MS), "{stage:#?}");
    }
}

fn attributes_work_everywhere() {
    let breakdown = recorded(|| {
        runtime().block_on(async {
            let mut merger = Merger(vec![3, 1]);
            assert_eq!(merger.merge(&[2]), [1, 2, 3]);
            assert_eq!(merger.fetch(9).await, Err("none".to_owned()));
            assert_eq!(merger.fetch(0).await, Ok(&1));
            assert_eq!(shortest(&merger.0, 9).await, None);
        });
    });
    let calls = ["merge", "fetch", "shortest"].map(|name| find(&breakdown, name, None).calls);
    assert_eq!(calls, [1, 2, 1]);
}

fn payloads_have_sizes() {
    record_payload("outside", 1);
    let breakdown = recorded(|| (1..=1000).for_each(|bytes| record_payload("estimator", bytes)));
    let [payload] = breakdown.payloads.as_slice() else { panic!("{breakdown:#?}") };
    assert_eq!((payload.name.as_str(), payload.count), ("estimator", 1000));
    assert_eq!((payload.bytes.min, payload.bytes.max), (1, 1000));
    assert!((500..=508).contains(&payload.bytes.p50), "{payload:#?}");
    assert!((payload.bytes.mean - 500.5).abs() < 1e-6, "{payload:#?}");
    let breakdown = recorded(|| {
        for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r"] {
            record_payload(name, 1);
            record_payload(Box::leak(format!("{name}{name}").into_boxed_str()), 1);
        }
    });
    assert_eq!((breakdown.payloads.len(), breakdown.payloads_not_recorded), (32, Some(4)));
}

fn a_case_has_what_its_samples_recorded() {
    static JOB: JobDescriptor = support::job(Entry::Async {
        runtime: Runtime::MultiThread { worker_threads: Some(2) },
        start: |execution| {
            Box::pin(async move {
                drop(stage!("before"));
                execution.start();
                let burns = tokio::spawn(stage!("burns", async { burn(10) }));
                burns.await.expect("no panic");
                record_payload("result", 7);
                execution.stop();
                drop(stage!("after"));
                Ok(())
            })
        },
    });
    let mut runner = CaseRunner::new(support::case(&JOB)).expect("threads can be made");
    for number in 0..5 {
        if number == 2 {
            runner.forget();
        }
        runner.execute().expect("it ends well");
    }
    let breakdown = runner.breakdown();
    assert_eq!(breakdown.stages.len(), 1, "{breakdown:#?}");
    let burns = find(&breakdown, "burns", None);
    assert_eq!((burns.calls, breakdown.payloads[0].count), (3, 3));
    expect(burns, 10, 10);
    let runtime = breakdown.runtime.expect("an async job");
    assert_eq!(runtime.workers, 2);
    let busy = runtime.busy_ns.expect("it has threads");
    assert!((10 * MS..(10 + LATE) * MS).contains(&busy.p50), "{busy:#?}");
    assert_eq!(runtime.alive_tasks.map(|tasks| tasks.max), Some(0));
}

macro_rules! many_stages {
    ($($tens:literal)* ; $ones:tt) => { $(many_stages!(@ $tens $ones);)* };
    (@ $tens:literal [$($ones:literal)*]) => { $(drop(stage!(concat!("many ", $tens, $ones)));)* };
}

fn what_has_no_room_is_counted() {
    let breakdown = recorded(|| {
        for _ in 0..2 {
            many_stages!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14; [0 1 2 3 4 5 6 7 8 9]);
        }
    });
    let calls: u64 = breakdown.stages.iter().map(|stage| stage.calls).sum();
    let lost = breakdown.stage_calls_not_recorded.expect("there are 150 names");
    assert!(lost >= 2 * 22, "{lost}");
    assert_eq!(calls + lost, 300);
}
