//! Jobs that fail: each alone, with its reason, and without a profile of better days.

use std::time::Duration;

use profiling_core::JobProfile;

use crate::sandbox::{Package, Sandbox, run};

const FAILING: [&str; 10] = [
    "panics",
    "errs_at_3",
    "errs_in_warmup",
    "aborts",
    "segfaults",
    "overflows_the_stack",
    "exits_in_the_middle",
    "loops_forever",
    "returns_ok_too_late",
    "closes_all_descriptors",
];

/// What the section of a failed job says, up to the next section.
fn section<'a>(stdout: &'a str, job: &str) -> &'a str {
    let header = format!("---- {job} ----\n");
    let (_, rest) = stdout.split_once(&header).unwrap_or_else(|| panic!("no section for {job} in\n{stdout}"));
    rest.split("\n---- ").next().unwrap_or(rest)
}

#[test]
fn each_failure_is_named_and_costs_the_job_its_profile() {
    let sandbox = Sandbox::alone(Package::failing());
    let good = run(sandbox.cargo("test --features profiling").env("GOOD_DAY", "1"));
    good.expect_code(0).says(&["11 passed; 0 failed"]);
    assert_eq!(sandbox.stored_files().len(), 22);
    assert!(sandbox.blueprint_profiles().jobs.values().all(JobProfile::is_profiled));

    let bad = run(&mut sandbox.harness(""));
    bad.expect_code(101).says(&["1 passed; 10 failed"]);
    // Two deadlines of 1 s each, and 5 s.
    assert!(bad.took < Duration::from_secs(7), "{bad}");
    let expected = [
        ("panics", "failed in execution 0 (a warm-up): panicked at src/lib.rs:14:5: the job panicked"),
        ("errs_at_3", "failed in execution 3 (sample 2): returned Err: the job returned \\u{1b}[31man error"),
        ("errs_in_warmup", "failed in execution 0 (a warm-up): returned Err: only the warm-up fails"),
        ("exits_in_the_middle", "failed in execution 2 (sample 1): exited with code 0 before it was done"),
        ("loops_forever", "failed in execution 0 (a warm-up): timed out: not finished after 1s, killed"),
        ("returns_ok_too_late", "failed in execution 0 (a warm-up): timed out: not finished after 1s, killed"),
    ];
    for (job, reason) in expected {
        assert!(section(&bad.stdout, job).starts_with(reason), "{job}: {reason}\n{bad}");
    }
    #[cfg(unix)]
    for (job, reason) in [
        ("aborts", "failed in execution 0 (a warm-up): killed by SIGABRT"),
        ("segfaults", "failed in execution 0 (a warm-up): killed by SIGSEGV"),
        ("overflows_the_stack", "failed in execution 0 (a warm-up): stack overflow (SIGABRT)"),
        (
            "closes_all_descriptors",
            "failed in execution 1 (sample 0): exited with code 102 before it was done, as its worker does when it \
             can't reach the harness any more: does the job close file descriptors that it has not opened?",
        ),
    ] {
        assert!(section(&bad.stdout, job).starts_with(reason), "{job}: {reason}\n{bad}");
    }
    assert!(section(&bad.stdout, "panics").contains("stdout:\nprinted before the panic\n"), "{bad}");
    assert!(section(&bad.stdout, "aborts").contains("stderr:\nprinted before the abort\n"), "{bad}");

    assert_eq!(sandbox.stored_files(), ["passes.json", "passes.samples.jsonl.gz"]);
    assert_eq!(sandbox.profile("passes")["sample_size"], 3);
    assert_eq!(sandbox.samples("passes").len(), 3);
    let entries = sandbox.blueprint_profiles().jobs;
    assert_eq!(entries.len(), 11);
    for (id, entry) in entries {
        assert_eq!(entry.is_profiled(), id == 9, "{id}: {entry:?}");
        assert_eq!(entry == JobProfile::not_profiled(), id != 9, "{id}: {entry:?}");
    }
    // One line each while it runs, and the names once more at the end, as libtest has it.
    for job in FAILING {
        bad.says(&[&format!("test {job} ... FAILED: failed "), &format!("\n    {job}\n")]);
    }
    bad.says(&["test passes ... ok (3 samples, p50 "]);
}
