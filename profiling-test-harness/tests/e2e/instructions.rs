//! `--instructions`: the same figure however busy the machine is, and an error that says what is missing.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::sandbox::{Outcome, Package, Sandbox, has_valgrind, run};

/// Keeps every CPU of the machine busy meanwhile.
fn while_busy<T>(work: impl FnOnce() -> T) -> T {
    /// Ends the others even if `work` panics.
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| while !black_box(&stop).load(Ordering::Relaxed) {});
        }
        work()
    })
}

/// The instructions of each of a job's cases.
fn instructions(sandbox: &Sandbox, job: &str) -> Vec<u64> {
    let profile = sandbox.profile(job);
    let cases = profile["cases"].as_array().unwrap_or_else(|| panic!("no cases of {job}: {profile}"));
    cases.iter().map(|case| case["instructions"].as_u64().unwrap_or_else(|| panic!("not counted: {case}"))).collect()
}

#[test]
fn of_all_threads_and_the_same_on_a_busy_machine() {
    if !has_valgrind() {
        return;
    }
    let sandbox = Sandbox::new(Package::counting());
    let all = run(&mut sandbox.harness("--exact --instructions sums sums_on_a_thread sums_at_first does_nothing"));
    all.expect_code(0).says(&["instructions"]);
    let [sums, on_a_thread, at_first, nothing] =
        ["sums", "sums_on_a_thread", "sums_at_first", "does_nothing"].map(|job| instructions(&sandbox, job));
    let sums = sums[0];
    assert!(sums >= 200_000, "an instruction per number at the least: {sums}");
    assert!((sums..sums + sums / 10).contains(&on_a_thread[0]), "what a thread does is counted: {on_a_thread:?}");
    assert!(at_first[0] < 200, "the warm-up was counted: {at_first:?}");
    assert!(
        nothing.len() == 2 && nothing.iter().all(|&count| count < 200),
        "something of ours is counted: {nothing:?}"
    );

    for _ in 0..3 {
        let busy = while_busy(|| run(&mut sandbox.harness("--exact --instructions sums sums_in_two_tasks")));
        busy.expect_code(0);
        let (again, in_tasks) = (instructions(&sandbox, "sums")[0], instructions(&sandbox, "sums_in_two_tasks")[0]);
        assert!(again.abs_diff(sums) * 1000 <= sums, "more than 0.1 % apart: {sums}, {again}");
        assert!((2 * sums..2 * sums + sums / 10).contains(&in_tasks), "what the tasks do is counted: {in_tasks}");
    }
}

#[test]
fn only_on_demand() {
    let sandbox = Sandbox::new(Package::counting());
    run(&mut sandbox.harness("--exact sums")).expect_code(0).never_says(&["instructions"]);
    assert!(sandbox.profile("sums")["cases"][0].get("instructions").is_none());
    if has_valgrind() {
        run(sandbox.harness("--exact sums").env("PROFILING_INSTRUCTIONS", "1")).expect_code(0);
        assert_eq!(sandbox.profile("sums")["sample_size"], 2, "the other figures are those without Valgrind");
        assert!(instructions(&sandbox, "sums")[0] >= 200_000);
    }
}

#[test]
fn a_job_that_fails_under_valgrind_fails() {
    if !has_valgrind() {
        return;
    }
    let sandbox = Sandbox::new(Package::counting());
    let outcome: Outcome = run(&mut sandbox.harness("--exact aborts_under_valgrind --ignored --instructions"));
    outcome.expect_code(101).says(&[
        "failed in execution 0 (a warm-up): while valgrind counted its instructions: killed by SIGABRT\n",
        "Process terminating with default action of signal 6",
        "stderr:\naborting\n",
    ]);
    assert!(sandbox.profile("aborts_under_valgrind").is_null());
}

#[test]
fn without_valgrind_nothing_is_measured() {
    let sandbox = Sandbox::new(Package::counting());
    let nowhere = sandbox.target().with_file_name("nowhere");
    let outcome = run(sandbox.harness("--exact sums --instructions").env("PATH", nowhere));
    outcome
        .expect_code(101)
        .complains(&["error: --instructions needs Valgrind", "apt-get install valgrind"])
        .never_says(&["running", "test sums"]);
    assert!(sandbox.profile("sums").is_null());
    run(&mut sandbox.harness("--instructions --in-process")).expect_code(101).complains(&["--in-process"]);
}
