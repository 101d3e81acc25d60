//! Baselines: kept, compared with, carried to other places, and refused where they can't be trusted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::Value;
use tar::{Builder, EntryType, Header};

use crate::sandbox::{Package, Sandbox, has_valgrind, run};

fn before(arguments: &str, sandbox: &Sandbox) -> Command {
    sandbox.test_binary("before", arguments)
}

fn after(arguments: &str, sandbox: &Sandbox) -> Command {
    sandbox.test_binary("after", arguments)
}

fn with_baseline() -> Sandbox {
    let sandbox = Sandbox::new(Package::compared());
    run(&mut before("--save-baseline first", &sandbox)).expect_code(0).says(&["baseline `first`: 4 jobs"]);
    sandbox
}

fn directory(sandbox: &Sandbox) -> PathBuf {
    sandbox.store().profiling_directory().join(".baselines/compared")
}

fn comparison(sandbox: &Sandbox) -> Value {
    let path = sandbox.store().profiling_directory().join("comparison.json");
    serde_json::from_slice(&fs::read(path).expect("it was written")).expect("it is JSON")
}

/// The entry of a metric of a job's first case.
fn entry<'a>(comparison: &'a Value, job: &str, metric: &str) -> &'a Value {
    let entries = comparison["comparisons"].as_array().expect("a list");
    let found = entries.iter().find(|entry| entry["job"] == job && entry["metric"] == metric);
    found.unwrap_or_else(|| panic!("no {metric} of {job}: {comparison}"))
}

#[test]
fn what_became_worse_fails_and_the_rest_does_not() {
    let sandbox = with_baseline();
    let outcome = run(&mut after("--baseline first", &sandbox));
    outcome.expect_code(101).says(&[
        "compared with the baseline `first` of ",
        "regressed: run it again with `cargo test --features profiling --test profiling -- --baseline first --exact \
         allocates_one_more`",
        "--exact becomes_slow`",
        "not in the baseline: comes, stays/n=0",
        "only in the baseline: goes",
        "test result: FAILED. 2 passed; 2 failed;",
    ]);
    let compared = comparison(&sandbox);
    assert_eq!(compared["baseline"], "first");
    let allocations = entry(&compared, "allocates_one_more", "allocations");
    assert_eq!((&allocations["outcome"], &allocations["package"]), (&"regressed".into(), &"compared".into()));
    assert!((allocations["effect"].as_f64().expect("a number") - 0.01).abs() < 1e-9, "{allocations}");
    assert_eq!((&allocations["old"], &allocations["new"]), (&100.0.into(), &101.0.into()));
    let slow = entry(&compared, "becomes_slow", "cpu_ns");
    assert_eq!((&slow["outcome"], &slow["method"]), (&"regressed".into(), &"interleaved".into()), "{slow}");
    let [effect, low, high] = ["effect", "low", "high"].map(|key| slow[key].as_f64().expect("a number"));
    assert!(low <= effect && effect <= high && low > 0.5, "twice the work: {slow}");
    assert!(slow["pairs"].as_u64() >= Some(10), "{slow}");
    let stays = compared["comparisons"].as_array().expect("a list").iter().filter(|entry| entry["job"] == "stays");
    let params: Vec<&Value> =
        stays.clone().filter(|entry| entry["metric"] == "allocations").map(|entry| &entry["params"]).collect();
    assert_eq!(params, [&serde_json::json!({"n": 2}), &serde_json::json!({"n": 1})]);
    for entry in stays.filter(|entry| entry["metric"] != "cpu_ns" && entry["metric"] != "wall_ns") {
        assert_eq!(entry["outcome"], "unchanged", "{entry}");
    }
}

/// The two versions of these jobs, alone on the machine, and how they are compared.
fn judged(jobs: &str) -> (Sandbox, impl Fn(&Sandbox, &str) -> Command) {
    let sandbox = Sandbox::alone(Package::judged());
    run(&mut before(&format!("--save-baseline first --exact {jobs}"), &sandbox)).expect_code(0);
    let jobs = jobs.to_owned();
    (sandbox, move |sandbox: &Sandbox, more: &str| after(&format!("--baseline first --exact {jobs} {more}"), sandbox))
}

