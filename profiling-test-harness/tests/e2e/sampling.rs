//! `samples = auto`: sampling ends when enough is known, or at a limit.

use std::time::Duration;

use serde_json::Value;

use crate::sandbox::{Package, Sandbox, run};

/// A job's only case.
fn case(sandbox: &Sandbox, job: &str) -> Value {
    sandbox.profile(job)["cases"][0].clone()
}

#[test]
fn sampling_ends_for_a_reason() {
    let sandbox = Sandbox::alone(Package::limits());
    let outcome = run(&mut sandbox.harness("--exact steady unsteady lasting alone"));
    outcome.expect_code(0);

    let steady = case(&sandbox, "steady");
    assert_eq!(steady["sampling"]["stopped"], "precision", "{steady}");
    assert!(steady["sampling"]["precision"].as_f64().is_some_and(|precision| precision <= 0.2), "{steady}");
    assert!(steady["samples"].as_u64().is_some_and(|samples| (10..500).contains(&samples)), "{steady}");

    let unsteady = case(&sandbox, "unsteady");
    assert_eq!((&unsteady["sampling"]["stopped"], &unsteady["samples"]), (&"max".into(), &19.into()), "{unsteady}");
    assert_eq!(unsteady["sampling"]["percentile"], "p50");
    assert_eq!(sandbox.samples("unsteady").len(), 19);

    let lasting = case(&sandbox, "lasting");
    assert_eq!(lasting["sampling"]["stopped"], "time", "{lasting}");
    // 15 ms each, 10 at most in 150 ms but for the last look.
    assert!(lasting["samples"].as_u64().is_some_and(|samples| (4..=11).contains(&samples)), "{lasting}");

    let alone = case(&sandbox, "alone");
    assert_eq!((&alone["sampling"]["stopped"], &alone["samples"]), (&"max".into(), &8.into()), "{alone}");
}

#[test]
fn every_way_to_say_auto_is_understood() {
    let sandbox = Sandbox::new(Package::limits());
    run(sandbox.harness("--exact memory_is_kept --samples").arg("auto(min = 7, max = 8, precision = 0.001%)"))
        .expect_code(0);
    let given = case(&sandbox, "memory_is_kept");
    assert!(given["samples"].as_u64().is_some_and(|samples| samples == 7 || samples == 8), "{given}");
    run(sandbox.harness("--exact memory_is_kept").env("PROFILING_SAMPLES", "auto")).expect_code(0);
    assert!(case(&sandbox, "memory_is_kept")["sampling"]["stopped"].is_string());
    run(&mut sandbox.harness("--exact steady --samples 3")).expect_code(0);
    let counted = case(&sandbox, "steady");
    assert_eq!((&counted["samples"], counted.get("sampling")), (&3.into(), None));
    run(&mut sandbox.harness("--exact steady --in-process")).expect_code(0).says(&["test steady ... ok ("]);
}

#[test]
fn deadlines_hold_between_turns() {
    let sandbox = Sandbox::alone(Package::limits());
    let outcome = run(&mut sandbox.harness("--exact hangs_at_12"));
    outcome.expect_code(101).says(&["failed in execution 12 (sample 12): timed out: not finished after 2s, killed"]);
    assert!(outcome.took < Duration::from_secs(8), "{outcome}");
}
