//! A run that is ended from outside leaves no process and no half-written file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use tempfile::TempDir;

use crate::cgroups;
use crate::processes::{self, Process};
use crate::sandbox::{Package, Sandbox, run, started_by};

const RUN: &str = "--samples 60";
const JOBS: u32 = 40;

fn interrupt_at_many_moments(rounds: u32, interrupt: fn(&Child)) {
    let sandbox = Sandbox::new(Package::variants());
    let whole = run(&mut sandbox.test_binary("many", RUN));
    whole.expect_code(0);
    for round in 0..rounds {
        let mut command = sandbox.test_binary("many", RUN);
        let command = command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null());
        let mut supervisor = command.spawn().expect("it ran before");
        std::thread::sleep(whole.took * round / rounds);
        interrupt(&supervisor);
        supervisor.wait().expect("it is a child");
        processes::expect_none(&sandbox);
        expect_whole_files(&sandbox);
    }
    // What was being written is swept away, and nothing that was interrupted is in the way.
    run(&mut sandbox.test_binary("many", RUN)).expect_code(0).says(&[&format!("{JOBS} passed; 0 failed")]);
    let store = sandbox.store();
    for directory in [store.root(), &store.profiling_directory(), &store.directory()] {
        let names = fs::read_dir(directory).expect("it exists").map(|entry| entry.expect("readable").file_name());
        let temporary: Vec<_> = names.filter(|name| is_temporary(&name.to_string_lossy())).collect();
        assert!(temporary.is_empty(), "{temporary:?}");
    }
}

/// Between two messages to its supervisor, a worker notices nothing by itself.
#[test]
fn a_job_that_never_returns_ends_with_its_supervisor() {
    let sandbox = Sandbox::new(Package::failing());
    let mut command = sandbox.harness("--exact loops_forever --timeout 600s");
    let mut supervisor = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it ran before");
    let deadline = Instant::now() + Duration::from_secs(10);
    let is_worker = |process: &Process| process.command.contains("loops_forever") && process.id != supervisor.id();
    while !processes::of(&sandbox).iter().any(is_worker) {
        assert!(Instant::now() < deadline, "no worker has started");
        std::thread::sleep(Duration::from_millis(5));
    }
    // As it starts, it sees for itself whether its supervisor is there.
    std::thread::sleep(Duration::from_millis(500));
    supervisor.kill().expect("it is a child that wasn't waited for");
    supervisor.wait().expect("it is a child");
    processes::expect_none(&sandbox);
}

/// Every profile is whole, with all its samples.
#[track_caller]
fn expect_whole_files(sandbox: &Sandbox) {
    for name in sandbox.stored_files() {
        if let Some(job) = name.strip_suffix(".samples.jsonl.gz") {
            assert_eq!(sandbox.samples(job).len(), 60, "{name}");
        } else if let Some(job) = name.strip_suffix(".json") {
            assert_eq!(sandbox.profile(job)["sample_size"], 60, "{name}");
        } else {
            assert!(is_temporary(&name), "{name}");
        }
    }
    let path = sandbox.store().blueprint_profiles_path();
    let entries: Value = serde_json::from_slice(&fs::read(path).expect("a whole run wrote it")).expect("it is whole");
    assert_eq!(entries["jobs"].as_object().map(serde_json::Map::len), Some(JOBS as usize));
}

fn is_temporary(name: &str) -> bool {
    name.strip_suffix(".tmp").is_some_and(|name| name.starts_with(".profiling-"))
}

fn id(supervisor: &Child) -> Pid {
    Pid::from_child(supervisor)
}

#[test]
fn kill() {
    interrupt_at_many_moments(30, |supervisor| {
        kill_process(id(supervisor), Signal::KILL).expect("it is a child that wasn't waited for");
    });
}

/// A terminal sends the signal to everyone in the group.
#[test]
fn control_c() {
    interrupt_at_many_moments(20, |supervisor| {
        kill_process_group(id(supervisor), Signal::INT).expect("it leads a group that wasn't waited for");
    });
}

const SIGNALS: [(Signal, &str, i32); 3] =
    [(Signal::INT, "SIGINT", 130), (Signal::TERM, "SIGTERM", 143), (Signal::HUP, "SIGHUP", 129)];

#[track_caller]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The supervisor alone gets the signal.
fn expect_nothing_left(sandbox: &Sandbox, mut harness: Command, (signal, name, code): (Signal, &str, i32)) {
    let temporary = TempDir::new().expect("writable");
    harness.env("TMPDIR", temporary.path()).stdout(Stdio::null()).stderr(Stdio::piped());
    let supervisor = harness.spawn().expect("it ran before");
    let sleeping = || processes::of(sandbox).iter().filter(|process| process.command.starts_with("sleep 100")).count();
    wait_until("all of its processes run", || sleeping() == 4);
    kill_process(id(&supervisor), signal).expect("it is a child that wasn't waited for");
    let ended = supervisor.wait_with_output().expect("it is a child");
    let says = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(code), "{name}: {says}");
    assert!(says.contains(&format!("ended by {name}: the profiles of 1 job are kept in ")), "{says}");
    assert_eq!(sandbox.profile("removes_its_file")["sample_size"], 2);
    assert_eq!(sandbox.profile("starts_daemons_and_never_ends"), Value::Null);
    processes::expect_none(sandbox);
    let root = fs::read_dir(temporary.path()).expect("it is there").next().expect("the root").expect("readable");
    assert_eq!(fs::read_dir(root.path()).expect("it is there").count(), 0, "the run's directory is there");
}

const INTERRUPTED: &str = "--exact removes_its_file starts_daemons_and_never_ends";

#[test]
fn whatever_a_job_has_started_ends_with_its_run() {
    let sandbox = Sandbox::new(Package::keeper());
    for signal in SIGNALS {
        // Whoever started the tests may ignore signals, as `nohup` does; so would the run.
        let heard = started_by(&["env", "--default-signal"], &sandbox.harness(INTERRUPTED));
        expect_nothing_left(&sandbox, heard, signal);
    }
}

#[test]
fn also_where_there_are_no_control_groups() {
    let sandbox = Sandbox::new(Package::keeper());
    let Some(harness) = cgroups::without(&sandbox.harness(INTERRUPTED)) else {
        return eprintln!("skipped: this machine lets us hide no control groups");
    };
    expect_nothing_left(&sandbox, harness, SIGNALS[1]);
}

#[test]
fn a_second_signal_ends_a_run_at_once() {
    let sandbox = Sandbox::new(Package::keeper());
    let programs = TempDir::new().expect("writable");
    let [unshare, waits] = ["unshare", "waits"].map(|name| programs.path().join(name));
    // What a supervisor waits for without looking up.
    fs::write(&unshare, format!("#!/bin/sh\n: >{}\nexec /bin/sleep 4\n", waits.display())).expect("writable");
    fs::set_permissions(&unshare, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let mut harness = sandbox.harness("--exact writes_where_it_works");
    harness.env("PATH", programs.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut supervisor = harness.spawn().expect("it ran before");
    wait_until("it waits for a program", || waits.exists());
    kill_process(id(&supervisor), Signal::TERM).expect("it is a child that wasn't waited for");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(supervisor.try_wait().expect("it is a child"), None, "it goes back the way it came");
    kill_process(id(&supervisor), Signal::TERM).expect("it is a child that wasn't waited for");
    let begin = Instant::now();
    assert_eq!(supervisor.wait().expect("it is a child").code(), Some(143));
    assert!(begin.elapsed() < Duration::from_secs(2), "it has waited");
    processes::expect_none(&sandbox);
}
