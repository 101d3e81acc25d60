//! Every figure against jobs whose cost is known by construction.

use std::hint::black_box;
use std::panic;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use profiling_core::CountingAllocator;
use profiling_core::job::{Entry, Execution, ExecutionFuture, Failure, JobDescriptor, Outcome, Runtime};
use profiling_core::measure::allocator::MAX_SPANS;
use profiling_core::runner::CaseRunner;
use profiling_core::sample::Sample;

#[path = "support/serial.rs"]
mod serial;
mod support;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::system();

const MULTI_THREAD: Runtime = Runtime::MultiThread { worker_threads: None };

/// Whether a job is executed that fails.
static MAY_PANIC: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let tests = [
        ("nothing_costs_nothing", nothing_costs_nothing as fn()),
        ("an_empty_window_is_short", an_empty_window_is_short),
        ("what_is_around_the_call_is_not_measured", what_is_around_the_call_is_not_measured),
        ("what_is_kept_is_retained", what_is_kept_is_retained),
        ("a_panic_is_a_failure", a_panic_is_a_failure),
        ("an_error_is_a_failure", an_error_is_a_failure),
        ("failures_use_nothing_up", failures_use_nothing_up),
        ("every_execution_has_its_number", every_execution_has_its_number),
        ("time_that_passes_is_wall_time", time_that_passes_is_wall_time),
        ("sleep_takes_time_but_no_cpu", sleep_takes_time_but_no_cpu),
        #[cfg(unix)]
        ("cpu_time_is_that_of_all_threads", unix::cpu_time_is_that_of_all_threads),
        #[cfg(unix)]
        ("waiting_is_a_voluntary_switch", unix::waiting_is_a_voluntary_switch),
        #[cfg(target_os = "linux")]
        ("resident_memory_peaks_anew", linux::resident_memory_peaks_anew),
        #[cfg(target_os = "linux")]
        ("touched_pages_are_faults", linux::touched_pages_are_faults),
        #[cfg(target_os = "linux")]
        ("bytes_read_and_written_are_exact", linux::bytes_read_and_written_are_exact),
    ];
    // The panics of jobs are not printed: they would look like what is wrong.
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !MAY_PANIC.load(Ordering::Relaxed) {
            print(info);
        }
    }));
    serial::main(&tests)
}

fn runner(job: &'static JobDescriptor) -> CaseRunner {
    CaseRunner::new(support::case(job)).expect("a runner")
}

fn samples(job: &'static JobDescriptor, count: usize) -> Vec<Sample> {
    let mut runner = runner(job);
    (0..count).map(|_| runner.execute().expect("it passes")).collect()
}

fn figures<T: Copy>(samples: &[Sample], figure: impl Fn(&Sample) -> Option<T>) -> Vec<T> {
    samples.iter().map(|sample| figure(sample).expect("measured")).collect()
}

fn median(mut figures: Vec<u64>) -> u64 {
    figures.sort_unstable();
    figures[figures.len() / 2]
}

/// The window of a job, and nothing else.
#[expect(clippy::unnecessary_wraps, reason = "returns what the entry of a job returns")]
fn measured(execution: &mut Execution, job: impl FnOnce()) -> Outcome {
    execution.start();
    job();
    execution.stop();
    Ok(())
}

fn milliseconds(duration: u64) -> Duration {
    Duration::from_millis(duration)
}