fn outcomes<'a>(comparison: &'a Value, job: &str) -> Vec<[&'a str; 3]> {
    let entries = comparison["comparisons"].as_array().expect("a list").iter().filter(|entry| entry["job"] == job);
    let text = |entry: &'a Value, key: &str| entry[key].as_str().unwrap_or_else(|| panic!("no {key}: {entry}"));
    entries.map(|entry| ["metric", "statistic", "outcome"].map(|key| text(entry, key))).collect()
}

#[test]
fn what_only_some_executions_do_is_found() {
    let (sandbox, compare) = judged("rarely_slow rarely_late rarely_allocates");
    run(&mut compare(&sandbox, "")).expect_code(101);
    let compared = comparison(&sandbox);
    for (job, metric) in [("rarely_slow", "cpu_ns"), ("rarely_late", "wall_ns"), ("rarely_allocates", "allocations")] {
        let outcomes = outcomes(&compared, job);
        let worse = outcomes.iter().any(|[of, _, outcome]| *of == metric && *outcome == "regressed");
        assert!(worse, "{metric} of {job}: {outcomes:?}");
    }
}

#[test]
fn what_costs_the_same_is_no_regression() {
    if !has_valgrind() {
        return;
    }
    let (sandbox, compare) = judged("stays becomes_expensive");
    run(&mut compare(&sandbox, "")).expect_code(101);
    let compared = comparison(&sandbox);
    let stays = outcomes(&compared, "stays");
    assert!(stays.iter().all(|[.., outcome]| ["unchanged", "undecided"].contains(outcome)), "{stays:?}");
    let expensive = entry(&compared, "becomes_expensive", "cpu_ns");
    assert_eq!(expensive["outcome"], "regressed", "{expensive}");
    let [old, new] = ["old", "new"].map(|key| expensive["cost"][key].as_f64().expect("it was counted"));
    assert!((new / old - 1.1).abs() < 0.02, "a tenth more work: {expensive}");
}

/// Nobody is left to guess why there is none.
#[test]
fn where_there_is_no_second_opinion_it_is_said_why() {
    let (sandbox, compare) = judged("varies");
    let without = run(compare(&sandbox, "").env("PATH", "/nowhere"));
    without.expect_code(101).says(&["there is no `valgrind` in the PATH"]);
    run(&mut compare(&sandbox, "--no-witness")).expect_code(101).never_says(&["second opinion"]);
    run(compare(&sandbox, "").env("PROFILING_NO_WITNESS", "1")).expect_code(101).never_says(&["second opinion"]);
    if has_valgrind() {
        let varies = "no second opinion on the CPU time of varies: counts vary from run to run";
        run(&mut compare(&sandbox, "")).expect_code(101).says(&[varies]);
        let entry = comparison(&sandbox);
        let entry = entry["comparisons"].as_array().expect("a list").iter().find(|entry| entry["metric"] == "cpu_ns");
        assert!(entry.is_some_and(|entry| entry.get("cost").is_none() && entry["outcome"] == "regressed"), "{entry:?}");
    }
}

#[test]
fn a_run_of_some_jobs_adds_to_a_baseline_of_the_same_binary() {
    let sandbox = Sandbox::new(Package::compared());
    run(&mut before("--save-baseline some --exact goes", &sandbox)).expect_code(0).says(&["baseline `some`: 1 job\n"]);
    run(before("--exact stays", &sandbox).env("PROFILING_SAVE_BASELINE", "some"))
        .expect_code(0)
        .says(&["baseline `some`: 2 jobs, with those it had"]);
    run(&mut after("--save-baseline some --exact comes", &sandbox)).expect_code(0).says(&["baseline `some`: 1 job\n"]);
    run(&mut after("--baseline some --exact comes", &sandbox)).expect_code(0);
    let compared = comparison(&sandbox);
    assert_eq!(entry(&compared, "comes", "allocations")["outcome"], "unchanged");
}

