//! Whether jobs can run where they are to run.

use crate::sandbox::{Package, Sandbox, run};

/// Jobs are built without optimisation here, which leaves what depends on time and memory open.
#[test]
fn a_job_that_cannot_run_on_its_target_fails_with_the_reasons() {
    let sandbox = Sandbox::new(Package::unoptimised_limits());
    let outcome = run(&mut sandbox.harness("--exact fits_perhaps fits_nowhere"));
    outcome.expect_code(101).says(&[
        "---- fits_nowhere ----\ncan't run on its target aws-lambda:\n",
        "- keeps state between executions, as declared\n",
        "    fits_nowhere\n",
        "warning: fits_perhaps: not known to run on aws-lambda: measured in a build without optimisation",
        "1 passed; 1 failed",
    ]);
    assert_eq!(sandbox.profile("fits_nowhere")["advice"]["platforms"][0]["verdict"], "incompatible");
    run(&mut sandbox.harness("--exact fits_perhaps")).expect_code(0);
}

#[test]
fn a_target_that_is_no_platform_is_refused() {
    let sandbox = Sandbox::new(Package::variants());
    let outcome = run(&mut sandbox.test_binary("unknown_target", ""));
    outcome.expect_code(101).complains(&[
        "error: the job `goes_nowhere` has the target `aws-lamda`, which is no platform; did you mean `aws-lambda`?",
    ]);
    assert!(!sandbox.store().profiling_directory().exists(), "nothing was measured");
}
