//! Jobs within the limits of platforms.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::sandbox::{Outcome, Package, Sandbox, run};
use crate::{cgroups, processes};

/// Whether this machine lets us rehearse; says so where not.
fn can_rehearse() -> bool {
    let can = cgroups::can_be_made();
    if !can {
        eprintln!("skipped: this machine lets us make no control groups");
    }
    can
}

/// Runs these jobs, rehearsed at these sizes.
fn rehearse(sandbox: &Sandbox, jobs: &str, sizes: &[&str]) -> Outcome {
    let sizes: String = sizes.iter().map(|size| format!(" --rehearse {size}")).collect();
    run(&mut sandbox.harness(&format!("--exact {jobs}{sizes}")))
}

/// What came of a job at each size.
fn rehearsals(sandbox: &Sandbox, job: &str) -> Vec<Value> {
    let profile = sandbox.profile(job);
    profile["cases"][0]["rehearsals"].as_array().unwrap_or_else(|| panic!("rehearsed: {profile}")).clone()
}

/// Expects a job to pass in the second size, and to fail in the first for a reason.
#[track_caller]
fn expect_to_fail_in_the_first(job: &str, sizes: [&str; 2], because: &str) -> Value {
    let sandbox = Sandbox::new(Package::rehearsed());
    rehearse(&sandbox, job, &sizes).expect_code(101).says(&["0 passed; 1 failed", "failed its rehearsal at", because]);
    let [first, second] = <[Value; 2]>::try_from(rehearsals(&sandbox, job)).expect("two sizes");
    assert_eq!((&first["size"], &first["outcome"]), (&sizes[0].into(), &"failed".into()), "{first}");
    assert!(first["reason"].as_str().is_some_and(|reason| reason.contains(because)), "{first}");
    assert_eq!((&second["size"], &second["outcome"]), (&sizes[1].into(), &"passed".into()), "{second}");
    first
}

/// On a machine that others use, what is predicted of jobs with one thread for small shares comes true all the
/// same: those are free.
#[test]
fn what_was_predicted_comes_true() {
    if !can_rehearse() {
        return;
    }
    let sandbox = Sandbox::alone(Package::rehearsed());
    let sizes = [128, 512, 1024, 1769].map(|memory_mb| format!("aws-lambda@{memory_mb}"));
    let jobs = ["burns", "burns_and_waits", "burns_on_two_threads"];
    let outcome = rehearse(&sandbox, &format!("{} --samples 3", jobs.join(" ")), &sizes.each_ref().map(|size| &**size));
    outcome.expect_code(0).says(&["aws-lambda@1769", "short: CPU time is granted every 20.0 ms"]);
    let is_quiet = |job: &str| sandbox.profile(job)["cases"][0]["noise"]["grade"] == "quiet";
    let all_quiet = jobs.iter().all(|job| is_quiet(job));
    let (jobs, sizes) = if all_quiet { (&jobs[..], 4) } else { (&jobs[..2], 2) };
    let (mut errors, mut of_long) = (Vec::new(), Vec::new());
    for rehearsal in jobs.iter().flat_map(|job| rehearsals(&sandbox, job).into_iter().take(sizes)) {
        let predicted = rehearsal["predicted_p50_ns"].as_f64().expect("measured");
        let rehearsed = rehearsal["wall_ns"]["p50"].as_f64().expect("it passed");
        assert!(predicted >= 60e6, "{rehearsal}");
        let error = (rehearsed / predicted - 1.0).abs();
        errors.push(error);
        if rehearsed > 200e6 {
            of_long.push(error);
        }
    }
    errors.sort_by(f64::total_cmp);
    let worst = |errors: &[f64]| errors.iter().copied().fold(0.0, f64::max);
    eprintln!("errors of {} predictions, quiet: {all_quiet}: {errors:.3?}; over 200 ms: {of_long:.3?}", errors.len());
    assert!(!of_long.is_empty() && errors[errors.len() / 2] < 0.1 && worst(&errors) < 0.5, "{errors:?}");
    assert!(!all_quiet || worst(&of_long) < 0.2, "{of_long:?}");
}