#[test]
fn baselines_are_listed_carried_and_deleted() {
    let sandbox = with_baseline();
    let file = sandbox.target().join("first.tar.zst");
    let export = format!("--export-baseline first={}", file.display());
    run(&mut before(&export, &sandbox)).expect_code(0).says(&["wrote the baseline `first` to "]);
    run(&mut before("--list-baselines", &sandbox)).expect_code(0).says(&["first: 4 jobs, 20"]);
    run(&mut before("--delete-baseline first", &sandbox)).expect_code(0).says(&["deleted the baseline `first`"]);
    run(&mut before("--list-baselines", &sandbox)).expect_code(0).says(&["no baselines"]);
    let none = run(&mut after("--baseline first", &sandbox));
    none.expect_code(101).complains(&["there is no baseline `first` of the package `compared`"]);
    let import = format!("--import-baseline {}", file.display());
    run(&mut before(&import, &sandbox)).expect_code(0).says(&["imported the baseline `first`"]);
    run(&mut before(&import, &sandbox)).expect_code(0);
    run(&mut after("--baseline first --exact allocates_one_more", &sandbox)).expect_code(101);
    assert_eq!(entry(&comparison(&sandbox), "allocates_one_more", "allocations")["method"], "interleaved");
    run(&mut after("--save-baseline first --exact comes", &sandbox)).expect_code(0);
    run(&mut after(&import, &sandbox)).expect_code(101).complains(&["there is a baseline `first` already"]);
}

#[test]
fn what_no_import_would_take_is_not_exported() {
    let sandbox = with_baseline();
    let (baseline, file) = (directory(&sandbox).join("first"), sandbox.target().join("first.tar.zst"));
    fs::write(&file, "an older archive").expect("writable");
    let refused = |says: &[&str]| {
        let export = format!("--export-baseline first={}", file.display());
        run(&mut before(&export, &sandbox)).expect_code(101).complains(says);
        assert_eq!(fs::read(&file).expect("it stays"), b"an older archive");
    };
    let manifest = fs::read_to_string(baseline.join("baseline.json")).expect("it is there");
    let mut twice: Value = serde_json::from_str(&manifest).expect("it is JSON");
    let files = twice["files"].as_array_mut().expect("a list");
    let again = files[0].clone();
    let named = format!("it names the file `{}` twice", again["path"].as_str().expect("it has one"));
    files.push(again);
    fs::write(baseline.join("baseline.json"), twice.to_string()).expect("writable");
    refused(&["can't be exported: ", &named]);
    fs::write(baseline.join("baseline.json"), manifest).expect("writable");
    fs::write(baseline.join("profiling/compared/goes.json"), "{}").expect("writable");
    refused(&["is damaged: `profiling/compared/goes.json` "]);
}

#[test]
fn a_binary_that_speaks_otherwise_is_not_run() {
    let sandbox = with_baseline();
    let path = directory(&sandbox).join("first/baseline.json");
    let text = fs::read_to_string(&path).expect("it is there");
    let mut manifest: Value = serde_json::from_str(&text).expect("it is JSON");
    manifest["protocol"] = 9999.into();
    fs::write(&path, manifest.to_string()).expect("writable");
    let outcome = run(&mut after("--baseline first --exact allocates_one_more", &sandbox));
    outcome.expect_code(101).says(&["its binary speaks version 9999 of the protocol"]);
    let compared = comparison(&sandbox);
    let allocations = entry(&compared, "allocates_one_more", "allocations");
    assert_eq!((&allocations["outcome"], &allocations["method"]), (&"regressed".into(), &"stored".into()));
    manifest["environment"]["opt_level"] = "3".into();
    fs::write(&path, manifest.to_string()).expect("writable");
    let outcome = run(&mut after("--baseline first --exact allocates_one_more", &sandbox));
    outcome.expect_code(0).says(&["advisory, and no reason to fail: the baseline was built with opt-level 3"]);
}

#[test]
fn damage_is_noticed_before_anything_runs() {
    let sandbox = with_baseline();
    let baseline = directory(&sandbox).join("first");
    let refused = |says: &str| {
        run(&mut after("--baseline first", &sandbox))
            .expect_code(101)
            .complains(&["error: the baseline `", says])
            .never_says(&["test "]);
    };
    let changed = |file: &str, change: &dyn Fn(Vec<u8>) -> Vec<u8>, says: &str| {
        let path = baseline.join(file);
        let whole = fs::read(&path).expect("readable");
        fs::write(&path, change(whole.clone())).expect("writable");
        refused(says);
        fs::write(&path, whole).expect("writable");
    };
    changed("harness", &|bytes| bytes[..bytes.len() / 2].to_vec(), "is damaged: `harness` has ");
    changed(
        "profiling/compared/goes.json",
        &|mut bytes| {
            bytes[0] = b' ';
            bytes
        },
        "`profiling/compared/goes.json` has changed",
    );
    changed("baseline.json", &|bytes| bytes[..100].to_vec(), "is damaged: EOF");
    let edited = |from: &'static str, to: &'static str| {
        move |bytes: Vec<u8>| String::from_utf8(bytes).expect("text").replace(from, to).into_bytes()
    };
    changed(
        "baseline.json",
        &edited("profiling.baseline/1", "profiling.baseline/9"),
        "has the format `profiling.baseline/9`",
    );
    changed("baseline.json", &edited("-linux-", "-plan9-"), "was measured on ");
    changed(
        "baseline.json",
        &edited("\"package\": \"compared\"", "\"package\": \"other\""),
        "is of the package `other`",
    );
    changed("baseline.json", &edited("\"harness\"", "\"../../harness\""), "which lies outside of it");
    run(&mut after("--baseline first --exact stays", &sandbox)).expect_code(0);
}

