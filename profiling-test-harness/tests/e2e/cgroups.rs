//! What this machine permits with control groups, and that none are left behind.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::processes;
use crate::sandbox::{Package, Sandbox, run, started_by};

/// The groups of version 1 that this process's memory, CPU time and threads are counted in.
pub(crate) fn own() -> Vec<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").expect("this is Linux");
    let own = |controller: &str| {
        let path = groups.lines().find_map(|line| line.split_once(&format!(":{controller}:/")))?.1;
        Some(PathBuf::from("/sys/fs/cgroup").join(controller).join(path))
    };
    ["memory", "cpu", "pids"].into_iter().filter_map(own).collect()
}

/// Whether control groups can be made for sure; with version 2 alone, who knows.
pub(crate) fn can_be_made() -> bool {
    let name = format!("profiling-test-{:?}", std::thread::current().id());
    let groups: Vec<PathBuf> = own().iter().map(|own| own.join(&name)).collect();
    groups.len() == 3 && groups.iter().all(|group| fs::create_dir(group).is_ok_and(|()| fs::remove_dir(group).is_ok()))
}

/// The same command where there are no control groups, if this machine lets us hide them.
pub(crate) fn without(command: &Command) -> Option<Command> {
    hidden_by(command, "")
}

/// The same command where there are directories in the place of control groups: those can be made, but not entered.
fn with_directories(command: &Command) -> Option<Command> {
    let make: String = own().iter().map(|own| format!("&& mkdir -p '{}' ", own.display())).collect();
    hidden_by(command, &make)
}

/// `make`: what is done once they are hidden.
fn hidden_by(command: &Command, make: &str) -> Option<Command> {
    let hide = format!("mount -t tmpfs none /sys/fs/cgroup {make}&& exec \"$@\"");
    let hiding = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", &hide, "sh"];
    let works = started_by(&hiding, &Command::new("true")).stderr(Stdio::null()).status();
    works.is_ok_and(|status| status.success()).then(|| started_by(&hiding, command))
}

/// The groups that a supervisor has made and that are there.
pub(crate) fn groups_of(supervisor: u32) -> Vec<PathBuf> {
    let prefix = format!("profiling-{supervisor}-");
    let groups = own().into_iter().flat_map(|own| fs::read_dir(own).into_iter().flatten().flatten());
    let ours = groups.filter(|group| group.file_name().to_string_lossy().starts_with(&prefix));
    ours.map(|group| group.path()).collect()
}

/// Starts a supervisor with a temporary directory of its own, which no other may sweep, and kills it once it has got
/// that far. Returns its process id.
pub(crate) fn kill_once(mut harness: Command, temporary: &TempDir, is_there: impl Fn(u32) -> bool) -> u32 {
    harness.env("TMPDIR", temporary.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut supervisor = harness.spawn().expect("it ran before");
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_there(supervisor.id()) {
        assert!(Instant::now() < deadline, "it has not got that far");
        std::thread::sleep(Duration::from_millis(5));
    }
    supervisor.kill().expect("it is a child that wasn't waited for");
    supervisor.wait().expect("it is a child");
    supervisor.id()
}

/// Also ends what the job had started, which nobody else can find.
#[test]
fn what_a_killed_run_leaves_is_removed_by_the_next() {
    if !can_be_made() {
        return eprintln!("skipped: this machine lets us make no control groups");
    }
    let sandbox = Sandbox::new(Package::keeper());
    let temporary = tempfile::tempdir().expect("writable");
    let harness = sandbox.harness("--exact has_a_child_and_never_ends");
    let supervisor = kill_once(harness, &temporary, |supervisor| {
        let has_started = processes::of(&sandbox).iter().any(|process| process.command.starts_with("sleep"));
        assert!(!has_started || !groups_of(supervisor).is_empty(), "it runs in none");
        has_started
    });
    let mut next = sandbox
        .harness("--exact removes_its_file")
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it ran before");
    assert!(next.wait().expect("it is a child").success());
    assert_eq!(groups_of(supervisor), Vec::<PathBuf>::new());
    assert_eq!(groups_of(next.id()), Vec::<PathBuf>::new());
    processes::expect_none(&sandbox);
}

#[test]
fn a_group_that_cannot_be_entered_fails_no_case() {
    let sandbox = Sandbox::new(Package::keeper());
    let Some(mut harness) = with_directories(&sandbox.harness("--exact removes_its_file has_a_short_child")) else {
        return eprintln!("skipped: this machine lets us hide no control groups");
    };
    let outcome = run(&mut harness);
    outcome.expect_code(0).says(&["2 passed; 0 failed"]);
    // Where groups of version 1 are hidden, for sure.
    let notes = outcome.stderr.matches("note: a control group can be made here, but not entered: ").count();
    assert_eq!(notes, usize::from(!own().is_empty()), "{outcome}");
    assert_eq!(sandbox.profile("has_a_short_child")["sample_size"], 3);
    let Some(mut rehearsal) =
        with_directories(&sandbox.harness("--exact removes_its_file --rehearse cpus=1,memory=512MiB"))
    else {
        return;
    };
    run(&mut rehearsal)
        .expect_code(101)
        .complains(&["--rehearse needs control groups, and can't have them: can't write"]);
}
