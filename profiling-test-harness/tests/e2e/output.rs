//! What jobs print, and the processes that they leave behind.

use std::io::{Seek, Write};
#[cfg(target_os = "linux")]
use std::process::Command;

use crate::sandbox::{Package, Sandbox, run};

#[test]
fn of_a_flood_both_ends_are_kept() {
    let sandbox = Sandbox::new(Package::zoo());
    let outcome = run(&mut sandbox.harness("--exact talks_a_lot --show-output"));
    outcome.expect_code(0).says(&["stdout:\nfirst of stdout\nx", "last of stdout\nstderr:\nfirst of stderr\nx"]);
    outcome.says(&["x\nlast of stderr\n"]);
    let printed = "first of stdout\n".len() + 16 * 1024 * 64 + "last of stdout\n".len();
    let note = format!("[… {} bytes left out …]", printed - 128 * 1024);
    assert_eq!(outcome.stdout.matches(&note).count(), 2, "one per stream");
    assert!(outcome.stdout.len() < 260 * 1024, "{}", outcome.stdout.len());
}

#[test]
fn a_job_has_an_empty_input() {
    let sandbox = Sandbox::new(Package::zoo());
    let input = tempfile::tempfile().and_then(|mut file| {
        file.write_all(b"meant for the harness\n")?;
        file.rewind()?;
        Ok(file)
    });
    let mut harness = sandbox.harness("--exact reads_its_input");
    run(harness.stdin(input.expect("a file can be made"))).expect_code(0);
}

/// `script` is the terminal here.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_sees_a_live_line() {
    let sandbox = Sandbox::new(Package::zoo());
    let harness = sandbox.harness("");
    let mut script = Command::new("script");
    for (name, value) in harness.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    script.env("TERM", "xterm").current_dir(sandbox.package.path(""));
    let line = format!("{} --exact sleeps_40_ms", harness.get_program().display());
    let Ok(output) = script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).output() else {
        eprintln!("skipped: `script` is not installed");
        return;
    };
    let seen = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{seen}");
    for part in ["[0/1] sleeps_40_ms: execution 1/12", "\r\u{1b}[2K", "test sleeps_40_ms ... \u{1b}[32mok"] {
        assert!(seen.contains(part), "{part:?} is not in\n{seen}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn children_left_running_are_ended_with_their_job() {
    use std::time::Duration;

    use crate::processes;

    let sandbox = Sandbox::new(Package::zoo());
    // Whoever keeps standard output open would hold up the end of this, for ten minutes.
    for arguments in ["--exact leaves_children", "--exact leaves_children --nocapture"] {
        let outcome = run(&mut sandbox.harness(arguments));
        outcome.expect_code(0).says(&["1 passed; 0 failed"]);
        assert!(outcome.took < Duration::from_secs(10), "{outcome}");
        assert_eq!(processes::of(&sandbox), [] as [processes::Process; 0]);
    }
    let late = run(&mut sandbox.harness("--ignored --exact leaves_children_and_hangs"));
    late.expect_code(101).says(&["timed out: not finished after 1s, killed"]);
    assert!(late.took < Duration::from_secs(10), "{late}");
    assert_eq!(processes::of(&sandbox), [] as [processes::Process; 0]);
}
