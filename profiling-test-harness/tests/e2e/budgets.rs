//! Budgets that are kept, exceeded, and not known, on a busy machine too.

use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::sandbox::{Package, Sandbox, run};

/// What came of a job's budgets: name and outcome.
fn outcomes(sandbox: &Sandbox, job: &str) -> Vec<(String, String)> {
    let profile = sandbox.profile(job);
    let budgets = profile["cases"][0]["budgets"].as_array().unwrap_or_else(|| panic!("no budgets in {profile}"));
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    budgets.iter().map(|budget| (text(&budget["budget"]), text(&budget["outcome"]))).collect()
}

fn all_over(sandbox: &Sandbox, job: &str) -> bool {
    outcomes(sandbox, job).iter().all(|(_, outcome)| outcome == "over")
}

#[test]
fn memory_and_counts_are_judged_exactly() {
    let sandbox = Sandbox::new(Package::limits());
    let outcome = run(&mut sandbox.harness("memory peaks"));
    outcome.expect_code(101).says(&[
        "test memory_is_kept ... ok",
        "test memory_is_over ... FAILED: over budget: allocations 1 > 0",
        "over budget: allocated 4,096 B > 4,095 B\n",
        "over budget: peak_heap 32.0 MiB > 16.0 MiB\n",
        "over budget: peak_memory ",
        " over budget: allocations, allocated ",
        "    memory_is_over\n    peaks_are_over\n",
        "1 passed; 2 failed",
    ]);
    assert!(outcomes(&sandbox, "memory_is_kept").iter().all(|(_, outcome)| outcome == "within"), "{outcome}");
    // What was measured is true, and stays.
    assert!(all_over(&sandbox, "memory_is_over") && all_over(&sandbox, "peaks_are_over"));
    assert_eq!(sandbox.profile("memory_is_over")["cases"][0]["allocations"]["p50"], 1);
}

#[test]
fn what_is_not_sure_is_a_warning() {
    let sandbox = Sandbox::new(Package::limits());
    let outcome = run(&mut sandbox.harness("--exact nothing_is_sure"));
    outcome.expect_code(0).says(&[
        "near budget: p50 ",
        "too few samples to be sure",
        "warning: nothing_is_sure: budget instructions is not judged: instructions are counted with --instructions",
    ]);
    let strict = run(&mut sandbox.harness("--exact nothing_is_sure --budget-bound figure"));
    strict.expect_code(101).says(&["test nothing_is_sure ... FAILED: over budget: p50 "]);
    let variable = run(sandbox.harness("--exact nothing_is_sure").env("PROFILING_BUDGET_BOUND", "upper"));
    variable.expect_code(101);
}

/// Keeps a CPU busy until it is dropped.
struct Load(Child);

impl Load {
    fn start() -> Self {
        let busy = Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn();
        Self(busy.expect("there is a shell"))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A budget of 6% above the truth is kept, one of 10% below it is not, whatever else is running.
#[test]
fn times_are_judged_as_on_a_free_machine() {
    let sandbox = Sandbox::alone(Package::limits());
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    for busy in [0, 1, processors] {
        let _load: Vec<Load> = (0..busy).map(|_| Load::start()).collect();
        for _ in 0..2 {
            let outcome = run(&mut sandbox.harness("time_is"));
            outcome.expect_code(101).says(&[
                "test time_is_kept ... ok",
                "test time_is_over ... FAILED: over budget: p95 ",
                "test time_is_over_async ... FAILED: over budget: p50 ",
                "1 passed; 2 failed",
            ]);
            assert!(all_over(&sandbox, "time_is_over") && all_over(&sandbox, "time_is_over_async"), "{outcome}");
        }
    }
    // The job has failed, but its measurement is true: it stays in the manager's file.
    assert_eq!(sandbox.blueprint_profiles().jobs[&0].sample_size, 10);
}
