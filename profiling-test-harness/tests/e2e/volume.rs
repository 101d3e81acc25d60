//! Many samples: their figures are those of a plain computation over all of them, in as little memory as few take.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use std::{fs, thread};

use serde_json::Value;

use crate::sandbox::{Package, Sandbox, run};

/// More than are ever held in memory at once.
const MANY: usize = 30_000;
const WARMUP: u64 = 3;

fn median(mut values: Vec<i64>) -> i64 {
    values.sort_unstable();
    values[values.len().div_ceil(2) - 1]
}

/// The summary is what anyone computes who has all values at once.
fn expect_summary_of(summary: &Value, mut values: Vec<i64>, name: &str) {
    values.sort_unstable();
    let count = values.len();
    let [first, .., last] = values[..] else { panic!("{name} has few values") };
    let rank = |per_mille: usize| values[(count * per_mille).div_ceil(1000) - 1];
    let exact = [("min", first), ("max", last)];
    let ranked =
        [("p50", 500), ("p90", 900), ("p95", 950), ("p99", 990), ("p999", 999)].map(|(key, at)| (key, rank(at)));
    for (key, expected) in exact.into_iter().chain(ranked) {
        assert_eq!(summary[key], expected, "{key} of {name}: {summary}");
    }
    let mean = values.iter().sum::<i64>() as f64 / count as f64;
    let squares: f64 = values.iter().map(|&value| (value as f64 - mean).powi(2)).sum();
    let mad = median(values.iter().map(|value| (value - rank(500)).abs()).collect());
    for (key, expected) in [("mean", mean), ("std_dev", (squares / (count as f64 - 1.0)).sqrt()), ("mad", mad as f64)] {
        let found = summary[key].as_f64().unwrap_or_else(|| panic!("no {key} of {name}: {summary}"));
        assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{key} of {name} is {expected}: {summary}");
    }
}

#[test]
fn figures_of_many_samples_are_those_of_a_plain_computation() {
    let sandbox = Sandbox::new(Package::zoo());
    run(&mut sandbox.harness(&format!("--exact --warmup {WARMUP} --samples {MANY} allocates_by_run"))).expect_code(0);
    let (profile, samples) = (sandbox.profile("allocates_by_run"), sandbox.samples("allocates_by_run"));
    assert_eq!(samples.len(), MANY);
    assert!(samples.iter().enumerate().all(|(number, record)| record.sample as usize == number));
    let case = &profile["cases"][0];
    assert_eq!(case["samples"], MANY);

    // What the job allocates is known.
    for (record, run) in samples.iter().zip(WARMUP..) {
        let counted = (record.figures.allocations, record.figures.allocated_bytes);
        let (count, unit) = (1 + run % 7, run % 1009 + 1);
        assert_eq!(counted, (Some(count), Some(unit * count * (count + 1) / 2)), "run {run}");
    }

    let records: Vec<Value> = samples.iter().map(|record| serde_json::to_value(record).expect("JSON")).collect();
    let figures = records[0].as_object().expect("a record").keys().filter(|key| *key != "params" && *key != "sample");
    let mut compared = 0;
    for name in figures {
        let values: Option<Vec<i64>> = records.iter().map(|record| record[name].as_i64()).collect();
        // A figure that some samples lack has no summary of all.
        if let Some(values) = values {
            expect_summary_of(&case[name], values, name);
            compared += 1;
        }
    }
    assert!(compared >= 5, "only {compared} figures were compared");
}

/// The most memory that the supervisor had, in bytes.
fn peak_of_supervisor(sandbox: &Sandbox, samples: usize) -> u64 {
    let arguments = format!("--exact --samples {samples} --keep-samples none does_nothing");
    let mut child = sandbox.harness(&arguments).stdout(Stdio::null()).spawn().expect("it was built");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().expect("it is a child").is_none() {
        peak = high_water(Path::new(&status)).unwrap_or(peak);
        thread::sleep(Duration::from_millis(5));
    }
    assert!(child.wait().expect("it is a child").success());
    peak
}

fn high_water(status: &Path) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok().map(|kib: u64| kib * 1024)
}

#[test]
fn more_samples_take_no_more_memory() {
    let sandbox = Sandbox::alone(Package::zoo());
    let [few, many] = [2_000, 20 * 2_000].map(|samples| peak_of_supervisor(&sandbox, samples));
    assert!(few > 1 << 20, "not seen: {few}");
    // Held, each of them would be some 400 bytes.
    assert!(many < few + (4 << 20), "{few} bytes with few samples, {many} with many");
    assert!(many < 64 << 20, "{many} bytes");
}

#[test]
fn as_many_samples_are_kept_as_were_asked_for() {
    let sandbox = Sandbox::new(Package::zoo());
    let kept = |how: &str| -> Vec<u32> {
        run(&mut sandbox.harness(&format!("--exact --samples 1000 does_nothing {how}"))).expect_code(0);
        assert_eq!(sandbox.profile("does_nothing")["cases"][0]["samples"], 1000, "the figures are those of all");
        sandbox.samples("does_nothing").iter().map(|record| record.sample).collect()
    };
    assert_eq!(kept("").len(), 1000);
    assert_eq!(kept("--keep-samples 100"), (0..1000).step_by(10).collect::<Vec<_>>());
    assert_eq!(kept("--keep-samples all").len(), 1000);
    assert!(kept("--keep-samples none").is_empty());
    assert!(!sandbox.store().samples_path("does_nothing").exists());
}
