//! Figures and what they are true of: builds with and without optimisation, several builds and machines, several
//! harnesses of one package.

use std::fs;
use std::path::{Path, PathBuf};

use profiling_core::store::BuildKind;
use serde_json::{Value, json};

use crate::sandbox::{
    OPTIMISED, Outcome, Package, Sandbox, TELLS_LEVEL, await_next_second, own_directory, run, two_lines, write,
};

const JOBS: &str = r#"
use profiling_core::profile_job;

#[profile_job(id = 0, samples = 6, args(12_345))]
pub async fn square(x: u64) -> u64 {
    if std::env::var_os("BAD_DAY").is_some() { panic!("a bad day") } else { x * x }
}

#[profile_job(id = 1, samples = 6, params(n = [10, 1_000, 2_000]), setup(list = (0..n).rev().collect::<Vec<u64>>()), args(list))]
pub fn sort(mut list: Vec<u64>) -> Vec<u64> {
    list.sort();
    list
}
"#;

/// A package without `Embed`, in which nobody takes fingerprints; released as `--release` says.
fn sorting(name: &'static str) -> Sandbox {
    let more = "[profile.release]\nopt-level = 1\n[profile.release.package.\"*\"]\nopt-level = 0\n";
    let files = [("build.rs", TELLS_LEVEL), ("src/lib.rs", JOBS), ("tests/profiling.rs", &*two_lines(name))];
    Sandbox::new(Package::at(name, &own_directory(name), &files, more).optimised())
}

const RELEASE: &str = "test --release --features profiling --test profiling --";
const DEBUG: &str = "test --features profiling --test profiling --";

fn harness(sandbox: &Sandbox, command: &str, arguments: &str) -> Outcome {
    run(&mut sandbox.cargo(&format!("{command} {arguments}")))
}

fn profiling(sandbox: &Sandbox, arguments: &str) -> Outcome {
    run(&mut sandbox.command(env!("CARGO_BIN_EXE_cargo-profiling").into(), arguments))
}

/// The files of the optimised profiles, with what the manager reads.
fn optimised(sandbox: &Sandbox) -> Vec<(PathBuf, Vec<u8>)> {
    let store = sandbox.store_of(BuildKind::Optimised);
    let files = fs::read_dir(store.directory()).into_iter().flatten().map(|entry| entry.expect("readable").path());
    let mut files: Vec<PathBuf> = files.chain([store.blueprint_profiles_path()]).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(path).expect("readable"))).collect()
}

fn stored(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("it is stored")).expect("a profile is JSON")
}

#[test]
fn a_build_without_optimisation_replaces_nothing() {
    let sandbox = sorting("kept_apart");
    harness(&sandbox, RELEASE, "--save-baseline main").expect_code(0).says(&["2 passed"]);
    let before = optimised(&sandbox);
    assert_eq!(before.len(), 5, "two files for each job, and the manager's");

    let debug = harness(&sandbox, DEBUG, "");
    debug
        .expect_code(0)
        .says(&["profiling/.unoptimised/kept_apart\nthey are not optimised: nothing embeds them"])
        .complains(&["warning: this build is not optimised (opt-level 0, debug assertions on)", "are kept apart"]);
    assert_eq!(optimised(&sandbox), before);
    let unoptimised = sandbox.store_of(BuildKind::Unoptimised);
    assert_eq!(stored(&unoptimised.profile_path("square"))["environment"]["opt_level"], "0");

    // Nor does a job that fails in such a build lose the profile of another.
    let bad_day = run(sandbox.cargo(&format!("{DEBUG} square")).env("BAD_DAY", "1"));
    bad_day.expect_code(101);
    assert!(!unoptimised.profile_path("square").exists() && unoptimised.profile_path("sort").exists());
    assert_eq!(optimised(&sandbox), before);

    let left_out = "left out: the profile of a build without optimisation (sort); --unoptimised takes them";
    let shown = profiling(&sandbox, "show");
    shown.expect_code(0).says(&[left_out, "with opt-level 1"]).never_says(&["opt-level 0"]);
    profiling(&sandbox, "show --unoptimised").expect_code(0).says(&["with opt-level 0"]).never_says(&["left out"]);
    profiling(&sandbox, "check").expect_code(0).says(&[left_out, "check: ok. 2 passed"]);
    let asked = profiling(&sandbox, "check --unoptimised");
    asked.expect_code(101).says(&["sort: measured in a build without optimisation", "square: it has no profile"]);
    profiling(&sandbox, "advise").expect_code(0).says(&[left_out]);
    let summary: Value = serde_json::from_str(&profiling(&sandbox, "export summary").stdout).expect("JSON");
    assert_eq!(summary["jobs"]["0"]["sample_size"], 6);

    let trends = harness(&sandbox, DEBUG, "--history sort/n=10");
    trends.expect_code(0).says(&["sort/n=10 · opt-level 1 · ", "sort/n=10 · opt-level 0, debug assertions on · "]);
    not_unless_asked_for(&sandbox);
    assert_eq!(optimised(&sandbox), before);
}

