//! The programmatic runner, on jobs that end in every way.

use std::error::Error;
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use profiling_core::sample::Sample;
use profiling_core::{JobProfile, ProfileConfig, ProfileRunner, ProfilingError, ResourceMeasurement};

type JobResult = Result<(), Box<dyn Error + Send + Sync>>;

fn config(warmup_runs: u32, sample_size: u32) -> ProfileConfig {
    ProfileConfig { sample_size, warmup_runs, ..ProfileConfig::default() }
}

/// Profiles a job on a runtime of its own; the figures are of the whole process, so one at a time.
fn profile(config: ProfileConfig, job: impl AsyncFn() -> JobResult) -> Result<JobProfile, ProfilingError> {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
    runtime.expect("a runtime").block_on(ProfileRunner::profile_job(|| job(), config))
}

fn spin(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {}
}

/// Why profiling failed, which it must have.
fn failure(config: ProfileConfig, job: impl AsyncFn() -> JobResult) -> String {
    match profile(config, job) {
        Err(ProfilingError::ExecutionFailed(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_defaults_are_the_references() {
    let ProfileConfig { sample_size, warmup_runs, max_execution_time } = ProfileConfig::default();
    assert_eq!((sample_size, warmup_runs, max_execution_time), (10, 2, Duration::from_secs(300)));
}

#[test]
fn executes_as_often_as_it_is_told() {
    let executions = AtomicU32::new(0);
    let job = async || {
        executions.fetch_add(1, Relaxed);
        Ok(())
    };
    let found = profile(config(3, 7), job).expect("it passes");
    assert_eq!(executions.load(Relaxed), 10);
    assert_eq!((found.sample_size, found.stateful, found.persistent_connections), (7, false, false));
    assert_eq!(profile(config(0, 1), job).expect("it passes").sample_size, 1);
    assert_eq!(executions.load(Relaxed), 11);
}

#[test]
fn no_samples_are_a_mistake() {
    let refused = profile(config(2, 0), async || unreachable!("there is nothing to execute"));
    assert!(
        matches!(&refused, Err(ProfilingError::InvalidConfiguration(reason)) if reason.contains("sample_size")),
        "{refused:?}"
    );
}

#[test]
fn a_quarter_of_a_millisecond_is_one_and_not_none() {
    // Every figure is rounded up; on a busy machine some can be larger.
    let right = (0..5).any(|_| {
        let job = async || {
            spin(Duration::from_micros(250));
            Ok(())
        };
        let found = profile(config(2, 10), job).expect("it passes");
        let durations = [found.avg_duration_ms, found.p95_duration_ms, found.p99_duration_ms];
        assert!(durations.iter().all(|&duration| duration >= 1), "{found:?}");
        durations == [1; 3]
    });
    assert!(right, "more than 1 ms five times");
}

#[test]
fn durations_are_in_order() {
    let executions = AtomicU32::new(0);
    let job = async || {
        // One in ten takes longer.
        let long = executions.fetch_add(1, Relaxed) == 5;
        tokio::time::sleep(Duration::from_millis(if long { 60 } else { 5 })).await;
        Ok(())
    };
    let found = profile(config(0, 10), job).expect("it passes");
    assert!((10..60).contains(&found.avg_duration_ms), "{found:?}");
    assert!(found.p99_duration_ms >= 60 && found.p99_duration_ms >= found.p95_duration_ms, "{found:?}");
}

#[test]
fn a_blocking_job_that_is_late_is_an_error_although_it_returns_ok() {
    let strict = ProfileConfig { max_execution_time: Duration::from_millis(50), ..config(0, 2) };
    let late = async || {
        thread::sleep(Duration::from_millis(80));
        Ok(())
    };
    assert_eq!(failure(strict, late), "execution 0: took longer than 50ms");
}

#[test]
fn a_job_that_waits_too_long_is_ended() {
    let strict = ProfileConfig { max_execution_time: Duration::from_millis(500), ..config(1, 2) };
    let executions = AtomicU32::new(0);
    let begin = Instant::now();
    let job = async || {
        if executions.fetch_add(1, Relaxed) == 2 {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        Ok(())
    };
    assert_eq!(failure(strict, job), "execution 2: took longer than 500ms");
    assert!(begin.elapsed() < Duration::from_secs(30));
}

#[test]
fn an_error_names_its_execution() {
    for failing in [0, 1, 2, 4] {
        let executions = AtomicU32::new(0);
        let job = async || match executions.fetch_add(1, Relaxed) {
            number if number == failing => Err("no cheese".into()),
            _ => Ok(()),
        };
        // The first two are warm-ups.
        assert_eq!(failure(config(2, 3), job), format!("execution {failing}: no cheese"));
        assert_eq!(executions.load(Relaxed), failing + 1);
    }
}

#[test]
fn a_panic_is_an_error() {
    let executions = AtomicU32::new(0);
    let after_waiting = async || {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_ne!(executions.fetch_add(1, Relaxed), 1, "out of cheese");
        Ok(())
    };
    let reason = failure(config(2, 3), after_waiting);
    let place = reason.strip_prefix("execution 1: panicked at ").unwrap_or_else(|| panic!("{reason}"));
    assert!(place.contains("profile_runner.rs:"), "{reason}");
    assert!(place.contains("out of cheese"), "{reason}");
    // What panicked has no hold on what comes next.
    assert_eq!(profile(config(2, 3), async || Ok(())).expect("it passes").sample_size, 3);
}

#[test]
fn a_panic_before_there_is_a_future_is_an_error() {
    fn job() -> std::future::Ready<JobResult> {
        panic!("no future")
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let ended = runtime.block_on(ProfileRunner::profile_job(job, config(0, 1)));
    assert!(
        matches!(&ended, Err(ProfilingError::ExecutionFailed(reason)) if reason.ends_with(": no future")),
        "{ended:?}"
    );
}

/// After warm-ups, `getrusage` has no more to say about it: the reference reports 0.
#[cfg(target_os = "linux")]
#[test]
fn peak_memory_is_right_after_warm_ups() {
    let touch = |mebibytes: usize| async move {
        drop(black_box(vec![1_u8; mebibytes << 20]));
        Ok(())
    };
    profile(config(0, 1), async || touch(300).await).expect("it passes");
    let idle = profile(config(2, 3), async || touch(0).await).expect("it passes").peak_memory_mb;
    let found = profile(config(2, 3), async || touch(100).await).expect("it passes").peak_memory_mb;
    assert!((100..=100 + idle + 8).contains(&found), "{found} MiB, but {idle} at rest");
    assert!(idle < 100, "{idle} MiB at rest");
}

#[test]
fn a_measurement_has_all_its_figures_or_is_none() {
    let sample = Sample {
        wall_ns: 1_500,
        cpu_ns: Some(1_001),
        peak_rss_bytes: Some(7),
        peak_heap_bytes: Some(5),
        ..Sample::default()
    };
    let measured = ResourceMeasurement::of(&sample).expect("all there");
    assert_eq!((measured.duration, measured.peak_memory_bytes), (Duration::from_nanos(1_500), 7));
    assert_eq!(measured.cpu_time_us, 2);
    let heap = ResourceMeasurement::of(&Sample { peak_rss_bytes: None, ..sample }).expect("all there");
    assert_eq!(heap.peak_memory_bytes, 5);
    assert!(ResourceMeasurement::of(&Sample { peak_rss_bytes: None, peak_heap_bytes: None, ..sample }).is_none());
    assert!(ResourceMeasurement::of(&Sample { cpu_ns: None, ..sample }).is_none());
}
