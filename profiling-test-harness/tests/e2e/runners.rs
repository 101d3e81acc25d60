//! `cargo test` twice at once, `cargo nextest`, `cargo bench`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::flags::{IGNORED, JOBS};
use crate::sandbox::{Package, Sandbox, run};

/// From the first to the last moment in which workers of one supervisor were executing.
fn spans(stamps: &Path) -> Vec<(u128, u128)> {
    let mut spans: BTreeMap<String, (u128, u128)> = BTreeMap::new();
    for file in fs::read_dir(stamps).expect("the test made it").map(|entry| entry.expect("readable").path()) {
        for line in fs::read_to_string(file).expect("jobs have written it").lines() {
            let [supervisor, begin, end] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let (begin, end) = (begin.parse().expect("a time"), end.parse().expect("a time"));
            let span = spans.entry(supervisor.to_owned()).or_insert((begin, end));
            *span = (span.0.min(begin), span.1.max(end));
        }
    }
    let mut spans: Vec<(u128, u128)> = spans.into_values().collect();
    spans.sort_unstable();
    spans
}

#[track_caller]
fn expect_no_overlap(stamps: &Path) {
    let spans = spans(stamps);
    assert_eq!(spans.len(), 2, "two supervisors had such a job");
    assert!(spans[0].1 <= spans[1].0, "{spans:?}");
}

#[test]
fn two_runs_at_once_measure_one_after_the_other() {
    let sandbox = Sandbox::new(Package::zoo());
    let stamps = sandbox.target().with_file_name("stamps");
    fs::create_dir(&stamps).expect("writable");
    // So that the two start at the same time.
    run(&mut sandbox.cargo("test --features profiling --test profiling --no-run")).expect_code(0);
    let jobs = ["takes_turns square", "takes_turns_too sort"];
    let start = |jobs: &str| {
        let line = format!("test --features profiling --test profiling -- --exact --samples 10 {jobs}");
        let mut command = sandbox.cargo(&line);
        command.env("STAMPS", &stamps).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("cargo is there")
    };
    for mut run in jobs.map(start) {
        assert!(run.wait().expect("it is a child").success());
    }
    for job in jobs.iter().flat_map(|jobs| jobs.split(' ')) {
        let cases = if job == "sort" { 4 } else { 1 };
        assert_eq!(sandbox.profile(job)["sample_size"], 10, "{job}");
        assert_eq!(sandbox.samples(job).len(), cases * 10, "{job}");
    }
    let entries = sandbox.blueprint_profiles().jobs;
    assert!(entries[&0].is_profiled() && entries[&2].is_profiled());
    if cfg!(unix) {
        expect_no_overlap(&stamps);
    }
}

#[test]
fn nextest_lists_and_runs_each_job() {
    let sandbox = Sandbox::new(Package::zoo());
    if !run(&mut sandbox.cargo("nextest --version")).status.success() {
        eprintln!("skipped: cargo-nextest is not installed");
        return;
    }
    let list = run(&mut sandbox.cargo("nextest list --features profiling --test profiling --message-format json"));
    let list: Value = serde_json::from_str(&list.expect_code(0).stdout).expect("nextest prints JSON");
    let cases = list["rust-suites"]["zoo::profiling"]["testcases"].as_object().expect("the suite is listed");
    assert!(cases.keys().eq(JOBS), "{cases:?}");
    let ignored = |job: &str| cases[job]["ignored"].as_bool();
    assert!(JOBS.iter().all(|job| ignored(job) == Some(IGNORED.contains(job))), "{cases:?}");

    let stamps = sandbox.target().with_file_name("stamps");
    fs::create_dir(&stamps).expect("writable");
    let line = "nextest run --features profiling --test profiling --test-threads 2 --no-fail-fast";
    let outcome = run(sandbox.cargo(line).env("STAMPS", &stamps));
    let ran = JOBS.len() - IGNORED.len();
    outcome.expect_code(0).complains(&[&format!("{ran} tests run: {ran} passed, {} skipped", IGNORED.len())]);
    for job in JOBS.iter().filter(|job| !IGNORED.contains(job)) {
        let profile = sandbox.profile(job);
        let cases = profile["cases"].as_array().unwrap_or_else(|| panic!("{job}: {profile}"));
        let samples: u64 = cases.iter().filter_map(|case| case["samples"].as_u64()).sum();
        assert_eq!(sandbox.samples(job).len() as u64, samples, "{job}");
        assert!(profile["missing_cases"].is_null(), "{job}");
    }
    assert_eq!(sandbox.stored_files().len(), 2 * ran);
    assert!([0, 2, 5].iter().all(|id| sandbox.blueprint_profiles().jobs[id].is_profiled()));
    if cfg!(unix) {
        expect_no_overlap(&stamps);
    }
}

#[test]
fn benches_are_the_same_two_lines() {
    let sandbox = Sandbox::new(Package::zoo());
    // The profile `dev`, because `bench` would have every dependency compiled once more.
    let line = "bench --profile dev --features profiling -- --exact square";
    let bench = run(sandbox.cargo(line).env("PROFILING_SAMPLES", "5"));
    bench.expect_code(0).says(&["running 1 job\n", "1 passed; 0 failed"]);
    assert_eq!(sandbox.profile("square")["sample_size"], 5);
    let test = run(&mut sandbox.cargo("test --benches --features profiling -- --exact square"));
    test.expect_code(0).says(&["running 1 job\n"]);
    assert_eq!(sandbox.profile("square")["sample_size"], 10);
}

/// The manager looks beside the directory of the binary that it runs.
#[test]
fn a_build_for_a_target_has_the_managers_file_in_the_targets_directory() {
    let sandbox = Sandbox::new(Package::failing());
    run(sandbox.harness("--exact passes").env("PROFILING_OUT", sandbox.target())).expect_code(0);
    let triple = sandbox.profile("passes")["environment"]["target"].as_str().expect("it is known").to_owned();
    let beside = sandbox.target().join(&triple).join("blueprint-profiles.json");
    assert!(!beside.exists());
    let line = format!("test --features profiling --test profiling --target {triple} -- --exact passes");
    run(&mut sandbox.cargo(&line)).expect_code(0);
    let profiles = fs::read(&beside).expect("it is written there, too");
    assert_eq!(profiles, fs::read(sandbox.store().blueprint_profiles_path()).expect("it is always written"));
    assert!(sandbox.blueprint_profiles().jobs[&9].is_profiled());
    fs::remove_file(&beside).expect("it was just read");
    let line = "test --features profiling --test profiling -- --exact passes";
    run(sandbox.cargo(line).env("CARGO_BUILD_TARGET", &triple)).expect_code(0);
    assert!(beside.exists() && !sandbox.target().join(&triple).join(&triple).exists());
}
