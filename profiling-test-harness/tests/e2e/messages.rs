//! What a worker says to its supervisor: however much it is, and whatever it is.

use std::time::Duration;

use crate::sandbox::{Package, Sandbox, run};

#[test]
fn a_long_failure_is_told_by_its_two_ends() {
    let sandbox = Sandbox::new(Package::messages());
    let failed = run(&mut sandbox.harness("at_length"));
    failed.expect_code(101).says(&[
        "0 passed; 2 failed",
        "failed in execution 0 (sample 0): panicked at src/lib.rs:10:5: assertion `left == right` failed\n  left: \"xxx",
        "xxx2\"",
        "failed in execution 0 (sample 0): returned Err: éééé",
        " bytes left out …]\n",
    ]);
    // Of 10 MB each, and the first once more as the job has printed it.
    assert!(failed.stdout.len() < 400_000, "{}", failed.stdout.len());
    let left_out: Vec<usize> =
        failed.stdout.split("[… ").filter_map(|text| text.split_once(" bytes left out …]")?.0.parse().ok()).collect();
    assert_eq!(left_out.len(), 3, "{left_out:?}");
    assert!(left_out.iter().all(|bytes| (9_800_000..10_000_000).contains(bytes)), "{left_out:?}");
}

#[test]
fn a_long_failure_is_cut_in_process_too() {
    let sandbox = Sandbox::new(Package::messages());
    let failed = run(&mut sandbox.harness("--in-process errs_at_length"));
    failed.expect_code(101).says(&["returned Err: éééé", " bytes left out …]\n"]);
    assert!(failed.stdout.len() < 200_000, "{}", failed.stdout.len());
}

#[test]
#[cfg(target_os = "linux")]
fn a_message_without_an_end_moves_no_deadline() {
    let sandbox = Sandbox::new(Package::messages());
    let failed = run(&mut sandbox.harness("drips"));
    failed.expect_code(101).says(&["failed in execution 0 (sample 0): timed out: not finished after 1s, killed"]);
    assert!(failed.took < Duration::from_secs(20), "{failed}");
}

#[test]
#[cfg(target_os = "linux")]
fn what_is_no_message_is_refused() {
    let sandbox = Sandbox::new(Package::messages());
    let failed = run(&mut sandbox.harness("floods talks_nonsense"));
    failed.expect_code(101).says(&[
        "failed in execution 0 (sample 0): its worker sent more than 8 MiB without the end of a message",
        "failed in execution 0 (sample 0): its worker sent something that is no message",
    ]);
    assert!(failed.took < Duration::from_secs(30), "{failed}");
}

#[test]
fn a_worker_without_an_assignment_is_no_supervisor() {
    let sandbox = Sandbox::new(Package::messages());
    for (arguments, reason) in [
        ("__profiling-worker", "its assignment is missing"),
        (
            "__profiling-worker {\"job\":\"errs_at_length\"}",
            "its assignment `{\"job\":\"errs_at_length\"}` can't be read: missing field `case` at line 1 column 24",
        ),
        ("__profiling-worker errs_at_length", "its assignment `errs_at_length` can't be read: expected value"),
    ] {
        let refused = run(&mut sandbox.harness(arguments));
        refused.expect_code(102).complains(&["profiling: this worker can't run: ", reason]);
        assert_eq!(refused.stdout, "", "it has run something");
        assert!(sandbox.stored_files().is_empty());
    }
}
