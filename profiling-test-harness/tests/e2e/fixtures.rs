//! `fixture(…)`: values that are made once per worker, at nobody's cost.

use std::time::Duration;

use serde_json::Value;

use crate::sandbox::{Package, Sandbox, run};

/// Runs jobs and returns how often each fixture was made, by how many processes.
fn made(jobs: &str, options: &str) -> Vec<(String, usize)> {
    let sandbox = Sandbox::alone(Package::made());
    let log = sandbox.store().directory().with_file_name("fixtures-made");
    std::fs::create_dir_all(log.parent().expect("a directory")).expect("writable");
    run(sandbox.harness(&format!("{options} --exact {jobs}")).env("FIXTURES_MADE", &log)).expect_code(0);
    let log = std::fs::read_to_string(log).expect("fixtures were made");
    let mut lines: Vec<&str> = log.lines().collect();
    let all = lines.len();
    lines.sort_unstable();
    lines.dedup();
    // In a process of its own, a worker makes it once.
    assert_eq!(lines.len(), all, "{log}");
    let mut counts: Vec<(String, usize)> = Vec::new();
    for name in lines.iter().filter_map(|line| line.split(' ').next()) {
        match counts.iter_mut().find(|(known, _)| known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name.to_owned(), 1)),
        }
    }
    counts
}

fn count(name: &str, count: usize) -> (String, usize) {
    (name.to_owned(), count)
}

#[test]
fn a_fixture_is_made_once_per_worker() {
    let counts = made("made_sync made_async made_for_params", "");
    assert_eq!(counts, [count("async", 1), count("n=10", 1), count("n=20", 1), count("sync", 1)]);
    assert_eq!(made("made_for_samples made_for_starts", ""), [count("cold", 3), count("sample", 3)]);
    let alike = made("made_sync made_async", "--in-process");
    assert_eq!(alike, [count("async", 1), count("sync", 1)]);
}

#[test]
fn a_fixture_is_part_of_no_figure() {
    let sandbox = Sandbox::alone(Package::made());
    run(&mut sandbox.harness("--exact costs_nothing")).expect_code(0);
    let profile = sandbox.profile("costs_nothing");
    let case = &profile["cases"][0];
    for figure in ["allocations", "allocated_bytes", "peak_heap_bytes", "retained_heap_bytes"] {
        assert_eq!(case[figure]["max"], 0, "{figure}: {profile}");
    }
    for figure in ["wall_ns", "cpu_ns"] {
        assert!(case[figure]["p50"].as_u64().expect("measured") < 10_000_000, "{figure}: {profile}");
    }
    let start = &case["cold_start"];
    assert!(start["startup_ns"].as_u64().expect("measured") < 1_000_000_000, "{profile}");
    assert!(start["first_execution_ns"].as_u64().expect("measured") < 50_000_000, "{profile}");
    assert_eq!((&profile["stateful"], &profile["evidence"]), (&false.into(), &Value::Null), "{profile}");
}

#[test]
fn a_panic_as_it_is_dropped_loses_nothing() {
    let sandbox = Sandbox::alone(Package::made());
    run(&mut sandbox.harness("--exact drops_badly drops_badly_async")).expect_code(0).says(&["2 passed; 0 failed"]);
    for job in ["drops_badly", "drops_badly_async"] {
        assert_eq!(sandbox.profile(job)["sample_size"], 3, "{job}");
    }
}

#[test]
fn a_fixture_that_fails_fails_its_case_before_the_first_execution() {
    let sandbox = Sandbox::alone(Package::made());
    let outcome = run(&mut sandbox.harness("--exact panics errs errs_early loops made_sync"));
    outcome.expect_code(101).says(&["1 passed; 4 failed"]);
    assert!(outcome.took < Duration::from_secs(15), "{outcome}");
    let source = include_str!("../fixtures/made.rs");
    let line = |of: &str| 1 + source.lines().position(|line| line.contains(of)).expect("it is there");
    let panics = format!("failed in the fixture: panicked at src/lib.rs:{}:", line("first = list[0]"));
    let errs = format!("failed in the fixture: returned Err at src/lib.rs:{}:", line("\"x\".parse"));
    let early = format!("failed in the fixture: returned Err at src/lib.rs:{}:", line("\"y\".parse"));
    let loops = "failed in the fixture: timed out: not finished after 500ms, killed";
    for (job, reason) in [("panics", &*panics), ("errs", &errs), ("errs_early", &early), ("loops", loops)] {
        outcome.says(&[&format!("---- {job} ----\n{reason}")]);
        assert_eq!(sandbox.profile(job), Value::Null, "{job}");
    }
    outcome.says(&["index out of bounds: the len is 0 but the index is 0", ": invalid digit found in string"]);
    let alike = run(&mut sandbox.harness("--in-process --exact errs"));
    alike.expect_code(101).says(&[&errs]);
}