/// Name, kind and content.
type ArchiveEntry<'a> = (&'a str, EntryType, &'a [u8]);

/// An archive of these entries.
fn archive(path: &Path, entries: &[ArchiveEntry<'_>]) {
    let mut builder = Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = Header::new_gnu();
        // As an attacker writes it: the library's own way refuses such names.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        if kind.is_symlink() || kind.is_hard_link() {
            header.set_link_name("/etc/passwd").expect("short");
        }
        header.set_cksum();
        builder.append(&header, *content).expect("a Vec takes everything");
    }
    let packed = builder.into_inner().expect("a Vec takes everything");
    fs::write(path, compress_to_vec(packed.as_slice(), CompressionLevel::Fastest)).expect("writable");
}

#[test]
fn what_is_no_archive_of_a_baseline_is_not_imported() {
    let sandbox = with_baseline();
    let first = directory(&sandbox).join("first");
    let manifest =
        fs::read_to_string(first.join("baseline.json")).expect("readable").replace("\"first\"", "\"second\"");
    let file = sandbox.target().join("bad.tar.zst");
    let tree = |directory: &Path| {
        let mut names: Vec<_> =
            fs::read_dir(directory).expect("readable").map(|entry| entry.expect("readable").file_name()).collect();
        names.sort();
        names
    };
    let (kept, around) = (tree(&directory(&sandbox)), tree(sandbox.target()));
    let refused = |says: &str| {
        let import = format!("--import-baseline {}", file.display());
        run(&mut before(&import, &sandbox)).expect_code(101).complains(&["bad.tar.zst`", says]);
        assert_eq!(tree(&directory(&sandbox)), kept);
        assert!(tree(sandbox.target()).iter().all(|name| around.contains(name) || name == "bad.tar.zst"));
    };
    let head = ("baseline.json", EntryType::Regular, manifest.as_bytes());
    let zeros = vec![0; 64 << 20];
    let cases: [(&[ArchiveEntry<'_>], &str); 8] = [
        (&[], "it is empty"),
        (&[("harness", EntryType::Regular, b"x")], "it begins with `harness`"),
        (&[("baseline.json", EntryType::Symlink, b"")], "it begins with"),
        (&[head, ("../evil", EntryType::Regular, b"x")], "`../evil` is not one of its files"),
        (&[head, ("/evil", EntryType::Regular, b"x")], "is not one of its files"),
        (&[head, ("harness", EntryType::Symlink, b"")], "`harness` is no regular file"),
        (&[head, ("harness", EntryType::Link, b"")], "`harness` is no regular file"),
        (&[head, ("harness", EntryType::Regular, &zeros)], "`harness` has 67108864 bytes of "),
    ];
    for (entries, says) in cases {
        archive(&file, entries);
        refused(says);
    }
    archive(&file, &[head]);
    refused("is missing");
    fs::write(&file, b"no archive").expect("writable");
    refused("is no archive of a baseline");
    run(&mut before(&format!("--export-baseline first={}", file.display()), &sandbox)).expect_code(0);
    run(&mut before("--delete-baseline first", &sandbox)).expect_code(0);
    let whole = fs::read(&file).expect("readable");
    fs::write(&file, &whole[..whole.len() / 2]).expect("writable");
    let import = format!("--import-baseline {}", file.display());
    run(&mut before(&import, &sandbox)).expect_code(101).complains(&["is no archive of a baseline"]);
    let foreign = manifest.replace("-linux-", "-plan9-");
    archive(&file, &[("baseline.json", EntryType::Regular, foreign.as_bytes())]);
    run(&mut before(&import, &sandbox)).expect_code(101).complains(&["was measured on "]);
    assert!(tree(&directory(&sandbox)).is_empty());
}
