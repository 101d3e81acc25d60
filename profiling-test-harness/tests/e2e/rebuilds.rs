//! A build that replaces the test binary while a run goes on.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::cgroups;
use crate::sandbox::{Outcome, Package, Sandbox, copy_program, run};

/// A binary that a run is started with, and the one that takes its place.
struct Builds {
    sandbox: Sandbox,
    directory: tempfile::TempDir,
}

impl Builds {
    fn new() -> Self {
        let sandbox = Sandbox::new(Package::rebuilt());
        let directory = tempfile::tempdir().expect("writable");
        let builds = Self { sandbox, directory };
        for (test, path) in [("old", builds.binary()), ("new", builds.next())] {
            copy_program(&builds.sandbox.executable(test), &path);
        }
        builds
    }

    fn binary(&self) -> PathBuf {
        self.directory.path().join("profiling")
    }

    fn next(&self) -> PathBuf {
        self.directory.path().join("built")
    }

    fn run(&self, arguments: &str) -> Outcome {
        let mut harness: Command = self.sandbox.command(self.binary(), arguments);
        run(harness.env("BINARY", self.binary()).env("NEW_BINARY", self.next()))
    }

    /// The allocations of each of a job's cases.
    fn allocations(&self, job: &str) -> Vec<Value> {
        let profile = self.sandbox.profile(job);
        let cases = profile["cases"].as_array().unwrap_or_else(|| panic!("no cases of {job}: {profile}"));
        cases.iter().map(|case| case["allocations"]["max"].clone()).collect()
    }

    /// What lies beside the binary.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).expect("readable");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

#[test]
fn the_rest_of_the_run_measures_what_was_started() {
    let builds = Builds::new();
    let old = fs::read(builds.binary()).expect("readable");
    let outcome = builds.run("--exact a_is_rebuilt b_allocates c_allocates --include-ignored --save-baseline kept");
    outcome.expect_code(0).complains(&["profiling` was replaced while this run goes on"]);
    assert!(fs::read(builds.binary()).expect("readable") != old, "it was replaced");
    assert_eq!(builds.allocations("b_allocates"), [100]);
    assert_eq!(builds.allocations("c_allocates"), [100, 200]);
    let starts = &builds.sandbox.profile("b_allocates")["cases"][0]["cold_start"];
    assert!(starts["startup_ns"].as_u64().is_some_and(|startup| startup > 0), "{starts}");
    let kept = builds.sandbox.store().profiling_directory().join(".baselines/rebuilt/kept/harness");
    assert!(fs::read(kept).expect("it was kept") == old, "the baseline has the binary that was started");
    assert_eq!(builds.names(), ["profiling"]);
}

/// A comparison runs copies; a rehearsal and Valgrind start the binary in ways of their own.
#[test]
fn so_do_all_passes() {
    let builds = Builds::new();
    let jobs = "--exact b_allocates c_allocates";
    builds.run(&format!("{jobs} --save-baseline before")).expect_code(0);
    let valgrind = Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success());
    let passes = [(valgrind, "--instructions"), (cgroups::can_be_made(), "--rehearse cpus=1,memory=512MiB")];
    for (possible, flags) in passes {
        eprintln!("{flags}: {}", if possible { "possible here" } else { "left out: this machine lacks what it needs" });
    }
    let passes: Vec<&str> = passes.into_iter().filter(|(possible, _)| *possible).map(|(_, flags)| flags).collect();
    let flags = format!("{jobs} a_is_rebuilt --include-ignored --baseline before {}", passes.join(" "));
    builds.run(&flags).expect_code(0).complains(&["was replaced while this run goes on"]);
    assert_eq!(builds.allocations("b_allocates"), [100]);
    let path = builds.sandbox.store().profiling_directory().join("comparison.json");
    let compared: Value = serde_json::from_slice(&fs::read(path).expect("it was written")).expect("it is JSON");
    let entries = compared["comparisons"].as_array().expect("a list");
    let allocations: Vec<&Value> = entries.iter().filter(|entry| entry["metric"] == "allocations").collect();
    assert!(!allocations.is_empty() && allocations.iter().all(|entry| entry["old"] == entry["new"]), "{compared}");
    let case = builds.sandbox.profile("b_allocates")["cases"][0].clone();
    if valgrind {
        let counted = case["instructions"].as_u64().unwrap_or_else(|| panic!("not counted: {case}"));
        assert!(counted > 1000, "{case}");
    }
    if cgroups::can_be_made() {
        assert_eq!(case["rehearsals"][0]["outcome"], "passed", "{case}");
    }
    assert_eq!(builds.names(), ["profiling"], "copies are removed");
}

/// Nothing can be run any more, and nothing is said of the jobs.
#[test]
fn a_binary_that_is_changed_in_its_place_is_refused_by_name() {
    let builds = Builds::new();
    builds.run("--exact b_allocates").expect_code(0);
    let outcome = builds.run("--exact a_is_changed b_allocates --include-ignored");
    let named = format!("the test binary `{}` was changed while this run goes on", builds.binary().display());
    outcome.expect_code(101).says(&["b_allocates", &named, "run it again"]);
    assert_eq!(builds.allocations("b_allocates"), [100], "the profile of an earlier run stays");
}
