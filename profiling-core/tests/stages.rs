//! Stages whose costs are known. One test at a time: what is recorded is the whole process's.

#[path = "support/serial.rs"]
mod serial;
#[path = "support/mod.rs"]
mod support;

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::ops::Range;
use std::panic::catch_unwind;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
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
        ("nested_and_twice_at_once_on_threads", nested_and_twice_at_once_on_threads),
        ("nested_and_twice_at_once_in_tasks", nested_and_twice_at_once_in_tasks),
        ("sync_stages_nest", sync_stages_nest),
        ("futures_wait_and_work", futures_wait_and_work),
        ("concurrent_futures_are_told_apart", concurrent_futures_are_told_apart),
        ("spawned_futures_keep_their_parent", spawned_futures_keep_their_parent),
        ("a_future_may_change_threads", a_future_may_change_threads),
        ("a_future_that_is_dropped_has_ended", a_future_that_is_dropped_has_ended),
        ("a_panic_leaves_the_stage", a_panic_leaves_the_stage),
        ("allocations_are_those_of_the_thread", allocations_are_those_of_the_thread),
        #[cfg(target_os = "linux")]
        ("a_thread_may_first_allocate_in_a_stage", a_thread_may_first_allocate_in_a_stage),
        ("recording_allocates_nothing", recording_allocates_nothing),
        ("every_thread_is_heard", every_thread_is_heard),
        ("short_calls_are_all_counted", short_calls_are_all_counted),
        #[cfg(unix)]
        ("every_long_call_has_its_cpu_time", every_long_call_has_its_cpu_time),
        #[cfg(unix)]
        ("rare_long_calls_are_among_many_short_ones", rare_long_calls_are_among_many_short_ones),
        #[cfg(unix)]
        ("many_futures_at_once_have_their_cpu_time", many_futures_at_once_have_their_cpu_time),
        #[cfg(unix)]
        ("a_long_poll_is_read_among_short_ones", a_long_poll_is_read_among_short_ones),
        ("attributes_work_everywhere", attributes_work_everywhere),
        ("payloads_have_sizes", payloads_have_sizes),
        ("a_case_has_what_its_samples_recorded", a_case_has_what_its_samples_recorded),
        ("what_has_no_room_is_counted", what_has_no_room_is_counted),
    ])
}

