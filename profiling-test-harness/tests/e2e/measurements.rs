//! What the harness measures of jobs whose costs are known.

use profiling_core::sample::Sample;

use crate::sandbox::{Package, Sandbox, run};

const MIB: u64 = 1 << 20;

fn samples(sandbox: &Sandbox, job: &str) -> Vec<Sample> {
    let samples: Vec<Sample> = sandbox.samples(job).into_iter().map(|record| record.figures).collect();
    assert!(!samples.is_empty(), "no samples of {job}");
    samples
}

/// One figure of every sample of a job.
fn figures(sandbox: &Sandbox, job: &str, figure: fn(&Sample) -> Option<u64>) -> Vec<u64> {
    samples(sandbox, job).iter().map(|sample| figure(sample).unwrap_or_else(|| panic!("not measured: {job}"))).collect()
}

#[test]
fn memory_is_what_the_job_held() {
    let sandbox = Sandbox::new(Package::zoo());
    let jobs = ["holds_100_mib", "holds_100_mib_awaiting", "holds_100_mib_on_a_thread"];
    let line = format!("--exact a_job_of_300_mib does_nothing awaits_nothing {}", jobs.join(" "));
    run(&mut sandbox.harness(&line)).expect_code(0);

    for job in jobs {
        let heap = figures(&sandbox, job, |sample| sample.peak_heap_bytes);
        assert_eq!(heap.len(), 3, "{job}");
        assert!(heap.iter().all(|peak| (100 * MIB..=100 * MIB + 64 * 1024).contains(peak)), "{job}: {heap:?}");
        let allocated = figures(&sandbox, job, |sample| sample.allocated_bytes);
        assert!(allocated.iter().all(|bytes| (100 * MIB..101 * MIB).contains(bytes)), "{job}: {allocated:?}");
    }
    for job in ["does_nothing", "awaits_nothing"] {
        for sample in samples(&sandbox, job) {
            assert_eq!((sample.allocations, sample.allocated_bytes), (Some(0), Some(0)), "{job}");
            assert_eq!((sample.peak_heap_bytes, sample.retained_heap_bytes), (Some(0), Some(0)), "{job}");
        }
    }

    #[cfg(target_os = "linux")]
    {
        let idle = figures(&sandbox, "does_nothing", |sample| sample.peak_rss_bytes).into_iter().max().unwrap_or(0);
        for job in jobs {
            let resident = figures(&sandbox, job, |sample| sample.peak_rss_bytes);
            assert!(resident.iter().all(|peak| (100 * MIB..=idle + 108 * MIB).contains(peak)), "{job}: {resident:?}");
        }
        let large = figures(&sandbox, "a_job_of_300_mib", |sample| sample.peak_rss_bytes);
        assert!(large.iter().all(|peak| (300 * MIB..=idle + 308 * MIB).contains(peak)), "{large:?}");
    }
}

#[test]
fn time_is_what_the_job_took() {
    let sandbox = Sandbox::alone(Package::zoo());
    run(&mut sandbox.harness("--exact sleeps_40_ms spins_250_us burns_100_ms_on_each_of_two_threads")).expect_code(0);
    let p50 = |job: &str, figure: &str| {
        let profile = sandbox.profile(job);
        profile["cases"][0][figure]["p50"].as_u64().unwrap_or_else(|| panic!("no {figure} in {profile}"))
    };
    // Never less than the truth; more only as far as other processes want the machine's CPUs.
    let slept = p50("sleeps_40_ms", "wall_ns");
    assert!((40_000_000..50_000_000).contains(&slept), "{slept}");
    let slept_cpu = p50("sleeps_40_ms", "cpu_ns");
    assert!(slept_cpu < 1_000_000, "{slept_cpu}");
    let spun = p50("spins_250_us", "wall_ns");
    assert!((250_000..400_000).contains(&spun), "{spun}");
    assert_eq!(sandbox.profile("spins_250_us")["avg_duration_ms"], 1);
    #[cfg(unix)]
    {
        let burnt = p50("burns_100_ms_on_each_of_two_threads", "cpu_ns");
        assert!((200_000_000..210_000_000).contains(&burnt), "{burnt}");
    }
}

#[test]
fn a_sample_more_costs_no_memory() {
    let sandbox = Sandbox::new(Package::zoo());
    let peaks = |count: u32| {
        run(&mut sandbox.harness(&format!("--exact tallies --samples {count}"))).expect_code(0);
        assert_eq!(sandbox.profile("tallies")["sample_size"], count);
        let largest = |figure: &str| sandbox.profile("tallies")["cases"][0][figure]["max"].as_u64();
        (largest("peak_rss_bytes"), largest("peak_heap_bytes"))
    };
    let (few_rss, few_heap) = peaks(3);
    let (many_rss, many_heap) = peaks(20_000);
    assert_eq!(few_heap, many_heap);
    assert_eq!(few_heap, Some(800));
    #[cfg(target_os = "linux")]
    assert!(few_rss.zip(many_rss).is_some_and(|(few, many)| few.abs_diff(many) < MIB), "{few_rss:?} {many_rss:?}");
    #[cfg(not(target_os = "linux"))]
    assert_eq!(few_rss.is_some(), many_rss.is_some());
}
