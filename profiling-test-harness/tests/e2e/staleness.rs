//! Release builds that find profiles of something else than what they build.

use std::fs;

use serde_json::{Value, json};

use crate::sandbox::{Outcome, Package, Sandbox, own_directory, run, two_lines, workspace, write};

const BUILD_SCRIPT: &str = r#"
fn main() -> Result<(), profiling_core::embed::EmbedError> {
    profiling_core::embed::Embed::from_env()?.into_blueprint("blueprint.json")
}
"#;

const JOBS: &str = r"
#[profiling_core::profile_job(id = 0, args(12_345))]
pub fn square(x: u64) -> u64 {
    helper::multiply(x, x)
}
";

const HELPER: &str = "pub fn multiply(a: u64, b: u64) -> u64 { a * b }\n";

const DOCUMENT: &str = "{\"name\": \"squaring\", \"jobs\": [{\"job_index\": 0, \"name\": \"square\"}]}\n";

const TEST: &str = "test --release --features profiling";
const BUILD: &str = "build --release";

/// A package with a path dependency, in a workspace with a member that has nothing to do with it.
fn squaring() -> Sandbox {
    let core = workspace().join("profiling-core");
    let more = format!(
        "members = [\"helper\", \"bystander\"]\n\
         [dependencies.helper]\npath = \"helper\"\n\
         [build-dependencies]\nprofiling-core = {{ path = '{}', features = [\"build\"] }}\n\
         [profile.release]\nopt-level = 1\n[profile.release.package.\"*\"]\nopt-level = 0\n",
        core.display()
    );
    let member = |name: &str| {
        format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[features]\nfast = []\n")
    };
    let files = [
        ("src/lib.rs", JOBS),
        ("tests/profiling.rs", &two_lines("gated")),
        ("build.rs", BUILD_SCRIPT),
        ("blueprint.json", DOCUMENT),
        ("helper/Cargo.toml", &member("helper")),
        ("helper/src/lib.rs", HELPER),
        ("bystander/Cargo.toml", &member("bystander")),
        ("bystander/src/lib.rs", ""),
    ];
    Sandbox::new(Package::at("gated", &own_directory("gated"), &files, &more).optimised())
}

fn edit(sandbox: &Sandbox, path: &str, from: &str, to: &str) {
    let path = sandbox.package.path(path);
    let text = fs::read_to_string(&path).expect("it was written");
    assert!(text.contains(from), "{text}");
    write(&path, &text.replace(from, to));
}

fn text(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.package.path("blueprint.json")).expect("it is never removed")
}

/// What a release build makes of the job: its status and, where it is stale, what has changed.
#[track_caller]
fn status(sandbox: &Sandbox) -> (Value, Value) {
    let outcome = run(&mut sandbox.cargo(BUILD));
    outcome.expect_code(0);
    let document: Value = serde_json::from_str(&text(sandbox)).expect("it stays JSON");
    let profile = &document["jobs"][0]["profile"];
    assert_eq!(outcome.stderr.contains("stale, and so"), profile["status"] == "stale", "{outcome}");
    expect_nothing_compiled(&run(&mut sandbox.cargo(BUILD)));
    (profile["status"].clone(), profile["stale"].clone())
}

#[track_caller]
fn expect_nothing_compiled(outcome: &Outcome) {
    outcome.expect_code(0);
    assert!(!outcome.stderr.contains("Compiling"), "{outcome}");
}

fn profiled() -> (Value, Value) {
    (json!("profiled"), Value::Null)
}

fn stale(changes: &[&str]) -> (Value, Value) {
    (json!("stale"), json!(changes))
}

#[test]
fn what_was_measured_is_what_is_built_or_the_profile_is_stale() {
    let mut sandbox = squaring();
    run(&mut sandbox.cargo(TEST)).expect_code(0);
    let fingerprint = &sandbox.profile("square")["fingerprint"];
    let packages: Vec<&String> = fingerprint["sources"].as_object().expect("by package").keys().collect();
    assert_eq!(packages, ["gated", "helper"]);
    assert_eq!(fingerprint["opt_level"], "1");
    assert_eq!(status(&sandbox), profiled());
    expect_nothing_compiled(&run(&mut sandbox.cargo(TEST)));

    // What is not in the build makes no difference.
    write(&sandbox.package.path("bystander/src/lib.rs"), "// a comment\n");
    edit(&sandbox, "tests/profiling.rs", "main!", "/* a comment */ main!");
    assert_eq!(status(&sandbox), profiled());

    // The sources of the job, or of what it calls.
    edit(&sandbox, "helper/src/lib.rs", "a * b", "b * a");
    assert_eq!(status(&sandbox), stale(&["sources"]));
    assert_eq!(sandbox.profile("square")["stale"], json!(["sources"]));
    let marked = text(&sandbox);
    run(&mut sandbox.cargo("build")).expect_code(0);
    assert_eq!(text(&sandbox), marked, "a debug build leaves what it finds");
    run(&mut sandbox.cargo(TEST)).expect_code(0);
    assert_eq!(sandbox.profile("square").get("stale"), None);
    assert_eq!(status(&sandbox), profiled());
    edit(&sandbox, "src/lib.rs", "(x, x)", "(x, x) + 1");
    assert_eq!(status(&sandbox), stale(&["sources"]));
    edit(&sandbox, "src/lib.rs", "(x, x) + 1", "(x, x)");
    assert_eq!(status(&sandbox), profiled(), "as it was");

    // Dependencies and their features.
    edit(&sandbox, "Cargo.toml", "path = \"helper\"", "path = \"helper\"\nfeatures = [\"fast\"]");
    assert_eq!(status(&sandbox), stale(&["dependencies"]));
    edit(&sandbox, "Cargo.toml", "features = [\"fast\"]", "");
    assert_eq!(status(&sandbox), profiled());

    // How it is compiled.
    let mut unoptimised = sandbox.cargo(BUILD);
    let outcome = run(unoptimised.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"));
    outcome.expect_code(0).complains(&["stale", "the opt-level (now 0; measured with 1)"]);
    assert_eq!(status(&sandbox), profiled());

    // A clone has the document alone. Here it is as committed; then the sources go on.
    let target = sandbox.target().to_owned();
    sandbox.set_target(&target.with_file_name("clone"));
    let committed = text(&sandbox);
    assert_eq!(status(&sandbox), profiled());
    assert_eq!(text(&sandbox), committed);
    edit(&sandbox, "helper/src/lib.rs", "b * a", "a.saturating_mul(b)");
    assert_eq!(status(&sandbox), stale(&["sources"]));
    sandbox.set_target(&target);

    // A gate.
    edit(&sandbox, "build.rs", "?.into", "?.deny_stale().into");
    let denied = run(&mut sandbox.cargo(BUILD));
    denied.expect_code(101).complains(&["stale, and so judged unfit", "the sources of `gated`, `helper`"]);
    run(&mut sandbox.cargo("build")).expect_code(0);
    run(&mut sandbox.cargo(TEST)).expect_code(0);
    assert_eq!(status(&sandbox), profiled());
}