fn recorded<R>(work: impl FnOnce() -> R) -> Breakdown {
    let recording = Recording::begin();
    BURNT_MORE.store(0, Relaxed);
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

/// What [`burn`] has used in this recording above what it was to, in ns: a virtual machine that its host keeps
/// waiting counts that as CPU time.
static BURNT_MORE: AtomicU64 = AtomicU64::new(0);

/// Uses so much of this thread's CPU time, however long that takes.
fn burn(ms: u64) {
    let begin = Instant::now();
    let begin_cpu = cpu_ns();
    let used = || cpu_ns().zip(begin_cpu).map_or_else(|| begin.elapsed(), |(now, begin)| nanos(now - begin));
    let due = Duration::from_millis(ms);
    let used = std::iter::repeat_with(used).find(|used| *used >= due).expect("time goes by");
    let more = u64::try_from(used.abs_diff(due).as_nanos()).expect("not for centuries");
    BURNT_MORE.fetch_add(more, Relaxed);
}

/// What CPU time may be in ns where so many ms were used: a stage that begins soon after another makes do
/// with an earlier reading, of 30 µs before at the most.
fn near(cpu_ms: u64) -> Range<u64> {
    (cpu_ms * MS).saturating_sub(30_000)..(cpu_ms + 2) * MS + BURNT_MORE.load(Relaxed)
}

/// Wall time is never less than the truth, and CPU time no more than 2 ms above it; wall time as far as other
/// processes want the machine's CPUs.
#[track_caller]
fn expect(stage: &StageProfile, wall_ms: u64, cpu_ms: u64) {
    let (wall, cpu) = (stage.wall_ns.min, stage.cpu_ns.map(|cpu| cpu.min));
    assert!((wall_ms * MS..(wall_ms + LATE) * MS).contains(&wall), "{wall_ms} ms: {stage:#?}");
    #[cfg(unix)]
    assert!(cpu.is_some_and(|cpu| near(cpu_ms).contains(&cpu)), "{cpu_ms} ms: {stage:#?}");
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

/// What the test's own clock says that each stage took.
#[derive(Default)]
struct Clocked(Mutex<Vec<(&'static str, Duration)>>);

impl Clocked {
    fn stage<R>(&self, name: &'static str, work: impl FnOnce() -> R) -> R {
        let begin = Instant::now();
        let done = work();
        self.note(name, begin);
        done
    }

    async fn future<F: Future>(&self, name: &'static str, future: F) -> F::Output {
        let begin = Instant::now();
        let done = future.await;
        self.note(name, begin);
        done
    }

    fn note(&self, name: &'static str, begin: Instant) {
        self.0.lock().expect("no panic").push((name, begin.elapsed()));
    }

    /// How far the stages' wall times are from that; of the calls of a stage, the extremes.
    fn furthest(&self, breakdown: &Breakdown) -> Duration {
        let clocked = self.0.lock().expect("no panic");
        let apart = |stage: &StageProfile| {
            let of_stage = || clocked.iter().filter(|(name, _)| *name == stage.name).map(|(_, took)| *took);
            assert_eq!(of_stage().count() as u64, stage.calls, "{stage:#?}");
            let shortest = of_stage().min().map_or(Duration::MAX, |took| took.abs_diff(nanos(stage.wall_ns.min)));
            let longest = of_stage().max().map_or(Duration::MAX, |took| took.abs_diff(nanos(stage.wall_ns.max)));
            shortest.max(longest)
        };
        breakdown.stages.iter().map(apart).max().expect("there are stages")
    }
}

fn nanos(ns: u64) -> Duration {
    Duration::from_nanos(ns)
}

/// Stages of `name, parent, calls, wall in ms, CPU in ms`. CPU time is right to 2 ms every time; wall time is at
/// least what it has to be every time, and the clock's to 2 ms at the best of five, since the thread may lose
/// its CPU between a reading of that and one of the stage's.
fn expect_all(stages: &[(&str, Option<&str>, u64, u64, u64)], work: impl Fn(&Arc<Clocked>)) {
    let attempt = |_| {
        let clocked = Arc::default();
        let breakdown = recorded(|| work(&clocked));
        assert_eq!(breakdown.stages.len(), stages.len(), "{breakdown:#?}");
        for &(name, parent, calls, wall_ms, cpu_ms) in stages {
            let stage = find(&breakdown, name, parent);
            assert_eq!(stage.calls, calls, "{stage:#?}");
            expect(stage, wall_ms, cpu_ms);
            #[cfg(unix)]
            {
                assert_eq!(stage.cpu_calls, Some(calls), "{stage:#?}");
                assert!(stage.cpu_ns.is_some_and(|cpu| near(cpu_ms).contains(&cpu.max)), "{stage:#?}");
            }
            let busy = stage.busy_ns.map_or(cpu_ms * MS, |busy| busy.min);
            assert!((cpu_ms * MS..(cpu_ms + LATE) * MS).contains(&busy), "{stage:#?}");
        }
        clocked.furthest(&breakdown)
    };
    let nearest = (0..5).map(attempt).min().expect("five");
    assert!(nearest < Duration::from_millis(2), "{nearest:?}");
}

fn nested_and_twice_at_once_on_threads() {
    #[profile_stage("inner")]
    fn inner() {
        sleep(20);
        burn(20);
    }
    #[profile_stage("asleep")]
    fn asleep() {
        sleep(30);
    }
    let outer = |clocked: &Clocked| {
        let _outer = stage!("outer");
        sleep(10);
        burn(10);
        clocked.stage("inner", inner);
        clocked.stage("asleep", asleep);
    };
    let stages = [("outer", None, 2, 90, 30), ("inner", Some("outer"), 2, 40, 20), ("asleep", Some("outer"), 2, 30, 0)];
    expect_all(&stages, |clocked| {
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| clocked.stage("outer", || outer(clocked)));
            }
        });
    });
}

