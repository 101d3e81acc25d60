//! What `setup`, `args`, `verify`, `teardown` and fixtures have running is not the job's; what it starts itself is.

use serde_json::Value;

use crate::sandbox::{Package, Sandbox, run};

/// Runs these jobs and returns their profiles.
fn profiles<const N: usize>(jobs: [&str; N]) -> [Value; N] {
    let sandbox = Sandbox::alone(Package::bystanders());
    run(&mut sandbox.harness(&format!("--exact {}", jobs.join(" ")))).expect_code(0);
    jobs.map(|job| sandbox.profile(job))
}

/// What was found of a kind, and how sure it is.
fn found<'a>(profile: &'a Value, kind: &str) -> Vec<(&'a Value, bool)> {
    let findings = profile["cases"][0]["evidence"].as_array().into_iter().flatten();
    findings.filter(|one| one["kind"] == kind).map(|one| (one, one["certainty"] == "seen")).collect()
}

#[track_caller]
fn expect_not_accused(profile: &Value) {
    let evidence = &profile["cases"][0]["evidence"];
    assert_eq!(
        (&profile["stateful"], &profile["persistent_connections"]),
        (&false.into(), &false.into()),
        "{evidence}"
    );
    for kind in ["listener", "connection", "thread", "threads", "process"] {
        assert_eq!(found(profile, kind), [], "{kind}: {evidence}");
    }
    for (heap, is_seen) in found(profile, "heap") {
        assert!(!is_seen && heap["reason"].as_str().is_some_and(|reason| reason.contains("running beside")), "{heap}");
    }
}

/// Each thing by its name; `listeners` of them.
#[track_caller]
fn expect_found(profile: &Value, listeners: usize) {
    let evidence = &profile["cases"][0]["evidence"];
    assert_eq!((&profile["stateful"], &profile["persistent_connections"]), (&true.into(), &true.into()), "{evidence}");
    for (kind, name) in [("thread", "jobs"), ("process", "cat")] {
        let all = found(profile, kind);
        assert!(matches!(all[..], [(one, true)] if one["name"] == name), "{kind}: {evidence}");
    }
    for kind in ["listener", "connection"] {
        let seen = found(profile, kind).into_iter().filter(|(_, is_seen)| *is_seen);
        let is_local = |one: &Value| one["address"].as_str().is_some_and(|address| address.starts_with("127.0.0.1:"));
        assert_eq!(seen.filter(|(one, _)| is_local(one)).count(), listeners, "{kind}: {evidence}");
    }
    let [(heap, true)] = found(profile, "heap")[..] else { panic!("{evidence}") };
    assert!((1 << 20..(1 << 20) + 8_192).contains(&heap["bytes"].as_i64().expect("a number")), "{heap}");
}

#[test]
fn what_setup_and_the_like_start_is_not_the_jobs() {
    let jobs = ["beside_setup", "beside_args", "beside_fixture", "before_verify_and_teardown"];
    profiles(jobs).iter().for_each(expect_not_accused);
    profiles(["beside_setup_async", "beside_fixture_async"]).iter().for_each(expect_not_accused);
}

#[test]
fn the_children_of_a_server_are_not_the_jobs() {
    let [profile] = profiles(["beside_a_server_that_forks"]);
    expect_not_accused(&profile);
    assert_eq!(profile["cases"][0]["evidence"], Value::Null, "{profile}");
}

#[test]
fn a_server_in_the_process_is_not_the_jobs() {
    for profile in profiles(["asks_a_server_of_setup", "asks_a_server_of_the_fixture"]) {
        expect_not_accused(&profile);
        // It is the server that keeps what it was sent; but that only we know.
        assert_eq!(found(&profile, "heap").len(), 1, "{profile}");
    }
}

#[test]
fn what_the_job_starts_is_found_by_its_name() {
    // Two warm-ups.
    for profile in profiles(["starts_all", "starts_all_async", "starts_all_after_args"]) {
        expect_found(&profile, 10);
    }
    let [server] = profiles(["starts_a_server"]);
    assert_eq!(server["persistent_connections"], true, "{server}");
    assert!(found(&server, "listener").iter().all(|&(_, is_seen)| is_seen), "{server}");
}

#[test]
fn both_are_told_apart() {
    let [both] = profiles(["starts_all_beside_others"]);
    expect_found(&both, 10);
    // The job's threads go on running: what `setup` opens meanwhile may be theirs.
    let unclear = found(&both, "listener").into_iter().filter(|(_, is_seen)| !is_seen).count();
    assert!(unclear <= 10, "{both}");
}

/// It may be either's; only what can be told is said.
#[test]
fn what_may_be_the_jobs_is_neither_an_accusation_nor_an_acquittal() {
    let jobs = ["asks_a_server_that_keeps_a_log", "takes_what_is_interned", "starts_what_listens_later"];
    let [log, interned, later] = profiles(jobs);
    let unknown = |profile: &Value, kind: &str| {
        let all = found(profile, kind);
        assert!(!all.is_empty() && all.iter().all(|(_, is_seen)| !is_seen), "{kind}: {profile}");
    };
    unknown(&log, "file");
    unknown(&interned, "heap");
    unknown(&later, "listener");
    assert_eq!((&log["stateful"], &interned["stateful"]), (&false.into(), &false.into()));
}
