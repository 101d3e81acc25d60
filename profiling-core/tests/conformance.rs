//! The cases that allocation profilers get wrong: memory that is held on another thread, handed over,
//! held by several threads at once, or never touched.

use std::future::poll_fn;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Barrier;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use profiling_core::job::{Entry, Execution, ExecutionFuture, Failure, JobDescriptor, Outcome, Runtime};
use profiling_core::measure::allocator::{FLUSH_BYTES, live_bytes};
use profiling_core::runner::CaseRunner;
use profiling_core::sample::Sample;
use profiling_core::{AllocationFigures, AllocationSpan, CountingAllocator};

#[path = "support/serial.rs"]
mod serial;
mod support;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::system();

const HELD: usize = 100 << 20;
const HELD_BYTES: u64 = HELD as u64;

fn main() -> ExitCode {
    serial::main(&[
        ("held_on_the_same_thread", held_on_the_same_thread),
        ("held_on_a_spawned_thread", held_on_a_spawned_thread),
        ("freed_by_the_caller", freed_by_the_caller),
        ("held_by_two_threads_at_once", held_by_two_threads_at_once),
        ("held_by_a_tokio_task", held_by_a_tokio_task),
        ("held_by_an_async_job_itself", held_by_an_async_job_itself),
        ("never_touched", never_touched),
    ])
}

/// Allocates and touches.
fn make(size: usize) -> Vec<u8> {
    black_box(vec![1; size])
}

/// The figures of one allocation that is freed again.
fn one_pair(bytes: u64) -> AllocationFigures {
    AllocationFigures {
        allocations: 1,
        deallocations: 1,
        grown: 0,
        shrunk: 0,
        allocated_bytes: bytes,
        peak_bytes: bytes,
        retained_bytes: 0,
    }
}

/// The figures of a job that holds so many bytes.
fn span_of(job: fn(usize), size: usize) -> AllocationFigures {
    let span = AllocationSpan::begin();
    job(size);
    span.end()
}

/// A job of threads costs what its threads cost, which an almost empty one tells, and what it holds.
fn check_span(job: fn(usize), held: u64, allocations: u64, further_threads: u64) {
    span_of(job, 1);
    let empty = span_of(job, 1);
    let full = span_of(job, HELD);
    assert_eq!(full.allocations, empty.allocations, "{full:?}");
    assert!(full.allocations >= allocations, "{full:?}");
    assert_eq!(full.allocated_bytes - empty.allocated_bytes, held - allocations, "{full:?}");
    assert_eq!(full.retained_bytes, 0);
    check_peak(full.peak_bytes, held, empty.allocated_bytes, further_threads);
}

/// The peak is what is held, and what threads are made of, but for the documented error.
fn check_peak(peak: u64, held: u64, around: u64, further_threads: u64) {
    let error = further_threads * FLUSH_BYTES.unsigned_abs();
    assert!((held - error..=held + around + error).contains(&peak), "a peak of {peak} for {held} held");
}

/// Three samples of a job, after a warm-up.
fn samples(job: &'static JobDescriptor) -> Vec<Sample> {
    let mut runner = CaseRunner::new(support::case(job)).expect("a runner");
    (0..4).map(|_| runner.execute().expect("it passes")).skip(1).collect()
}

/// What a threaded job holds is found by the runner as well.
fn check_samples(empty: &'static JobDescriptor, full: &'static JobDescriptor, held: u64, further_threads: u64) {
    let around = samples(empty)[0];
    for sample in samples(full) {
        assert_eq!(sample.allocations, around.allocations);
        let bytes = sample.allocated_bytes.zip(around.allocated_bytes).map(|(full, empty)| full - empty);
        assert_eq!(bytes, Some(held - held / HELD_BYTES));
        assert_eq!(sample.retained_heap_bytes, Some(0));
        let peak = sample.peak_heap_bytes.expect("counted");
        check_peak(peak, held, around.allocated_bytes.expect("counted"), further_threads);
    }
}

#[expect(clippy::unnecessary_wraps, reason = "returns what the entry of a job returns")]
fn execute(execution: &mut Execution, job: fn(usize), size: usize) -> Outcome {
    execution.start();
    job(size);
    execution.stop();
    Ok(())
}

fn same_thread(size: usize) {
    drop(make(size));
}

fn held_on_the_same_thread() {
    static JOB: JobDescriptor = support::job(Entry::Sync(|execution| execute(execution, same_thread, HELD)));
    let exactly = one_pair(HELD_BYTES);
    assert_eq!(span_of(same_thread, HELD), exactly);
    for sample in samples(&JOB) {
        assert_eq!(sample.allocations, Some(1));
        assert_eq!(sample.allocated_bytes, Some(HELD_BYTES));
        assert_eq!(sample.peak_heap_bytes, Some(HELD_BYTES));
        assert_eq!(sample.retained_heap_bytes, Some(0));
    }
}

fn spawned_thread(size: usize) {
    thread::spawn(move || drop(make(size))).join().expect("no panic");
}

fn held_on_a_spawned_thread() {
    static EMPTY: JobDescriptor = support::job(Entry::Sync(|execution| execute(execution, spawned_thread, 1)));
    static FULL: JobDescriptor = support::job(Entry::Sync(|execution| execute(execution, spawned_thread, HELD)));
    check_span(spawned_thread, HELD_BYTES, 1, 1);
    check_samples(&EMPTY, &FULL, HELD_BYTES, 1);
}