fn nested_and_twice_at_once_in_tasks() {
    /// A stage that is not async within one that is.
    #[profile_stage("burns")]
    fn burns(ms: u64) {
        burn(ms);
    }
    async fn pause(ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    async fn outer(clocked: Arc<Clocked>) {
        clocked.future("asleep", stage!("asleep", pause(30))).await;
        let inner = async {
            pause(20).await;
            clocked.stage("burns", || burns(20));
        };
        // Two stages in one task.
        tokio::join!(
            clocked.future("inner", stage!("inner", inner)),
            clocked.future("short", stage!("short", pause(10))),
        );
        burn(10);
    }
    let stages = [
        ("outer", None, 2, 80, 30),
        ("asleep", Some("outer"), 2, 30, 0),
        ("inner", Some("outer"), 2, 40, 20),
        ("burns", Some("inner"), 2, 20, 20),
        ("short", Some("outer"), 2, 10, 0),
    ];
    let current_thread = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it starts");
    for runtime in [runtime(), current_thread] {
        expect_all(&stages, |clocked| {
            runtime.block_on(async {
                let spawn = || {
                    let clocked = Arc::clone(clocked);
                    let task =
                        async move { clocked.future("outer", stage!("outer", outer(Arc::clone(&clocked)))).await };
                    tokio::spawn(task)
                };
                let (one, other) = (spawn(), spawn());
                one.await.and(other.await).expect("no panic");
            });
        });
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
    assert!(near(20).contains(&cpu), "{inner:#?}");
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
    assert!(near(10).contains(&cpu), "{twenty:#?}");
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
            let future = pin!(stage!("panics_too", async {
                burn(2);
                panic!("for the test")
            }));
            let _: Poll<()> = future.poll(&mut Context::from_waker(Waker::noop()));
        });
        assert!(panicked.is_err());
        drop(stage!("after"));
    });
    std::panic::set_hook(hook);
    for name in ["panics", "panics_too", "after"] {
        assert_eq!(find(&breakdown, name, None).calls, 1);
    }
    #[cfg(unix)]
    assert!(find(&breakdown, "panics_too", None).cpu_ns.is_some_and(|cpu| near(2).contains(&cpu.max)));
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

/// As one of a C library may: a thread of `std` has allocated before it comes to its work.
#[cfg(target_os = "linux")]
fn a_thread_may_first_allocate_in_a_stage() {
    use std::ffi::c_void;
    use std::mem::MaybeUninit;
    use std::ptr;

    extern "C" fn body(_: *mut c_void) -> *mut c_void {
        let _there = stage!("there");
        drop(black_box(vec![0_u8; 5_000]));
        ptr::null_mut()
    }
    let breakdown = recorded(|| {
        let mut thread = MaybeUninit::uninit();
        // SAFETY: `thread` is valid for a write, and the function takes any argument.
        let made = unsafe { libc::pthread_create(thread.as_mut_ptr(), ptr::null(), body, ptr::null_mut()) };
        assert_eq!(made, 0);
        // SAFETY: the thread was made, and is joined once.
        assert_eq!(unsafe { libc::pthread_join(thread.assume_init(), ptr::null_mut()) }, 0);
    });
    let there = find(&breakdown, "there", None);
    assert_eq!(there.allocated_bytes.as_ref().map(|bytes| bytes.max), Some(5_000));
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
    for (name, ms) in [("spawned", 2), ("sync", 1)] {
        let stage = find(&breakdown, name, None);
        assert_eq!((stage.calls, stage.cpu_calls), (20, Some(20)), "{stage:#?}");
        assert!(
            stage.cpu_ns.is_some_and(|cpu| near(ms).contains(&cpu.min) && near(ms).contains(&cpu.max)),
            "{stage:#?}"
        );
    }
}

