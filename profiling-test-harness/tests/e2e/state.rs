//! What jobs keep, what their child processes cost, how they start.

use std::fs::{self, File};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::cgroups;
use crate::sandbox::{Package, Sandbox, run};

const MIB: u64 = 1 << 20;

/// Runs these jobs and returns their profiles.
fn profiles<const N: usize>(jobs: [&str; N]) -> [Value; N] {
    let sandbox = Sandbox::alone(Package::keeper());
    run(&mut sandbox.harness(&format!("--exact {}", jobs.join(" ")))).expect_code(0);
    jobs.map(|job| sandbox.profile(job))
}

fn evidence<'a>(profile: &'a Value, of: &str) -> Vec<&'a str> {
    profile[of].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[track_caller]
fn expect_nothing_kept(profile: &Value) {
    assert_eq!((&profile["stateful"], &profile["persistent_connections"]), (&false.into(), &false.into()), "{profile}");
    assert_eq!((&profile["stateful_evidence"], &profile["connection_evidence"]), (&Value::Null, &Value::Null));
}

#[track_caller]
fn expect_stateful(profile: &Value, because: &str) {
    assert_eq!(profile["stateful"], true, "{profile}");
    let evidence = evidence(profile, "stateful_evidence");
    assert!(evidence.iter().any(|sentence| sentence.contains(because)), "{because}: {evidence:?}");
}

#[test]
fn connections_that_stay_are_seen() {
    let [listener, client, closed] = profiles(["keeps_a_listener", "keeps_a_client", "opens_and_closes"]);
    for (profile, because) in [(&listener, "listens on 127.0.0.1:"), (&client, "stays connected to 127.0.0.1:")] {
        assert_eq!(profile["persistent_connections"], true, "{profile}");
        let evidence = evidence(profile, "connection_evidence");
        assert!(evidence.iter().any(|sentence| sentence.starts_with(because)), "{evidence:?}");
    }
    assert_eq!(listener["stateful"], false, "{listener}");
    expect_nothing_kept(&closed);
}

#[test]
fn a_heap_that_grows_is_seen() {
    let [grows, extends, cache] = profiles(["grows_by_a_mib", "extends_a_vec", "fills_a_cache_once"]);
    expect_stateful(&grows, "retains 1,048,");
    expect_stateful(&extends, "bytes more after every execution");
    expect_nothing_kept(&cache);
}

#[test]
fn files_threads_and_processes_that_stay_are_seen() {
    let jobs =
        ["leaves_a_temporary_file", "removes_its_file", "leaves_a_thread", "leaves_an_idle_thread", "leaves_a_process"];
    let [file, removed, thread, idle, process] = profiles(jobs);
    expect_stateful(&file, "left-0 behind");
    assert_eq!(evidence(&file, "stateful_evidence").len(), 4, "{file}");
    expect_nothing_kept(&removed);
    expect_stateful(&thread, "leaves a thread running, such as `ticker`");
    expect_nothing_kept(&idle);
    expect_stateful(&process, "leaves the process `sleep` running");
}

#[test]
fn the_working_directory_is_watched() {
    let source = "use profiling_core::profile_job;\n\
        #[profile_job(samples = 1)]\npub fn writes() { std::fs::write(\"left-here\", \"x\").unwrap(); }\n";
    let directory = crate::sandbox::own_directory("writer");
    let files = [("src/lib.rs", source), ("tests/profiling.rs", &crate::sandbox::two_lines("writer"))];
    let sandbox = Sandbox::new(Package::at("writer", &directory, &files, ""));
    // The second time, it is there already.
    for _ in 0..2 {
        run(&mut sandbox.cargo("test --features profiling --test profiling")).expect_code(0);
        expect_stateful(&sandbox.profile("writes"), "left-here behind");
    }
}

