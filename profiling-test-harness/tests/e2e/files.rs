//! Whose the files are that lie there afterwards.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::sandbox::{Outcome, Package, Sandbox, own_directory, run, two_lines};

/// The jobs that leave something, with what they leave.
const LEAVERS: [(&str, &str); 5] = [
    ("leaves_in_a_new_directory", "new/deep/0"),
    ("leaves_an_empty_file_once", "once"),
    ("leaves_by_renaming", "renamed"),
    ("leaves_a_directory", "made"),
    ("leaves_by_a_child", "by-a-child"),
];
const INNOCENT: [&str; 3] = ["sorts", "removes_what_it_writes", "reads_what_setup_wrote"];

struct Leaver {
    sandbox: Sandbox,
    directory: PathBuf,
}

fn leaver(name: &'static str) -> Leaver {
    let directory = own_directory(name);
    let source = include_str!("../fixtures/leaver.rs");
    let files = [("src/lib.rs", source), ("tests/profiling.rs", &*two_lines(name))];
    Leaver { sandbox: Sandbox::alone(Package::at(name, &directory, &files, "")), directory }
}

fn sentences(profile: &Value) -> String {
    profile["stateful_evidence"].to_string()
}

impl Leaver {
    #[track_caller]
    fn expect_innocent(&self, jobs: &[&str]) {
        for job in jobs {
            let profile = self.sandbox.profile(job);
            assert_eq!(profile["stateful"], false, "{job}: {}", sentences(&profile));
            assert_eq!(profile["cases"][0]["evidence"], Value::Null, "{job}");
        }
    }
}

/// A process that rewrites a file every few milliseconds, TMPDIR within the working directory, output redirected.
#[test]
fn only_what_a_job_wrote_is_its_own() {
    let leaver = leaver("leaver");
    let log = fs::File::create(leaver.directory.join("run.log")).expect("writable");
    fs::create_dir(leaver.directory.join("scratch")).expect("writable");
    let mut harness = leaver.sandbox.harness("");
    harness.env("TMPDIR", leaver.directory.join("scratch")).stdout(log);
    let done = AtomicBool::new(false);
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                fs::write(leaver.directory.join("blueprint.json.new"), "{}").expect("writable");
                fs::write(leaver.directory.join("default_1.profraw"), "x").expect("writable");
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let ran = run_to_log(&mut harness);
        done.store(true, Ordering::Relaxed);
        ran
    });
    assert!(ran, "{}", fs::read_to_string(leaver.directory.join("run.log")).unwrap_or_default());
    leaver.expect_innocent(&INNOCENT);
    for (job, path) in LEAVERS {
        let profile = leaver.sandbox.profile(job);
        assert_eq!(profile["stateful"], true, "{job}: {}", profile["cases"][0]["evidence"]);
        let path = leaver.directory.join(path).canonicalize().expect("it was left").display().to_string();
        assert!(sentences(&profile).contains(&path), "{job}: {}", sentences(&profile));
    }
    let log = fs::read_to_string(leaver.directory.join("run.log")).expect("written");
    assert!(log.contains("stateful: leaves_by_renaming leaves the file "), "{log}");
}

fn run_to_log(harness: &mut std::process::Command) -> bool {
    harness.status().expect("it runs").success()
}

#[test]
fn where_namespaces_are_denied_nobody_is_accused() {
    let leaver = leaver("denied");
    let mut harness = leaver.sandbox.harness("--exact sorts leaves_by_renaming removes_what_it_writes");
    // There is no `unshare` to be found.
    let ran: Outcome = run(harness.env("PATH", "/nowhere"));
    ran.expect_code(0).says(&["perhaps stateful: leaves_by_renaming may leave the file ", "renamed behind: "]);
    leaver.expect_innocent(&["sorts", "removes_what_it_writes"]);
    let profile = leaver.sandbox.profile("leaves_by_renaming");
    assert_eq!(profile["stateful"], false, "{profile}");
    let finding = &profile["cases"][0]["evidence"][0];
    assert_eq!((&finding["kind"], &finding["certainty"]), (&"file".into(), &"unknown".into()));
    assert!(finding["reason"].as_str().is_some_and(|reason| reason.contains("unshare")), "{finding}");
}