fn nothing_costs_nothing() {
    fn start(execution: &mut Execution) -> ExecutionFuture<'_> {
        Box::pin(async {
            execution.start();
            async {}.await;
            execution.stop();
            Ok(())
        })
    }
    static SYNC: JobDescriptor = support::job(Entry::Sync(|execution| measured(execution, || ())));
    static CURRENT: JobDescriptor = support::job(Entry::Async { runtime: Runtime::CurrentThread, start });
    static MULTI: JobDescriptor = support::job(Entry::Async { runtime: MULTI_THREAD, start });
    for job in [&SYNC, &CURRENT, &MULTI] {
        // The first execution of a new runner, too: there is no warm-up.
        for _ in 0..20 {
            for sample in samples(job, 50) {
                assert_eq!((sample.allocations, sample.allocated_bytes), (Some(0), Some(0)));
                assert_eq!((sample.peak_heap_bytes, sample.retained_heap_bytes), (Some(0), Some(0)));
                check_nothing_read_or_written(&sample);
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn check_nothing_read_or_written(sample: &Sample) {
    assert_eq!((sample.read_bytes, sample.written_bytes), (Some(0), Some(0)));
    assert_eq!((sample.device_read_bytes, sample.device_written_bytes), (Some(0), Some(0)));
}

#[cfg(not(target_os = "linux"))]
fn check_nothing_read_or_written(sample: &Sample) {
    assert_eq!((sample.read_bytes, sample.written_bytes), (None, None));
}

fn an_empty_window_is_short() {
    static JOB: JobDescriptor = support::job(Entry::Sync(|execution| measured(execution, || ())));
    let shortest = samples(&JOB, 200).iter().map(|sample| sample.wall_ns).min().expect("samples");
    assert!(shortest < 2_000, "{shortest} ns");
}

/// Inputs are made before the window opens, and they and the output are dropped after it closed.
fn what_is_around_the_call_is_not_measured() {
    static JOB: JobDescriptor = support::job(Entry::Sync(|execution| {
        let input = black_box(vec![1_u8; 10 << 20]);
        let consumed = black_box(vec![1_u8; 5 << 20]);
        thread::sleep(milliseconds(20));
        execution.start();
        drop(consumed);
        let output = black_box(vec![1_u8; 1 << 20]);
        execution.stop();
        drop((input, output));
        let verified = black_box(vec![1_u8; 20 << 20]);
        thread::sleep(milliseconds(20));
        drop(verified);
        Ok(())
    }));
    let samples = samples(&JOB, 5);
    for sample in &samples {
        assert_eq!((sample.allocations, sample.allocated_bytes), (Some(1), Some(1 << 20)));
        // The input that the job freed makes room for its output.
        assert_eq!((sample.peak_heap_bytes, sample.retained_heap_bytes), (Some(0), Some(0)));
    }
    let wall = median(figures(&samples, |sample| Some(sample.wall_ns)));
    assert!(wall < 20_000_000, "{wall} ns");
}

fn what_is_kept_is_retained() {
    const KEPT: usize = 12_345;
    static STORE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
    static LEAK: JobDescriptor = support::job(Entry::Sync(|execution| {
        measured(execution, || STORE.lock().expect("not poisoned").push(vec![1; KEPT]))
    }));
    static RELEASE: JobDescriptor =
        support::job(Entry::Sync(|execution| measured(execution, || drop(STORE.lock().expect("not poisoned").pop()))));
    static CACHE: JobDescriptor = support::job(Entry::Sync(|execution| {
        static ONCE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        measured(execution, || drop(black_box(ONCE.get_or_init(|| vec![1; KEPT]).clone())))
    }));
    STORE.lock().expect("not poisoned").reserve(10);
    let kept = i64::try_from(KEPT).expect("small");
    let retained = |job, count| figures(&samples(job, count), |sample| sample.retained_heap_bytes);
    assert_eq!(retained(&LEAK, 10), [kept; 10]);
    assert_eq!(retained(&RELEASE, 10), [-kept; 10]);
    assert_eq!(retained(&CACHE, 3), [kept, 0, 0]);
}

fn failure(job: &'static JobDescriptor) -> String {
    MAY_PANIC.store(true, Ordering::Relaxed);
    let executed = runner(job).execute();
    MAY_PANIC.store(false, Ordering::Relaxed);
    executed.expect_err("it fails").to_string()
}

fn a_panic_is_a_failure() {
    static FIXED: JobDescriptor =
        support::job(Entry::Sync(|execution| measured(execution, || panic!("out of cheese"))));
    static FORMATTED: JobDescriptor =
        support::job(Entry::Sync(|execution| measured(execution, || panic!("out of {}", "cheese"))));
    static OTHER: JobDescriptor = support::job(Entry::Sync(|execution| measured(execution, || panic::panic_any(7))));
    static BEFORE: JobDescriptor = support::job(Entry::Sync(|_| panic!("no input")));
    fn start(execution: &mut Execution) -> ExecutionFuture<'_> {
        Box::pin(async {
            execution.start();
            tokio::task::yield_now().await;
            panic!("late cheese")
        })
    }
    static ASYNC: JobDescriptor = support::job(Entry::Async { runtime: MULTI_THREAD, start });
    static RETHROWN: JobDescriptor = support::job(Entry::Sync(|execution| {
        measured(execution, || {
            thread::spawn(|| panic!("elsewhere")).join().unwrap_or_else(|payload| panic::resume_unwind(payload));
        })
    }));
    for (job, message) in [
        (&FIXED, "out of cheese"),
        (&FORMATTED, "out of cheese"),
        (&OTHER, "a payload that is not a string"),
        (&BEFORE, "no input"),
        (&ASYNC, "late cheese"),
    ] {
        let failure = failure(job);
        assert!(failure.ends_with(&format!(": {message}")), "{failure}");
        let place = failure.strip_prefix("panicked at ").unwrap_or_else(|| panic!("{failure}"));
        let (file, place) = place.split_once(".rs:").unwrap_or_else(|| panic!("{failure}"));
        assert!(file.ends_with("truth"), "{failure}");
        let line: u32 = place.split(':').next().and_then(|line| line.parse().ok()).unwrap_or_default();
        assert!((1..line!()).contains(&line), "{failure}");
    }
    // A panic that this thread passes on, but didn't begin, has no place on it.
    assert_eq!(failure(&RETHROWN), "panicked: elsewhere");
}

fn an_error_is_a_failure() {
    static BEFORE: JobDescriptor = support::job(Entry::Sync(|_| Err(Failure("setup: no database".to_owned()))));
    static AFTER: JobDescriptor = support::job(Entry::Sync(|execution| {
        measured(execution, || ())?;
        Err(Failure("returned Err: no cheese".to_owned()))
    }));
    static UNMEASURED: JobDescriptor = support::job(Entry::Sync(|_| Ok(())));
    assert_eq!(failure(&BEFORE), "setup: no database");
    assert_eq!(failure(&AFTER), "returned Err: no cheese");
    assert_eq!(failure(&UNMEASURED), "the job was not measured");
}

/// A window that a panic leaves open takes nothing from those to come.
fn failures_use_nothing_up() {
    static JOB: JobDescriptor = support::job(Entry::Sync(|execution| {
        let fails = execution.number() % 100 != 99;
        measured(execution, || {
            drop(black_box(vec![1_u8; 1_000]));
            // Unwinds as a panic does, but without a message for each.
            if fails {
                panic::resume_unwind(Box::new("again"));
            }
        })
    }));
    const { assert!(MAX_SPANS < 99) };
    let mut runner = runner(&JOB);
    for _ in 0..99 {
        assert_eq!(runner.execute(), Err(Failure("panicked: again".to_owned())));
    }
    let sample = runner.execute().expect("it passes");
    assert_eq!((sample.allocations, sample.peak_heap_bytes), (Some(1), Some(1_000)));
}

fn every_execution_has_its_number() {
    static NUMBERS: Mutex<Vec<u64>> = Mutex::new(Vec::new());
    static JOB: JobDescriptor = support::job(Entry::Sync(|execution| {
        NUMBERS.lock().expect("not poisoned").push(execution.number());
        measured(execution, || ())?;
        if execution.number() == 1 { Err(Failure("once".to_owned())) } else { Ok(()) }
    }));
    let mut runner = runner(&JOB);
    let outcomes: Vec<bool> = (0..4).map(|_| runner.execute().is_ok()).collect();
    assert_eq!(outcomes, [true, false, true, true]);
    assert_eq!(*NUMBERS.lock().expect("not poisoned"), [0, 1, 2, 3]);
}

fn time_that_passes_is_wall_time() {
    const TIME: Duration = Duration::from_millis(5);
    static JOB: JobDescriptor = support::job(Entry::Sync(|execution| {
        measured(execution, || {
            let begin = Instant::now();
            while begin.elapsed() < TIME {}
        })
    }));
    // The quietest of many; any other can have been interrupted.
    let shortest = samples(&JOB, 40).iter().map(|sample| sample.wall_ns).min().expect("samples");
    let excess = u128::from(shortest).checked_sub(TIME.as_nanos()).expect("no shorter than it is");
    assert!(excess < 20_000, "{excess} ns more than there are");
}

fn sleep_takes_time_but_no_cpu() {
    fn start(execution: &mut Execution) -> ExecutionFuture<'_> {
        Box::pin(async {
            execution.start();
            tokio::time::sleep(milliseconds(40)).await;
            execution.stop();
            Ok(())
        })
    }
    static JOB: JobDescriptor = support::job(Entry::Async { runtime: MULTI_THREAD, start });
    // A busy machine can wake the job late more often than not, but hardly so three times.
    let quiet = (0..3).any(|_| {
        let samples = samples(&JOB, 11);
        let wall = median(figures(&samples, |sample| Some(sample.wall_ns)));
        assert!(wall >= 40_000_000, "{wall} ns");
        check_idle(&samples);
        wall <= 43_000_000
    });
    assert!(quiet, "the median was above 43 ms three times");
}

#[cfg(unix)]
fn check_idle(samples: &[Sample]) {
    let cpu = median(figures(samples, |sample| sample.cpu_ns));
    assert!(cpu < 1_000_000, "{cpu} ns");
}

#[cfg(not(unix))]
fn check_idle(samples: &[Sample]) {
    assert!(samples.iter().all(|sample| sample.cpu_ns.is_none()));
}

#[cfg(unix)]
mod unix {
    use rustix::time::{ClockId, clock_gettime};

    use super::{
        Duration, Entry, JobDescriptor, black_box, figures, measured, median, milliseconds, samples, support, thread,
    };

    const BURNT: Duration = Duration::from_millis(100);

    /// Burns CPU time, as the thread's own clock has it.
    fn burn() {
        let now = || {
            let time = clock_gettime(ClockId::ThreadCPUTime);
            Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).expect("below 10^9"))
        };
        let begin = now();
        while now().saturating_sub(begin) < BURNT {
            black_box((0..1_000).fold(0_u64, |sum, number| sum ^ black_box(number)));
        }
    }

    pub(super) fn cpu_time_is_that_of_all_threads() {
        static ONE: JobDescriptor = support::job(Entry::Sync(|execution| measured(execution, burn)));
        static TWO: JobDescriptor = support::job(Entry::Sync(|execution| {
            measured(execution, || {
                let other = thread::spawn(burn);
                burn();
                other.join().expect("no panic");
            })
        }));
        for (job, threads) in [(&ONE, 1), (&TWO, 2)] {
            let samples = samples(job, 3);
            let truth = BURNT.as_secs_f64() * 1e9 * f64::from(threads);
            for sample in &samples {
                let [cpu, user, system] = [sample.cpu_ns, sample.cpu_user_ns, sample.cpu_system_ns]
                    .map(|figure| figure.expect("measured") as f64);
                assert!((truth * 0.999..truth * 1.05).contains(&cpu), "{cpu} ns of CPU for {truth} ns");
                // The two parts are of the same time, but come from another clock, in microseconds.
                assert!((user + system - cpu).abs() < truth * 0.02, "{user} + {system} ns are not {cpu} ns");
            }
            let user = median(figures(&samples, |sample| sample.cpu_user_ns)) as f64;
            assert!(user > truth * 0.2, "{user} ns in user mode");
        }
    }

    pub(super) fn waiting_is_a_voluntary_switch() {
        static JOB: JobDescriptor = support::job(Entry::Sync(|execution| {
            measured(execution, || (0..20).for_each(|_| thread::sleep(milliseconds(1))))
        }));
        static NONE: JobDescriptor = support::job(Entry::Sync(|execution| measured(execution, || ())));
        for sample in samples(&JOB, 3) {
            let switches = sample.voluntary_switches.expect("measured");
            assert!((20..40).contains(&switches), "{switches} for 20 sleeps");
        }
        assert_eq!(median(figures(&samples(&NONE, 11), |sample| sample.voluntary_switches)), 0);
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::path::PathBuf;

    use profiling_core::measure::memory::resident_bytes;

    use super::{
        Entry, Execution, ExecutionFuture, JobDescriptor, MULTI_THREAD, black_box, figures, measured, runner, samples,
        support, thread,
    };

    const MIB: u64 = 1 << 20;

    fn touch(mebibytes: usize) {
        drop(black_box(vec![1_u8; mebibytes << 20]));
    }

    fn start(execution: &mut Execution) -> ExecutionFuture<'_> {
        Box::pin(async {
            execution.start();
            touch(100);
            execution.stop();
            Ok(())
        })
    }

    pub(super) fn resident_memory_peaks_anew() {
        static LARGE: JobDescriptor = support::job(Entry::Sync(|execution| measured(execution, || touch(300))));
        static SYNC: JobDescriptor = support::job(Entry::Sync(|execution| measured(execution, || touch(100))));
        static ASYNC: JobDescriptor = support::job(Entry::Async { runtime: MULTI_THREAD, start });
        static SPAWNED: JobDescriptor = support::job(Entry::Sync(|execution| {
            measured(execution, || thread::spawn(|| touch(100)).join().expect("no panic"))
        }));
        static NOTHING: JobDescriptor = support::job(Entry::Sync(|execution| measured(execution, || ())));
        let check = |job, touched: u64| {
            let mut runner = runner(job);
            let idle = resident_bytes().expect("measured");
            for _ in 0..5 {
                let sample = runner.execute().expect("it passes");
                let peak = sample.peak_rss_bytes.expect("measured");
                assert!(peak >= touched, "{peak} bytes");
                assert!(peak <= idle + touched + 8 * MIB, "{peak} bytes, but {idle} at rest");
            }
        };
        check(&LARGE, 300 * MIB);
        check(&SYNC, 100 * MIB);
        check(&ASYNC, 100 * MIB);
        check(&SPAWNED, 100 * MIB);
        check(&NOTHING, 0);
    }

    pub(super) fn touched_pages_are_faults() {
        static JOB: JobDescriptor = support::job(Entry::Sync(|execution| measured(execution, || touch(64))));
        let huge = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
        let page = if huge.contains("[always]") { 2 * MIB } else { rustix::param::page_size() as u64 };
        for faults in figures(&samples(&JOB, 3), |sample| sample.minor_faults) {
            let pages = 64 * MIB / page;
            assert!((pages - 1..pages * 11 / 10 + 600).contains(&faults), "{faults} faults for {pages} pages");
        }
    }

    pub(super) fn bytes_read_and_written_are_exact() {
        const SIZE: usize = 1_234_567;
        fn file() -> PathBuf {
            std::env::temp_dir().join(format!("profiling-core-truth-{}", std::process::id()))
        }
        static WRITE: JobDescriptor = support::job(Entry::Sync(|execution| {
            let (file, content) = (file(), vec![7_u8; SIZE]);
            measured(execution, || fs::write(file, content).expect("a writable directory"))
        }));
        static READ: JobDescriptor = support::job(Entry::Sync(|execution| {
            let file = file();
            measured(execution, || assert_eq!(fs::read(file).expect("a file").len(), SIZE))
        }));
        let (written, read) = (samples(&WRITE, 3), samples(&READ, 3));
        fs::remove_file(file()).expect("a file");
        for sample in written {
            assert_eq!((sample.written_bytes, sample.read_bytes), (Some(SIZE as u64), Some(0)));
            assert!(sample.device_written_bytes.is_some());
        }
        for sample in read {
            assert_eq!((sample.written_bytes, sample.read_bytes), (Some(0), Some(SIZE as u64)));
            // It was written a moment ago.
            assert_eq!(sample.device_read_bytes, Some(0));
        }
    }
}