/// The sentence about each of the jobs that keep something, and the others.
const KEEPING: [(&str, &str, &str); 7] = [
    ("keeps_a_listener", "connection_evidence", "listens on 127.0.0.1:"),
    ("keeps_a_client", "connection_evidence", "stays connected to 127.0.0.1:"),
    ("grows_by_a_mib", "stateful_evidence", "retains 1,048,"),
    ("extends_a_vec", "stateful_evidence", "bytes more after every execution"),
    ("leaves_a_temporary_file", "stateful_evidence", "left-0 behind"),
    ("leaves_a_thread", "stateful_evidence", "leaves a thread running, such as `ticker`"),
    ("leaves_a_process", "stateful_evidence", "leaves the process `sleep` running"),
];
const KEEPING_NOTHING: [&str; 6] = [
    "opens_and_closes",
    "fills_a_cache_once",
    "removes_its_file",
    "leaves_an_idle_thread",
    "waits_for_its_child",
    "does_not_wait_for_its_child",
];

/// Output that is redirected into the package's directory, a process that rewrites a file there, another build.
#[test]
fn what_others_do_meanwhile_changes_no_verdict() {
    let directory = crate::sandbox::own_directory("beset");
    let sandbox = Sandbox::alone(Package::keeper_at("beset", &directory));
    let jobs: Vec<&str> = KEEPING.iter().map(|job| job.0).chain(KEEPING_NOTHING).collect();
    let mut harness = sandbox.harness(&format!("--exact {}", jobs.join(" ")));
    harness.stdout(File::create(directory.join("run.log")).expect("writable"));
    let mut build = sandbox.cargo("build --quiet");
    build.env("CARGO_TARGET_DIR", directory.join("target")).env_remove("CARGO_BUILD_BUILD_DIR");
    let done = AtomicBool::new(false);
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                fs::write(directory.join("blueprint.json"), "{\"jobs\": []}").expect("writable");
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let build = scope.spawn(move || run(&mut build));
        let ran = harness.status().expect("it runs").success();
        done.store(true, Ordering::Relaxed);
        build.join().expect("no panic").expect_code(0);
        ran
    });
    let log = fs::read_to_string(directory.join("run.log")).expect("written");
    assert!(ran && log.contains("13 passed; 0 failed"), "{log}");
    for (job, of, because) in KEEPING {
        let profile = sandbox.profile(job);
        let evidence = evidence(&profile, of);
        assert!(evidence.iter().any(|sentence| sentence.contains(because)), "{job}: {evidence:?}");
        let flags = [&profile["persistent_connections"], &profile["stateful"]];
        let [connected, stateful] = if of == "connection_evidence" { [true, false] } else { [false, true] };
        assert_eq!(flags, [connected, stateful], "{job}: {profile}");
    }
    for job in KEEPING_NOTHING {
        let profile = sandbox.profile(job);
        expect_nothing_kept(&profile);
        assert_eq!(profile["cases"][0]["evidence"], Value::Null, "{job}: {profile}");
    }
}

#[test]
fn child_processes_are_part_of_the_cost() {
    for profile in profiles(["waits_for_its_child", "does_not_wait_for_its_child"]) {
        let case = &profile["cases"][0];
        let cpu = case["cpu_ns"]["p50"].as_f64().expect("measured") / 1e6;
        // What the job itself takes to start a process is not the child's.
        assert!((195.0..225.0).contains(&cpu), "{cpu} ms: {profile}");
        let parts = ["cpu_user_ns", "cpu_system_ns"].map(|part| case[part]["mean"].as_f64().expect("measured"));
        let mean = case["cpu_ns"]["mean"].as_f64().expect("measured");
        assert!((parts.iter().sum::<f64>() / mean - 1.0).abs() < 0.1, "{profile}");
        expect_tree_peak(case, if cgroups::can_be_made() { "cgroup" } else { "sampled" });
        assert!(profile["peak_memory_mb"].as_u64() >= Some(195), "{profile}");
        expect_nothing_kept(&profile);
    }
}

