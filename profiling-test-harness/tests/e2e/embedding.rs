//! From a run of the jobs to `blueprint.json`, through a build script.

use std::fs;
use std::path::Path;
use std::process::Command;

use profiling_core::JobProfile;
use profiling_core::tangle::profiling_data;
use serde_json::{Value, json};

use crate::sandbox::{OPTIMISED, Outcome, Package, Sandbox, own_directory, run, two_lines, workspace, write};

const BUILD_SCRIPT: &str = r#"
fn main() -> Result<(), profiling_core::embed::EmbedError> {
    profiling_core::embed::Embed::from_env()?.into_blueprint("blueprint.json")
}
"#;

const JOBS: &str = r#"
use profiling_core::profile_job;

#[profile_job(id = 0, args(12_345))]
pub async fn square(x: u64) -> u64 {
    x * x
}

#[profile_job(id = 1, args(3))]
pub fn double(x: u64) -> u64 {
    if std::env::var_os("BAD_DAY").is_some() { panic!("a bad day") } else { x + x }
}
"#;

/// As an author writes it: two annotated jobs, one that is not, and one that nobody wrote yet at 4.
const DOCUMENT: &str = r#"{
    "name": "arithmetic", "custom": {"kept": 1.50},
    "jobs": [
        {"job_index": 0, "name": "square", "execution": "faas"},
        {"job_index": 1, "name": "double"},
        {"job_index": 4, "name": "not_written_yet"}
    ]
}
"#;

/// A package of this test's own, with a build script and a document.
fn arithmetic(name: &'static str) -> Sandbox {
    arithmetic_in(&own_directory(name), name)
}

fn arithmetic_in(directory: &Path, name: &'static str) -> Sandbox {
    let core = workspace().join("profiling-core");
    let more = format!(
        "[build-dependencies]\nprofiling-core = {{ path = '{}', version = \"0.1.0\", features = [\"build\"] }}\n{OPTIMISED}",
        core.display()
    );
    let files = [
        ("src/lib.rs", JOBS),
        ("tests/profiling.rs", &two_lines(name)),
        ("build.rs", BUILD_SCRIPT),
        ("blueprint.json", DOCUMENT),
        (".gitignore", "/target\n"),
    ];
    Sandbox::new(Package::at(name, directory, &files, &more).optimised())
}

fn text(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.package.path("blueprint.json")).expect("it is never removed")
}

fn document(sandbox: &Sandbox) -> Value {
    serde_json::from_str(&text(sandbox)).expect("it stays JSON")
}

/// What each job is said to be.
fn statuses(document: &Value) -> Vec<&str> {
    let jobs = document["jobs"].as_array().into_iter().flatten();
    jobs.map(|job| job["profile"]["status"].as_str().unwrap_or("nothing")).collect()
}

#[track_caller]
fn expect_nothing_compiled(outcome: &Outcome) {
    outcome.expect_code(0);
    assert!(!outcome.stderr.contains("Compiling"), "{outcome}");
}

const TEST: &str = "test --features profiling";

#[test]
fn profiles_reach_the_document_and_stay_there() {
    let mut sandbox = arithmetic("embedded");

    // Before any run.
    let first = run(&mut sandbox.cargo("build"));
    first.expect_code(0).complains(&["warning: embedded@0.1.0: ", "no job is profiled"]);
    assert_eq!(statuses(&document(&sandbox)), ["not profiled"; 3]);
    assert!(text(&sandbox).contains("\"custom\": {\"kept\": 1.50}"), "{}", text(&sandbox));
    let unprofiled = text(&sandbox);
    expect_nothing_compiled(&run(&mut sandbox.cargo("build")));

    // A run doesn't touch the document; the file for the manager has the document's jobs, too.
    run(&mut sandbox.cargo(TEST)).expect_code(0).says(&["2 passed; 0 failed", "blueprint.json"]);
    assert_eq!(text(&sandbox), unprofiled);
    let entries = sandbox.blueprint_profiles().jobs;
    assert_eq!(entries.len(), 5);
    assert!((0..5).all(|id| entries[&id].is_profiled() == (id < 2)));
    assert!((2..5).all(|id| entries[&id] == JobProfile::not_profiled()));
    expect_nothing_compiled(&run(&mut sandbox.cargo(TEST)));

    // The next build embeds; the one after that has nothing to do.
    run(&mut sandbox.cargo("build")).expect_code(0);
    let embedded = document(&sandbox);
    assert_eq!(statuses(&embedded), ["profiled", "profiled", "not profiled"]);
    assert_eq!(embedded["jobs"][0]["profile"]["sample_size"], 10);
    assert_eq!(embedded["jobs"][0]["execution"], "faas", "the author's own");
    assert_eq!(embedded["profiling"]["jobs"].as_object().map(serde_json::Map::len), Some(3));
    let lambda = &embedded["profiling"]["jobs"]["0"]["advice"]["platforms"][0];
    assert_eq!((&lambda["platform"], &lambda["verdict"]), (&json!("aws-lambda"), &json!("compatible")), "{lambda}");
    let strategy = &embedded["profiling"]["advice"]["strategies"][0]["strategy"];
    assert_eq!(*strategy, json!({"Hybrid": {"faas_jobs": [0, 1], "local_jobs": [2, 3, 4]}}));
    let chain = embedded["profiling_data"].as_str().expect("a string that holds JSON");
    let chain = profiling_data::read(chain).expect("profiles are there").expect("they can be read");
    assert_eq!(chain.jobs, sandbox.blueprint_profiles().jobs);
    let profiled = text(&sandbox);
    expect_nothing_compiled(&run(&mut sandbox.cargo("build")));
    expect_nothing_compiled(&run(&mut sandbox.cargo(TEST)));
    run(&mut sandbox.cargo("build")).expect_code(0);
    assert_eq!(statuses(&document(&sandbox)), ["profiled", "profiled", "not profiled"]);

    // Bad news travels, too.
    run(sandbox.cargo(TEST).env("BAD_DAY", "1")).expect_code(101).says(&["1 passed; 1 failed"]);
    run(&mut sandbox.cargo("build")).expect_code(0);
    assert_eq!(statuses(&document(&sandbox)), ["profiled", "not profiled", "not profiled"]);
    assert_eq!(document(&sandbox)["jobs"][1]["profile"], json!({"status": "not profiled"}));

    // A fresh clone has the document, and no profiles of its own.
    fs::write(sandbox.package.path("blueprint.json"), &profiled).expect("writable");
    let clone = sandbox.target().with_file_name("clone");
    sandbox.set_target(&clone);
    run(&mut sandbox.cargo("build")).expect_code(0).complains(&["stay as they are"]);
    assert_eq!(text(&sandbox), profiled);
}

