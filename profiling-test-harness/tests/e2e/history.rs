//! What each run adds, and what is shown of it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::sandbox::{Package, Sandbox, own_directory, run, two_lines};

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("a line is an entry")).collect()
}

#[test]
fn every_run_adds_what_it_measured() {
    let sandbox = Sandbox::new(Package::zoo());
    let path = sandbox.store().history_path();
    run(&mut sandbox.harness("--exact square")).expect_code(0);
    run(&mut sandbox.harness("--exact square sort/n=10,order=up sort/n=100,order=up")).expect_code(0);
    let entries = lines(&path);
    let jobs: Vec<&str> = entries.iter().map(|entry| entry["job"].as_str().expect("a name")).collect();
    assert_eq!(jobs, ["square", "sort", "sort", "square"], "in the order of measuring");
    let (profile, last) = (sandbox.profile("square"), &entries[3]);
    assert_eq!(last["wall_ns"], profile["cases"][0]["wall_ns"]["p50"]);
    assert_eq!(last["allocations"], profile["cases"][0]["allocations"]["p50"]);
    for figure in ["profiled_at", "opt_level", "rustc", "cpu_model", "git_commit"] {
        assert_eq!(last[figure], profile["environment"][figure], "{figure}");
    }
    assert!(sandbox.stored_files().iter().all(|file| !file.contains("history")));

    let shown = run(&mut sandbox.harness("--history square"));
    let time = last["profiled_at"].as_str().expect("a text");
    shown.expect_code(0).says(&["square · opt-level 1 · ", "wall p50", time, "%"]);
    shown.never_says(&["sort", "running"]);
    run(&mut sandbox.harness("--history sort"))
        .expect_code(0)
        .says(&["sort/n=10,order=up · ", "sort/n=100,order=up · "]);
    let unknown = run(&mut sandbox.harness("--history squared"));
    unknown.expect_code(101).complains(&["no run has recorded `squared`", "There are: sort, square"]);
    assert_eq!(lines(&path).len(), 4, "to show is not to run");
}

#[test]
fn failed_jobs_and_runs_in_process_add_nothing() {
    let sandbox = Sandbox::new(Package::failing());
    run(&mut sandbox.harness("--exact passes panics")).expect_code(101);
    run(&mut sandbox.harness("--exact passes --in-process")).expect_code(0);
    let entries = lines(&sandbox.store().history_path());
    assert_eq!(entries.iter().map(|entry| &entry["job"]).collect::<Vec<_>>(), ["passes"]);
}

#[test]
fn runs_at_the_same_time_lose_nothing() {
    let sandbox = Sandbox::new(Package::zoo());
    sandbox.executable("profiling");
    let children: Vec<_> =
        (0..4).map(|_| sandbox.harness("--exact square -q").spawn().expect("the harness starts")).collect();
    for mut child in children {
        assert!(child.wait().expect("it ends").success());
    }
    assert_eq!(lines(&sandbox.store().history_path()).len(), 4);
}

/// A file that can be committed lies in the package, where jobs are watched for what they leave behind.
#[test]
fn a_file_of_the_users_choice_is_no_work_of_the_jobs() {
    let jobs = "#[profiling_core::profile_job(params(n = [1, 2]), args(n))]\npub fn double(n: u64) -> u64 { n + n }\n";
    let files = [("src/lib.rs", jobs), ("tests/profiling.rs", &two_lines("recorded"))];
    let sandbox = Sandbox::new(Package::at("recorded", &own_directory("recorded"), &files, ""));
    let path = sandbox.package.path("kept/history.jsonl");
    for _ in 0..2 {
        run(sandbox.harness("").env("PROFILING_HISTORY_FILE", "kept/history.jsonl")).expect_code(0);
    }
    assert_eq!(lines(&path).len(), 4);
    assert!(!sandbox.store().history_path().exists());
    assert_eq!(sandbox.profile("double")["stateful"], false, "{:#}", sandbox.profile("double"));

    // Cut off by a crash.
    let whole = fs::read(&path).expect("it was written");
    fs::write(&path, &whole[..whole.len() - 9]).expect("writable");
    let outcome = run(&mut sandbox.harness("--history double/n=2 --history-file kept/history.jsonl"));
    outcome.expect_code(0).complains(&["warning: `", "left out: line 4"]).says(&["double/n=2 · "]);
    outcome.never_says(&["double/n=1"]);

    // What can't be written is said, and costs no profile.
    let denied = run(&mut sandbox.harness("--samples 3 --history-file src"));
    denied.expect_code(101).complains(&["error: can't write `", "src`: "]);
    assert_eq!(sandbox.profile("double")["sample_size"], 3);
}