/// Baselines, advice and models in a build without optimisation.
fn not_unless_asked_for(sandbox: &Sandbox) {
    let refused = harness(sandbox, DEBUG, "--save-baseline main");
    refused.expect_code(101).complains(&["error: the baseline `main` is of an optimised build, and this one is not"]);
    harness(sandbox, DEBUG, "square --save-baseline debug").expect_code(0).says(&["baseline `debug`: 1 job"]);

    let models = sandbox.target().with_file_name("models.rs");
    let line = format!("sort --advise --emit-models {}", models.display());
    let without = harness(sandbox, DEBUG, &line);
    without
        .expect_code(0)
        .says(&["What follows is of optimised profiles of earlier runs"])
        .complains(&["note: --emit-models has left "])
        .never_says(&["measured in a build without optimisation"]);
    assert!(!models.exists());
    let with = harness(sandbox, DEBUG, &format!("{line} --unoptimised"));
    with.expect_code(0).says(&["measured in a build without optimisation"]).never_says(&["of earlier runs"]);
    assert!(models.exists());
}

#[test]
fn debug_figures_are_none_of_a_release() {
    let sandbox = sorting("filtered_release");
    harness(&sandbox, DEBUG, "").expect_code(0);
    assert_eq!(sandbox.profile("sort"), Value::Null);
    let jobs = sandbox.blueprint_profiles().jobs;
    assert!(jobs.len() == 2 && jobs.values().all(|entry| !entry.is_profiled()), "{jobs:?}");
    let check = profiling(&sandbox, "check");
    check.expect_code(101).says(&[
        "left out: 2 profiles of builds",
        "square: it has no profile",
        "sort: it has no profile",
    ]);

    harness(&sandbox, RELEASE, "--exact sort/n=10").expect_code(0);
    let sort = sandbox.profile("sort");
    assert_eq!(sort["environment"]["opt_level"], "1");
    assert_eq!(sort["cases"].as_array().map(Vec::len), Some(1), "{sort}");
    assert_eq!(sort["missing_cases"], json!([{"n": 1_000}, {"n": 2_000}]));
    assert_eq!(sandbox.samples("sort").len(), 6);
}

#[test]
fn cases_of_two_builds_or_machines_say_so() {
    let sandbox = sorting("mixed");
    harness(&sandbox, RELEASE, "").expect_code(0);
    assert!(sandbox.blueprint_profiles().jobs[&1].is_profiled());
    assert_eq!(sandbox.profile("sort")["harness"], json!({"name": "profiling", "file": "tests/profiling.rs"}));
    profiling(&sandbox, "check").expect_code(0);

    // The same file, measured on another machine.
    let path = sandbox.store().profile_path("sort");
    let mut sort = sandbox.profile("sort");
    let whole = sort.clone();
    let mut elsewhere = sort["environment"].clone();
    elsewhere["cpu_model"] = "Another CPU".into();
    sort["cases"][0]["origin"] = json!({"environment": elsewhere, "executable": sort["executable"]});
    fs::write(&path, sort.to_string()).expect("writable");
    let mixture = "sort: its cases were measured in different builds or on different machines: ";
    let checked = profiling(&sandbox, "check");
    checked.expect_code(101).says(&[mixture, "Another CPU", "square: ok", "1 passed; 1 failed"]);
    profiling(&sandbox, "show").expect_code(0).says(&[
        "different machines: ",
        "sort/n=10: measured ",
        "on Another CPU",
    ]);
    let advised = profiling(&sandbox, "advise sort --platform aws-lambda --json");
    let advised: Value = serde_json::from_str(&advised.expect_code(0).stdout).expect("JSON");
    let lambda = &advised["jobs"][0]["advice"]["platforms"][0];
    assert_eq!((&lambda["verdict"], &lambda["reasons"][0]["constraint"]), (&json!("unknown"), &json!("mixture")));
    assert_eq!(lambda["sizes"], json!([]));

    // A run of another case says so, too, and nobody relies on it.
    await_next_second();
    harness(&sandbox, RELEASE, "--exact sort/n=1000").expect_code(0).complains(&["warning: ", mixture]);
    let merged = sandbox.profile("sort");
    assert_eq!(merged["cases"][0]["origin"]["environment"]["cpu_model"], "Another CPU");
    assert!(merged["cases"][1].get("origin").is_none() && merged.get("models").is_none());
    assert!(merged["cases"][2]["origin"]["environment"]["profiled_at"] == whole["environment"]["profiled_at"]);
    assert!(!sandbox.blueprint_profiles().jobs[&1].is_profiled());
    harness(&sandbox, RELEASE, "--exact sort").expect_code(0);
    assert!(sandbox.blueprint_profiles().jobs[&1].is_profiled());
    profiling(&sandbox, "check").expect_code(0);

    // Other sources, and no fingerprint to tell.
    write(&sandbox.package.path("src/lib.rs"), &JOBS.replace("list.sort();", "list.sort_by(|a, b| b.cmp(a));"));
    harness(&sandbox, RELEASE, "--exact sort/n=10")
        .expect_code(0)
        .complains(&[mixture, "executable, and no fingerprint"]);
    profiling(&sandbox, "check").expect_code(101).says(&[mixture, "executable, and no fingerprint"]);
}