/// What Lambda offers starts at 128 MB, in steps of 1 MB.
#[test]
fn the_advised_memory_is_enough_and_not_too_much() {
    if !can_rehearse() {
        return;
    }
    let sandbox = Sandbox::new(Package::rehearsed());
    let needs: Vec<u64> = (1..=20).map(|number| number * 20).collect();
    let name = |mib: u64| format!("needs_{mib:03}");
    let all: Vec<String> = needs.iter().map(|&mib| name(mib)).collect();
    rehearse(&sandbox, &all.join(" "), &[]).expect_code(0);
    let advised: Vec<u64> = all
        .iter()
        .map(|job| {
            let platforms = sandbox.profile(job)["advice"]["platforms"].clone();
            let lambda = platforms.as_array().and_then(|all| all.iter().find(|of| of["platform"] == "aws-lambda"));
            let lambda = lambda.unwrap_or_else(|| panic!("{platforms}"));
            assert_eq!(lambda["verdict"], "compatible", "{lambda}");
            lambda["cheapest"]["memory_mb"].as_u64().expect("it fits")
        })
        .collect();
    for ((job, mib), memory_mb) in all.iter().zip(&needs).zip(advised) {
        let peak = sandbox.profile(job)["cases"][0]["peak_rss_bytes"]["max"].as_f64().expect("measured");
        assert!(peak >= (mib << 20) as f64, "{job}: {peak}");
        let wanted = peak * 1.2 / f64::from(1 << 20);
        assert!(memory_mb as f64 >= wanted, "{job} at {memory_mb}");
        assert!(memory_mb == 128 || ((memory_mb - 1) as f64) < wanted, "{job} at {memory_mb}: one less will do");
        rehearse(&sandbox, &format!("{job} --samples 1"), &[&format!("aws-lambda@{memory_mb}")]).expect_code(0);
        let [rehearsal] = <[Value; 1]>::try_from(rehearsals(&sandbox, job)).expect("one size");
        assert_eq!(rehearsal["outcome"], "passed", "{rehearsal}");
    }
}

#[test]
fn what_is_killed_is_no_longer_advised() {
    if !can_rehearse() {
        return;
    }
    let sandbox = Sandbox::new(Package::rehearsed());
    let job = "needs_more_on_lambda";
    let limits = fs::read_to_string("/proc/self/limits").expect("this is Linux");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("it is there");
    if files.split_whitespace().nth(4) == Some("1024") {
        return eprintln!("skipped: the job can't tell this machine from the platform");
    }
    let lambda = || {
        let advice = sandbox.profile(job)["advice"].clone();
        let lambda = advice["platforms"].as_array().expect("advised").iter().find(|of| of["platform"] == "aws-lambda");
        lambda.cloned().unwrap_or_else(|| panic!("{advice}"))
    };
    rehearse(&sandbox, job, &[]).expect_code(0);
    assert_eq!(lambda()["cheapest"]["memory_mb"], 128, "as far as was measured");
    rehearse(&sandbox, job, &["aws-lambda@128"]).expect_code(101).says(&["out of memory"]);
    assert_eq!(lambda()["cheapest"]["memory_mb"], 154, "128 and headroom: {}", lambda());
    let rehearsed = &lambda()["rehearsed"][0];
    assert_eq!((&rehearsed["memory_mb"], &rehearsed["outcome"]), (&128.into(), &"failed".into()));
    assert!(rehearsed["predicted_p50_ms"].as_f64().is_some() && rehearsed["measured_p50_ms"].is_null());
}

#[test]
fn all_sizes_that_were_chosen_are_rehearsed() {
    if !can_rehearse() {
        return;
    }
    let sandbox = Sandbox::new(Package::rehearsed());
    rehearse(&sandbox, "needs_020", &["all-chosen"]).expect_code(0);
    let advice = sandbox.profile("needs_020")["advice"].clone();
    let mut seen = 0;
    for platform in advice["platforms"].as_array().expect("advised") {
        if !["compatible", "tight"].iter().any(|verdict| platform["verdict"] == *verdict) {
            continue;
        }
        for chosen in ["cheapest", "fastest", "balanced"].map(|which| &platform[which]) {
            let rehearsed = platform["rehearsed"].as_array().unwrap_or_else(|| panic!("not rehearsed: {platform}"));
            let same = |of: &&Value| of["memory_mb"] == chosen["memory_mb"] && of["vcpu"] == chosen["vcpu"];
            let of_size = rehearsed.iter().find(same).unwrap_or_else(|| panic!("{chosen} of {platform}"));
            assert_eq!(of_size["outcome"], "passed", "{platform}");
            assert!(of_size["measured_p50_ms"].as_f64() > Some(0.0), "{platform}");
            seen += 1;
        }
    }
    assert!(seen >= 9, "{advice}");
}

#[test]
fn a_size_that_nobody_offers_is_refused() {
    let sandbox = Sandbox::new(Package::rehearsed());
    for (size, says) in [
        ("aws-lambda@64", "`aws-lambda` offers 128 to 10240 MB, not 64 MB"),
        ("lambda@512", "there is no platform `lambda`; there are aws-lambda, "),
    ] {
        rehearse(&sandbox, "opens_100_files", &[size]).expect_code(101).complains(&[says]);
        assert_eq!(sandbox.profile("opens_100_files"), Value::Null, "nothing ran");
    }
}

#[test]
fn what_takes_more_memory_is_killed_and_said_so() {
    if !can_rehearse() {
        return;
    }
    let sizes = ["cpus=1,memory=256MiB", "cpus=1,memory=512MiB"];
    for job in ["needs_300_mib", "has_a_child_that_needs_300_mib"] {
        let killed = expect_to_fail_in_the_first(job, sizes, "out of memory: the kernel killed");
        assert!(killed["out_of_memory_kills"].as_u64() >= Some(1), "{killed}");
    }
}