fn handed_over(size: usize) {
    drop(thread::spawn(move || make(size)).join().expect("no panic"));
}

fn freed_by_the_caller() {
    static EMPTY: JobDescriptor = support::job(Entry::Sync(|execution| execute(execution, handed_over, 1)));
    static FULL: JobDescriptor = support::job(Entry::Sync(|execution| execute(execution, handed_over, HELD)));
    check_span(handed_over, HELD_BYTES, 1, 1);
    check_samples(&EMPTY, &FULL, HELD_BYTES, 1);
}

fn two_threads(size: usize) {
    let both = Barrier::new(2);
    let hold = || {
        let held = make(size);
        both.wait();
        drop(held);
    };
    thread::scope(|scope| [scope.spawn(hold), scope.spawn(hold)].map(|thread| thread.join().expect("no panic")));
}

fn held_by_two_threads_at_once() {
    static EMPTY: JobDescriptor = support::job(Entry::Sync(|execution| execute(execution, two_threads, 1)));
    static FULL: JobDescriptor = support::job(Entry::Sync(|execution| execute(execution, two_threads, HELD)));
    check_span(two_threads, 2 * HELD_BYTES, 2, 2);
    check_samples(&EMPTY, &FULL, 2 * HELD_BYTES, 2);
}

/// A task on one of two workers, awaited by the main thread.
const WORKERS: Runtime = Runtime::MultiThread { worker_threads: Some(2) };

fn spawn_task(execution: &mut Execution, size: usize) -> ExecutionFuture<'_> {
    Box::pin(async move {
        execution.start();
        let task = tokio::spawn(async move { drop(make(size)) }).await;
        execution.stop();
        task.map_err(|error| Failure(error.to_string()))
    })
}

fn held_by_a_tokio_task() {
    static EMPTY: JobDescriptor =
        support::job(Entry::Async { runtime: WORKERS, start: |execution| spawn_task(execution, 1) });
    static FULL: JobDescriptor =
        support::job(Entry::Async { runtime: WORKERS, start: |execution| spawn_task(execution, HELD) });
    check_samples(&EMPTY, &FULL, HELD_BYTES, 2);

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    // What the workers do as they start is no part of the task.
    while (0..2).any(|worker| runtime.metrics().worker_park_count(worker) == 0) {
        thread::yield_now();
    }
    let run = |size| {
        let live = live_bytes().expect("counted");
        let span = AllocationSpan::begin();
        runtime.block_on(async move { tokio::spawn(async move { drop(make(size)) }).await.expect("no panic") });
        // The worker may still have to free the task that the main thread knows to be done.
        let begin = Instant::now();
        while live_bytes() != Some(live) && begin.elapsed() < Duration::from_secs(10) {
            thread::yield_now();
        }
        span.end()
    };
    run(1);
    let (empty, full) = (run(1), run(HELD));
    assert_eq!(full.allocations, empty.allocations);
    assert_eq!(full.allocated_bytes - empty.allocated_bytes, HELD_BYTES - 1);
    assert_eq!(full.retained_bytes, 0);
    check_peak(full.peak_bytes, HELD_BYTES, empty.allocated_bytes, 2);
}

fn held_by_an_async_job_itself() {
    fn start(execution: &mut Execution) -> ExecutionFuture<'_> {
        Box::pin(async {
            execution.start();
            let held = make(HELD);
            suspend_once().await;
            drop(held);
            execution.stop();
            Ok(())
        })
    }
    static MULTI: JobDescriptor = support::job(Entry::Async { runtime: WORKERS, start });
    static CURRENT: JobDescriptor = support::job(Entry::Async { runtime: Runtime::CurrentThread, start });
    for sample in samples(&MULTI).into_iter().chain(samples(&CURRENT)) {
        assert_eq!(sample.allocated_bytes.zip(sample.allocations), Some((HELD_BYTES, 1)));
        assert_eq!(sample.peak_heap_bytes, Some(HELD_BYTES));
        assert_eq!(sample.retained_heap_bytes, Some(0));
    }
}

/// Suspends the task, which is ready again at once. tokio's own function allocates for that.
async fn suspend_once() {
    let mut suspended = false;
    let once = poll_fn(|context| {
        if std::mem::replace(&mut suspended, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    });
    once.await;
}

/// Memory that the system allocator hands out unmapped stays so.
fn never_touched() {
    fn untouched(_: usize) {
        drop(black_box(vec![0_u8; 1 << 30]));
    }
    static JOB: JobDescriptor = support::job(Entry::Sync(|execution| execute(execution, untouched, 0)));
    let exactly = one_pair(1 << 30);
    assert_eq!(span_of(untouched, 0), exactly);
    for sample in samples(&JOB) {
        assert_eq!(sample.peak_heap_bytes, Some(1 << 30));
        check_resident(sample.peak_rss_bytes);
    }
}

#[cfg(target_os = "linux")]
fn check_resident(peak: Option<u64>) {
    let resident = profiling_core::measure::memory::resident_bytes().expect("measured");
    let peak = peak.expect("measured");
    assert!(peak < resident + (1 << 20), "{peak} at most, {resident} at rest");
}

/// Only Linux can tell the peak of one execution from that of the ones before.
#[cfg(not(target_os = "linux"))]
fn check_resident(_: Option<u64>) {}