const BENCH: &str = r"
use two_harnesses as _;

#[profiling_core::profile_job(id = 2, samples = 6, args(3))]
fn only_in_the_bench(x: u64) -> u64 {
    x + 1
}

profiling_test_harness::main!();
";

const OTHER: &str = r"
#[profiling_core::profile_job(id = 3, samples = 6, args(3))]
fn of_another_crate(x: u64) -> u64 {
    x + 2
}

profiling_test_harness::main!();
";

/// `tests/profiling.rs` and `benches/profiling.rs`, and a test target that links the library not at all.
fn two_harnesses() -> Sandbox {
    let targets = "[[bench]]\nname = \"profiling\"\nharness = false\nrequired-features = [\"profiling\"]\n\
                   [[test]]\nname = \"other\"\nharness = false\nrequired-features = [\"profiling\"]\n";
    let files = [
        ("build.rs", TELLS_LEVEL),
        ("src/lib.rs", JOBS),
        ("tests/profiling.rs", &*two_lines("two_harnesses")),
        ("benches/profiling.rs", BENCH),
        ("tests/other.rs", OTHER),
    ];
    let more = format!("{targets}{OPTIMISED}");
    Sandbox::new(Package::at("two_harnesses", &own_directory("two_harnesses"), &files, &more).optimised())
}

/// The jobs on the list, with the files of the harnesses that have them.
fn roster(sandbox: &Sandbox) -> Vec<(String, Vec<String>)> {
    let jobs = sandbox.store().registered().expect("it is whole").unwrap_or_default();
    jobs.into_iter().map(|job| (job.name, job.harnesses.iter().map(ToString::to_string).collect())).collect()
}

#[test]
fn two_harnesses_are_not_each_others_garbage() {
    let sandbox = two_harnesses();
    let tests = || harness(&sandbox, DEBUG, "").expect_code(0).says(&["2 passed"]).to_string();
    let bench = || {
        harness(&sandbox, "bench --profile dev --features profiling --bench profiling --", "")
            .expect_code(0)
            .to_string()
    };
    let other = || harness(&sandbox, "test --features profiling --test other --", "").expect_code(0).to_string();
    let profiled = |jobs: &[&str]| {
        let files: Vec<[String; 2]> =
            jobs.iter().map(|job| [format!("{job}.json"), format!("{job}.samples.jsonl.gz")]).collect();
        assert_eq!(sandbox.stored_files(), files.concat());
    };
    let ids = || {
        let jobs = sandbox.blueprint_profiles().jobs;
        let mut ids: Vec<u32> = jobs.iter().filter(|(_, entry)| entry.is_profiled()).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        (ids, jobs.len())
    };

    // In any order, each a run of all that it has.
    tests();
    other();
    bench();
    let all = ["of_another_crate", "only_in_the_bench", "sort", "square"];
    profiled(&all);
    tests();
    profiled(&all);
    bench();
    other();
    profiled(&all);
    assert_eq!(ids(), (vec![0, 1, 2, 3], 4));
    let both = ["benches/profiling.rs", "tests/profiling.rs"].map(ToOwned::to_owned).to_vec();
    let expected = [
        ("of_another_crate".to_owned(), vec!["tests/other.rs".to_owned()]),
        ("only_in_the_bench".to_owned(), both[..1].to_vec()),
        ("sort".to_owned(), both.clone()),
        ("square".to_owned(), both.clone()),
    ];
    assert_eq!(roster(&sandbox), expected);
    // A job of two harnesses has one profile, the newest.
    assert_eq!(sandbox.profile("square")["harness"]["file"], "benches/profiling.rs");
    profiling(&sandbox, "check").expect_code(0).says(&["check: ok. 4 passed; 0 failed"]);

    // What a harness no longer has goes, unless another has it.
    write(&sandbox.package.path("benches/profiling.rs"), &BENCH.replace("use two_harnesses as _;", ""));
    bench();
    profiled(&all);
    assert_eq!(
        roster(&sandbox)[2..],
        [("sort".to_owned(), both[1..].to_vec()), ("square".to_owned(), both[1..].to_vec())]
    );

    // And what is of a target that the manifest no longer has.
    let manifest = fs::read_to_string(sandbox.package.path("Cargo.toml")).expect("it was written");
    let without =
        manifest.replace("[[test]]\nname = \"other\"\nharness = false\nrequired-features = [\"profiling\"]\n", "");
    assert_ne!(without, manifest);
    write(&sandbox.package.path("Cargo.toml"), &without);
    fs::remove_file(sandbox.package.path("tests/other.rs")).expect("it was written");
    tests();
    profiled(&all[1..]);
    assert_eq!(roster(&sandbox).len(), 3);
    assert_eq!(ids().0, [0, 1, 2]);
}
