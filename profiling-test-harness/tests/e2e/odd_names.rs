//! What the kernel tells of processes whose names are no text, which are many, or which are in many groups.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use crate::sandbox::{Package, Sandbox, run};

#[test]
fn processes_with_names_that_are_no_text_are_measured() {
    let sandbox = Sandbox::alone(Package::keeper());
    let jobs = [
        "does_not_wait_for_its_oddly_named_child",
        "leaves_an_oddly_named_process",
        "takes_an_odd_name_and_runs_ten_threads",
    ];
    run(&mut sandbox.harness(&format!("--exact {}", jobs.join(" ")))).expect_code(0);
    let [child, process, threads] = jobs.map(|job| sandbox.profile(job));
    let cpu = child["cases"][0]["cpu_ns"]["p50"].as_f64().expect("measured") / 1e6;
    // Of what it takes to start and to end, a busy machine makes more.
    assert!((195.0..400.0).contains(&cpu), "{cpu} ms: {child}");
    let evidence = process["stateful_evidence"].to_string();
    assert!(evidence.contains("leaves the process `odd\u{fffd}) Z` running"), "{evidence}");
    let most = threads["cases"][0]["peak_threads"]["max"].as_u64();
    assert!(most >= Some(11), "{threads}");
}

#[test]
fn the_last_of_hundreds_of_processes_is_found() {
    let sandbox = Sandbox::alone(Package::keeper());
    run(&mut sandbox.harness("--exact leaves_401_processes")).expect_code(0);
    let evidence = sandbox.profile("leaves_401_processes")["stateful_evidence"].to_string();
    for process in ["sh", "sleep"] {
        assert!(evidence.contains(&format!("leaves the process `{process}` running")), "{evidence}");
    }
    crate::processes::expect_none(&sandbox);
}

#[test]
fn a_test_binary_has_any_name() {
    let sandbox = Sandbox::new(Package::keeper());
    let directory = tempfile::tempdir().expect("writable");
    let harness = directory.path().join(OsStr::from_bytes(b"harness\xff"));
    symlink(sandbox.executable("profiling"), &harness).expect("nothing is there");
    run(&mut sandbox.command(harness, "--exact removes_its_file opens_and_closes"))
        .expect_code(0)
        .says(&["2 passed; 0 failed"]);
}

/// The line of the kernel that lists them is longer than a page.
#[test]
fn memory_is_measured_of_a_user_in_many_groups() {
    let groups: Vec<String> = (0..1_000).map(|group| (2_000_000_000 + group).to_string()).collect();
    let in_groups = |program: &OsStr| {
        let mut command = Command::new("setpriv");
        command.args(["--groups", &groups.join(",")]).arg(program);
        command
    };
    let permitted = in_groups("true".as_ref()).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !permitted {
        return eprintln!("skipped: this user can't join groups, or there is no `setpriv` (util-linux)");
    }
    let sandbox = Sandbox::new(Package::keeper());
    let plain = sandbox.harness("--exact removes_its_file");
    let mut harness = in_groups(plain.get_program());
    harness.args(plain.get_args()).current_dir(plain.get_current_dir().expect("set"));
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => harness.env(name, value),
            None => harness.env_remove(name),
        };
    }
    run(&mut harness).expect_code(0);
    let case = &sandbox.profile("removes_its_file")["cases"][0];
    assert!(case["peak_rss_bytes"]["max"].as_u64() >= Some(100_000), "{case}");
    assert!(case["peak_threads"]["max"].as_u64() >= Some(1), "{case}");
}
