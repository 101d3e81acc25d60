//! How jobs are found, and which sets of jobs are refused.

use profiling_core::JobProfile;

use crate::sandbox::{Package, Sandbox, run};

#[test]
fn no_job_is_an_error_with_the_way_out() {
    let sandbox = Sandbox::new(Package::variants());
    let outcome = run(&mut sandbox.cargo("test --features profiling --test no_jobs"));
    outcome.expect_code(101).complains(&["error: no job is registered", "`use variants as _;`"]);
    run(&mut sandbox.test_binary("no_jobs", "--list")).expect_code(101);
}

#[test]
fn two_jobs_of_one_id_or_name_are_refused() {
    let sandbox = Sandbox::new(Package::variants());
    for arguments in ["", "--list --format terse", "one"] {
        let ids = run(&mut sandbox.test_binary("duplicate_ids", arguments));
        ids.expect_code(101).complains(&[
            "error: two jobs have `id = 3`",
            "duplicate_ids::first::one (tests/duplicate_ids.rs:2)",
            "duplicate_ids::second::other (tests/duplicate_ids.rs:7)",
        ]);
        let names = run(&mut sandbox.test_binary("duplicate_names", arguments));
        names.expect_code(101).complains(&[
            "error: two jobs are named `same`",
            "duplicate_names::first::same (tests/duplicate_names.rs:2)",
            "duplicate_names::second::same (tests/duplicate_names.rs:7)",
        ]);
        assert_eq!(ids.stdout.clone() + &names.stdout, "", "nextest would take it for jobs");
    }
}

/// Tangle's manager pairs ids with profiles by position.
#[test]
fn registered_ids_without_a_profile_are_refused() {
    let sandbox = Sandbox::new(Package::failing());
    run(sandbox.harness("--exact panics").env("GOOD_DAY", "1")).expect_code(0);
    let entries = sandbox.blueprint_profiles().jobs;
    assert_eq!(entries.len(), 11);
    assert!(entries[&0].is_profiled() && !entries[&0].stateful);
    assert!((1..11).all(|id| entries[&id] == JobProfile::not_profiled()));
}

#[test]
fn linkme_finds_the_same_jobs() {
    let sandbox = Sandbox::new(Package::zoo());
    let outcome = run(&mut sandbox.cargo("test --features linkme --test profiling -- --exact square sort"));
    outcome.expect_code(0).says(&["running 2 jobs", "2 passed; 0 failed", "21 filtered out"]);
    assert_eq!(sandbox.samples("square").len(), 10);
    assert_eq!(sandbox.samples("sort").len(), 16);
}