#[test]
fn limits_of_files_threads_and_time_are_kept() {
    if !can_rehearse() {
        return;
    }
    let sizes = |small, large| [small, large];
    for (job, [small, large], because) in [
        ("opens_100_files", sizes("files=64", "files=256"), "Too many open files"),
        ("runs_50_threads", sizes("threads=20", "threads=100"), "os error 11"),
        ("waits_for_long", sizes("timeout=200ms", "timeout=5s"), "timed out: not finished after 200ms, killed"),
        (
            "writes_20_mib_to_the_temporary_directory",
            sizes("temporary=10MiB", "temporary=30MiB"),
            "and there is room for 10.0 MiB",
        ),
    ] {
        let [small, large] = [small, large].map(|limit| format!("cpus=1,memory=512MiB,{limit}"));
        expect_to_fail_in_the_first(job, [&small, &large], because);
    }
}

#[test]
fn a_write_to_the_working_directory_is_refused_and_said_so() {
    if !can_rehearse() {
        return;
    }
    let sandbox = Sandbox::new(Package::rehearsed());
    let outcome = rehearse(&sandbox, "writes_here", &["cpus=1,memory=512MiB"]);
    let [rehearsal] = <[Value; 1]>::try_from(rehearsals(&sandbox, "writes_here")).expect("one size");
    if rehearsal["file_system"] == "unrestricted" {
        return eprintln!("skipped: this machine lets processes have no mounts of their own");
    }
    outcome.expect_code(101).says(&["Read-only file system", "A write was refused"]);
    assert_eq!((&rehearsal["outcome"], &rehearsal["file_system"]), (&"failed".into(), &"read_only".into()));
}

#[test]
fn a_machine_without_control_groups_says_what_is_missing() {
    let sandbox = Sandbox::new(Package::rehearsed());
    let Some(mut harness) =
        cgroups::without(&sandbox.harness("--exact opens_100_files --rehearse cpus=1,memory=512MiB"))
    else {
        return eprintln!("skipped: this machine lets us make no namespace to hide the control groups in");
    };
    run(&mut harness).expect_code(101).complains(&["--rehearse needs control groups", "Run as root"]);
    run(&mut sandbox.harness("--exact opens_100_files --rehearse cpus=4096,memory=512MiB"))
        .expect_code(101)
        .complains(&["it has 4096 CPUs, and this machine"]);
}

/// Mounts have their real names, whatever TMPDIR is called.
#[test]
fn a_job_can_write_to_its_temporary_directory_however_that_is_named() {
    if !can_rehearse() {
        return;
    }
    let sandbox = Sandbox::new(Package::rehearsed());
    let home = tempfile::tempdir().expect("writable");
    let [real, link] = ["really here", "link"].map(|name| home.path().join(name));
    fs::create_dir(&real).expect("writable");
    std::os::unix::fs::symlink(&real, &link).expect("writable");
    let jobs = "--exact writes_20_mib_to_the_temporary_directory writes_here";
    let mut harness = sandbox.harness(&format!("{jobs} --rehearse cpus=1,memory=512MiB"));
    run(harness.env("TMPDIR", &link)).expect_code(101).says(&["1 passed; 1 failed", "A write was refused"]);
    let [temporary] =
        <[Value; 1]>::try_from(rehearsals(&sandbox, "writes_20_mib_to_the_temporary_directory")).expect("one size");
    assert_eq!((&temporary["outcome"], &temporary["file_system"]), (&"passed".into(), &"read_only".into()));
}

#[test]
fn what_a_killed_rehearsal_leaves_is_removed_by_the_next() {
    if !can_rehearse() {
        return;
    }
    let sandbox = Sandbox::new(Package::rehearsed());
    let temporary = tempfile::tempdir().expect("writable");
    let harness = sandbox.harness("--exact waits_for_long --rehearse cpus=1,memory=512MiB --warmup 5");
    let supervisor = cgroups::kill_once(harness, &temporary, |supervisor| {
        // Of memory and of CPU time; what is only measured has the first alone.
        let is_rehearsed = cgroups::groups_of(supervisor).len() >= 2;
        if is_rehearsed {
            std::thread::sleep(Duration::from_millis(500));
        }
        is_rehearsed
    });
    assert!(!cgroups::groups_of(supervisor).is_empty(), "it was killed too late");
    run(sandbox.harness("--exact opens_100_files").env("TMPDIR", temporary.path())).expect_code(0);
    assert_eq!(cgroups::groups_of(supervisor), Vec::<PathBuf>::new());
    processes::expect_none(&sandbox);
}

#[test]
fn nothing_is_left_behind() {
    if !can_rehearse() {
        return;
    }
    let sandbox = Sandbox::new(Package::rehearsed());
    let mounts = || fs::read_to_string("/proc/self/mountinfo").expect("this is Linux");
    let before = mounts();
    let mut harness = sandbox.harness("--exact opens_100_files --rehearse cpus=0.5,memory=512MiB,threads=100");
    let mut harness = harness.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it ran before");
    assert!(harness.wait().expect("it is a child").success());
    assert_eq!(mounts(), before);
    assert_eq!(cgroups::groups_of(harness.id()), Vec::<PathBuf>::new());
}