/// The long ones are right, and the sum over all calls is.
#[cfg(unix)]
fn rare_long_calls_are_among_many_short_ones() {
    const CALLS: u32 = 20_000;
    let is_rare = |call| call % 1_000 == 999;
    let breakdown = recorded(|| {
        for call in 0..CALLS {
            let _stage = stage!("works");
            if is_rare(call) {
                burn(2);
            }
        }
        for call in 0..CALLS {
            let _stage = stage!("sleeps");
            if is_rare(call) {
                sleep(2);
            }
        }
    });
    let used = |name| {
        let stage = find(&breakdown, name, None);
        assert!(stage.cpu_calls.is_some_and(|calls| calls >= 20), "{stage:#?}");
        let cpu = stage.cpu_ns.expect("read");
        assert!(cpu.p50 < 2_000, "{stage:#?}");
        (cpu.max, cpu.mean * f64::from(CALLS) / 1e6)
    };
    let (longest, all) = used("works");
    assert!(near(2).contains(&longest), "{longest}");
    let more = BURNT_MORE.load(Relaxed) as f64 / 1e6;
    assert!((39.4..60.0 + more).contains(&all), "{all}");
    let (longest, all) = used("sleeps");
    assert!(longest < MS && all < 10.0, "{longest} {all}");
}

#[cfg(unix)]
fn many_futures_at_once_have_their_cpu_time() {
    let current_thread = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it starts");
    for runtime in [runtime(), current_thread] {
        let breakdown = recorded(|| {
            runtime.block_on(async {
                let spawned: Vec<_> = (0..100).map(|_| tokio::spawn(stage!("spawned", works(1, 1)))).collect();
                for spawned in spawned {
                    spawned.await.expect("no panic");
                }
            });
        });
        for (name, parent) in [("spawned", None), ("works", Some("spawned"))] {
            let stage = find(&breakdown, name, parent);
            assert_eq!((stage.calls, stage.cpu_calls), (100, Some(100)), "{stage:#?}");
            let cpu = stage.cpu_ns.expect("read");
            assert!(near(1).contains(&cpu.min) && near(1).contains(&cpu.max), "{stage:#?}");
        }
    }
}

/// Is polled so often, and works for so many ms in the last but one.
#[cfg(unix)]
async fn polled_often(polls: u32, ms: u64) {
    let mut poll = 0;
    poll_fn(|_| {
        poll += 1;
        if poll + 1 == polls {
            burn(ms);
        }
        if poll == polls { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[cfg(unix)]
fn a_long_poll_is_read_among_short_ones() {
    let breakdown = recorded(|| {
        let context = &mut Context::from_waker(Waker::noop());
        let mut long = pin!(stage!("long", polled_often(100, 5)));
        while long.as_mut().poll(context).is_pending() {}
        // Of the second one nothing is known, and what is of the first doesn't stand for it.
        for polls in [2, 1_000_000] {
            let mut short = pin!(stage!("short", polled_often(polls, 0)));
            while short.as_mut().poll(context).is_pending() {}
        }
    });
    let long = find(&breakdown, "long", None);
    assert!(long.cpu_ns.is_some_and(|cpu| near(5).contains(&cpu.min)), "{long:#?}");
    let short = find(&breakdown, "short", None);
    assert_eq!((short.calls, short.cpu_calls, short.cpu_ns), (2, None, None), "{short:#?}");
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
                // No task of the runtime's, and yet a part of what it does.
                burn(5);
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
    assert!((15 * MS..(15 + LATE) * MS).contains(&busy.min), "{busy:#?}");
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
