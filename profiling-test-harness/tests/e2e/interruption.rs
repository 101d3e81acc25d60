//! A run that is ended from outside leaves no process and no half-written file.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

use crate::processes::{self, Process};
use crate::sandbox::{Package, Sandbox, run};

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