/// Of a child of 200 MiB.
#[track_caller]
fn expect_tree_peak(case: &Value, method: &str) {
    assert_eq!(case["tree_peak"]["method"], method, "{case}");
    let tree = case["tree_peak"]["bytes"].as_u64().expect("measured");
    assert!((200 * MIB..210 * MIB).contains(&tree), "{tree}");
}

/// A control group's peak would have the 100 MiB of the file in it.
#[test]
fn files_in_the_cache_are_no_memory_of_the_tree() {
    let [profile] = profiles(["has_a_child_and_a_big_file"]);
    expect_tree_peak(&profile["cases"][0], "sampled");
}

#[test]
fn the_tree_is_measured_where_no_control_group_can_be_made() {
    let sandbox = Sandbox::alone(Package::keeper());
    let Some(mut harness) = cgroups::without(&sandbox.harness("--exact waits_for_its_child")) else {
        return eprintln!("skipped: this machine lets us make no namespace to hide the control groups in");
    };
    run(&mut harness).expect_code(0);
    expect_tree_peak(&sandbox.profile("waits_for_its_child")["cases"][0], "sampled");
}

#[test]
fn a_child_that_is_too_short_to_be_seen_counts() {
    if !cgroups::can_be_made() {
        return eprintln!("skipped: this machine lets us make no control groups");
    }
    let [short, alone] = profiles(["has_a_short_child", "removes_its_file"]);
    let case = &short["cases"][0];
    assert_eq!(case["tree_peak"]["method"], "cgroup", "{case}");
    let [tree, own] = [&case["tree_peak"]["bytes"], &case["peak_rss_bytes"]["max"]].map(Value::as_u64);
    assert!(tree.is_some() && tree >= own && tree < Some(32 * MIB), "{case}");
    assert_eq!(alone["cases"][0]["tree_peak"], Value::Null, "{alone}");
}

#[test]
fn threads_and_descriptors_are_counted() {
    let [threads, files, none] = profiles(["runs_ten_threads", "opens_twenty_files", "removes_its_file"]);
    let peak = |profile: &Value, figure: &str| profile["cases"][0][figure]["max"].as_u64().expect("measured");
    assert_eq!(peak(&threads, "peak_threads"), peak(&none, "peak_threads") + 10);
    assert_eq!(peak(&files, "peak_file_descriptors"), peak(&none, "peak_file_descriptors") + 20);
    for profile in [&threads, &files, &none] {
        assert_eq!(profile["cases"][0]["file_descriptors_left_open"], 0);
    }
}

#[test]
fn a_slow_start_shows_in_the_start_and_not_in_the_samples() {
    let [slow] = profiles(["starts_slowly"]);
    let case = &slow["cases"][0];
    assert!(case["cold_start"]["first_execution_ns"].as_u64() >= Some(50_000_000), "{slow}");
    let starts = case["cold_starts"].as_array().expect("three of them");
    assert_eq!(starts.len(), 3);
    assert!(starts.iter().all(|start| start["first_execution_ns"].as_u64() >= Some(50_000_000)));
    assert!(case["wall_ns"]["p50"].as_u64() < Some(10_000_000), "{slow}");
}

#[test]
fn every_sample_can_have_its_process() {
    let [isolated] = profiles(["has_a_process_per_sample"]);
    assert_eq!(isolated["sample_size"], 4);
    assert_eq!(isolated["cases"][0]["cold_starts"].as_array().map(Vec::len), Some(4));
}

#[test]
fn noise_has_a_verdict() {
    let [quiet] = profiles(["removes_its_file"]);
    let grade = &quiet["cases"][0]["noise"]["grade"];
    assert!(grade == "quiet" || grade == "noisy", "{quiet}");
    assert_eq!(&quiet["noise"]["grade"], grade);
    assert!(quiet["environment"]["measurement_overhead_ns"].as_u64() < Some(100_000), "{quiet}");
}