#[test]
fn what_can_not_be_read_is_named_and_the_document_left_alone() {
    let sandbox = arithmetic("unreadable");
    let path = sandbox.package.path("blueprint.json");
    for (broken, reason) in [("{\"jobs\": [", "EOF while parsing"), ("[]", "not a JSON object"), ("{}", "no `jobs`")] {
        fs::write(&path, broken).expect("writable");
        let outcome = run(&mut sandbox.cargo("build"));
        outcome.expect_code(101).complains(&["blueprint.json`", reason]);
        assert_eq!(text(&sandbox), broken);
    }
    // The jobs can be measured all the same.
    run(&mut sandbox.cargo(TEST)).expect_code(0).complains(&["warning: `", "blueprint.json` is no blueprint: "]);

    fs::write(&path, DOCUMENT).expect("writable");
    let profile = sandbox.store().profile_path("double");
    fs::write(&profile, "{\"schema\": ").expect("writable");
    let outcome = run(&mut sandbox.cargo("build"));
    outcome.expect_code(101).complains(&[profile.to_str().expect("UTF-8"), "is damaged: EOF while parsing"]);
    assert_eq!(text(&sandbox), DOCUMENT);
}

#[test]
fn a_clean_checkout_can_be_packaged() {
    let sandbox = arithmetic("packaged");
    // Our crates stand in for the published ones.
    let patch: String = ["profiling-core", "profiling-macros", "profiling-test-harness"]
        .iter()
        .map(|name| format!("{name} = {{ path = '{}' }}\n", workspace().join(name).display()))
        .collect();
    write(&sandbox.package.path(".cargo/config.toml"), &format!("[patch.crates-io]\n{patch}"));
    // With profiles in the document, as authors commit it.
    run(&mut sandbox.cargo(TEST)).expect_code(0);
    run(&mut sandbox.cargo("build")).expect_code(0);
    let committed = text(&sandbox);
    assert_eq!(statuses(&document(&sandbox))[0], "profiled");
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"];
        let mut git = Command::new("git");
        run(git.args(identity).args(arguments).current_dir(sandbox.package.path(""))).expect_code(0).stdout.clone()
    };
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "as committed"]);

    run(&mut sandbox.cargo("package")).expect_code(0).complains(&["Verifying packaged v0.1.0"]);
    assert_eq!(git(&["status", "--porcelain"]), "");
    assert_eq!(text(&sandbox), committed);
}

#[cfg(target_os = "linux")]
#[test]
fn a_document_on_a_full_disk_is_left_alone() {
    use crate::disk::Disk;

    let home = tempfile::TempDir::new().expect("a directory can be made");
    let Some(disk) = Disk::mount(&home.path().join("disk")) else { return };
    let sandbox = arithmetic_in(&disk.path().join("full"), "full");
    run(&mut sandbox.cargo(TEST)).expect_code(0);
    disk.fill();
    let outcome = run(&mut sandbox.cargo("build"));
    outcome.expect_code(101).complains(&["can't write `", "blueprint.json`: No space left"]);
    assert_eq!(text(&sandbox), DOCUMENT);
    disk.clear();
    run(&mut sandbox.cargo("build")).expect_code(0);
    assert_eq!(statuses(&document(&sandbox)), ["profiled", "profiled", "not profiled"]);
}
