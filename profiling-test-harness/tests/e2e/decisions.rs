//! `cargo profiling`, `--advise`, and jobs that can't run where they are to.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::sandbox::{Outcome, Package, Sandbox, TELLS_LEVEL, own_directory, run, two_lines, write};

const JOBS: &str = include_str!("../fixtures/decided.rs");

const DOCUMENT: &str = r#"{"name": "decided", "jobs": [
    {"name": "compute", "job_index": 0}, {"name": "fill", "job_index": 1}, {"name": "listen", "job_index": 2}
]}"#;

/// The jobs as they are released: advice on a debug build is none. `name` tells the tests' packages apart.
fn decided(name: &'static str, jobs: &str) -> Sandbox {
    let files = [
        ("build.rs", TELLS_LEVEL),
        ("src/lib.rs", jobs),
        ("tests/profiling.rs", &*two_lines(name)),
        ("blueprint.json", DOCUMENT),
    ];
    let more = "[profile.release]\nopt-level = 1\n[profile.release.package.\"*\"]\nopt-level = 0\n";
    Sandbox::new(Package::at(name, &own_directory(name), &files, more).optimised())
}

fn harness(sandbox: &Sandbox, arguments: &str) -> Outcome {
    run(&mut sandbox.cargo(&format!("test --release --features profiling --test profiling -- {arguments}")))
}

fn profiling(sandbox: &Sandbox, arguments: &str) -> Outcome {
    run(&mut sandbox.command(env!("CARGO_BIN_EXE_cargo-profiling").into(), arguments))
}

#[track_caller]
fn json(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.expect_code(0).stdout).unwrap_or_else(|error| panic!("{error}\n{outcome}"))
}

#[test]
fn the_store_is_read_without_running_anything() {
    let sandbox = decided("decided", JOBS);
    profiling(&sandbox, "show")
        .expect_code(101)
        .complains(&["there are no profiles of `decided`", "run `cargo test --release --features profiling`"]);

    let tables = harness(&sandbox, "--advise");
    tables.expect_code(0).says(&[
        "compute: where it can run",
        "compute: on what size, at what cost",
        "fill: on machines",
        "how Tangle's manager deploys it",
        "connected: listen listens on 127.0.0.1:",
    ]);

    let stored = sandbox.stored_files();
    shows(&sandbox);
    advises(&sandbox);
    checks(&sandbox);
    exports(&sandbox);
    assert_eq!(sandbox.stored_files(), stored);
}

fn shows(sandbox: &Sandbox) {
    let shown = profiling(sandbox, "profiling show");
    shown.expect_code(0).says(&["│ compute", "mib=300", "compute (id 0): measured ", "with opt-level 1"]);
    shown
        .says(&["persistent connections: ", "targets: aws-lambda, gcp-cloud-run"])
        .never_says(&["stale", "no profile"]);
    let one = json(&profiling(sandbox, "show fill --json"));
    assert_eq!(one[0], sandbox.profile("fill"), "as it is stored");
    assert_eq!(one.as_array().map(Vec::len), Some(1));
    profiling(sandbox, "show filll")
        .expect_code(101)
        .complains(&["`decided` has no job `filll`; there are `compute`, `fill`, `listen`"]);
    profiling(sandbox, "-p nobody show").expect_code(101).complains(&["no package `nobody` here; there is `decided`"]);
}

fn advises(sandbox: &Sandbox) {
    let advised = json(&profiling(sandbox, "advise --json"));
    let verdict = |job: usize, platform: &str| {
        let platforms = advised["jobs"][job]["advice"]["platforms"].as_array().expect("platforms");
        platforms.iter().find(|known| known["platform"] == platform).expect("in the catalogue").clone()
    };
    assert_eq!(verdict(0, "aws-lambda")["verdict"], "compatible");
    let cheapest = verdict(1, "aws-lambda")["cheapest"]["memory_mb"].as_u64();
    assert!(cheapest.is_some_and(|memory| (361..=512).contains(&memory)), "300 MiB and 20%: {cheapest:?}");
    assert_eq!(verdict(2, "aws-lambda")["verdict"], "incompatible");
    assert_eq!(verdict(2, "aws-lambda")["reasons"][0]["constraint"], "persistent_connections");
    let strategy = &advised["blueprint"]["strategies"][0]["strategy"];
    assert_eq!(*strategy, serde_json::json!({"Hybrid": {"faas_jobs": [0, 1], "local_jobs": [2]}}));

    let one = profiling(sandbox, "advise compute --platform aws-lambda --rate 1000");
    one.expect_code(0).says(&["aws-lambda", "1000 executions a second"]).never_says(&[
        "gcp-cloud-run ",
        "fill",
        "Tangle",
    ]);
    profiling(sandbox, "advise listen --platform aws-lambda")
        .expect_code(0)
        .says(&["\nconnected: listen listens on 127.0.0.1:"]);
    let all = json(&profiling(sandbox, "advise compute --platform aws-lambda --sizes --json"));
    let sizes = all["jobs"][0]["advice"]["platforms"][0]["sizes"].as_array().map(Vec::len);
    assert_eq!(sizes, Some(10_240 - 128 + 1));
    profiling(sandbox, "advise --platform aws-lamda").expect_code(101).complains(&["did you mean `aws-lambda`?"]);

    write(
        &sandbox.package.path("prices.json"),
        r#"{"as_of": "2026-11-01", "faas": [{"id": "aws-lambda", "price_usd_per_request": 1}]}"#,
    );
    let dear = json(&profiling(sandbox, "advise compute --json --platform aws-lambda --catalogue prices.json"));
    let usd = dear["jobs"][0]["advice"]["platforms"][0]["cheapest"]["usd_per_million"].as_f64();
    assert!(usd.is_some_and(|usd| usd > 1e6), "a dollar for each request: {usd:?}");
    write(&sandbox.package.path("prices.json"), "{\n\"as_of\": \"2026-11-01\",\n\"fas\": []}");
    let refused = profiling(sandbox, "advise --platforms prices.json");
    refused.expect_code(101).complains(&["prices.json:3", "`fas`"]);
    let refused = harness(sandbox, "--platforms prices.json");
    refused.expect_code(101).complains(&["prices.json:3", "`fas`"]);
}

fn checks(sandbox: &Sandbox) {
    profiling(sandbox, "check").expect_code(0).says(&[
        "compute: ok",
        "listen: ok\n  connected: listen listens on 127.0.0.1:",
        "check: ok. 3 passed; 0 failed",
    ]);

    let path = sandbox.store().profile_path("compute");
    let whole = fs::read_to_string(&path).expect("it is stored");
    let edited = |edit: &dyn Fn(&mut Value)| {
        let mut profile: Value = serde_json::from_str(&whole).expect("a profile");
        edit(&mut profile);
        fs::write(&path, profile.to_string()).expect("writable");
        let checked = profiling(sandbox, "check");
        checked.expect_code(101).says(&["fill: ok", "check: FAILED. 2 passed; 1 failed"]);
        checked
    };
    edited(&|profile| profile["stale"] = serde_json::json!(["sources"])).says(&[
        "compute: stale: changed since the measurement: sources",
        "not known to be compatible with aws-lambda",
    ]);
    edited(&|profile| profile["environment"]["opt_level"] = "0".into()).says(&["compute: measured in a build without"]);
    edited(&|profile| profile["cases"][0]["budgets"][0]["outcome"] = "over".into())
        .says(&["compute: over budget: allocations"]);
    edited(&|profile| profile["targets"] = serde_json::json!(["moon"]))
        .says(&["compute: its target `moon` is no platform of the catalogue"]);
    fs::remove_file(&path).expect("it is stored");
    profiling(sandbox, "check")
        .expect_code(101)
        .says(&["compute: it has no profile", "check: FAILED. 2 passed; 1 failed"]);
    profiling(sandbox, "show").expect_code(0).says(&["no profile: compute"]);
    fs::write(&path, &whole).expect("writable");

    let more = DOCUMENT.replace("]}", ", {\"name\": \"lost\", \"job_index\": 3}]}");
    write(&sandbox.package.path("blueprint.json"), &more);
    profiling(sandbox, "check").expect_code(101).says(&["lost: it is in `blueprint.json`", "3 passed; 1 failed"]);
    write(&sandbox.package.path("blueprint.json"), DOCUMENT);
}

fn exports(sandbox: &Sandbox) {
    let rules = profiling(sandbox, "export prometheus --out rules.yml");
    rules.expect_code(0).says(&["wrote rules.yml"]);
    let rules = sandbox.package.path("rules.yml");
    let text = fs::read_to_string(&rules).expect("it was written");
    assert!(text.contains("job_name=\"fill\"") && text.starts_with("# What the jobs of decided"), "{text}");
    match Command::new("promtool").arg("check").arg("rules").arg(&rules).output() {
        Ok(checked) => assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr)),
        Err(error) => eprintln!("skipped: promtool: {error}"),
    }

    let qos = json(&profiling(sandbox, "export qos"));
    assert_eq!(qos["jobs"][1]["job"], "fill");
    assert!(qos["jobs"][1]["memory_bytes_max"].as_u64().is_some_and(|bytes| bytes > 360 << 20), "{qos}");

    let prices = profiling(sandbox, "export pricing --service-id 7 --usd-per-token 2 --margin 50%");
    prices.expect_code(0).says(&["[7]\n0 = \"", "\n1 = \"", "\n2 = \"", "50% margin and 2 USD a token"]);
    profiling(sandbox, "export pricing").expect_code(101).complains(&["--service-id"]);

    let benchmark = json(&profiling(sandbox, "export benchmark-profile fill"));
    assert_eq!((&benchmark["job_id"], &benchmark["success"]), (&"1".into(), &true.into()));
    assert!(benchmark["memory_details"]["peak_memory_mb"].as_f64().is_some_and(|peak| peak > 300.0), "{benchmark}");
    let benchmarks = json(&profiling(sandbox, "export benchmark-profile"));
    assert_eq!(benchmarks.as_array().map(Vec::len), Some(3));

    let summary = json(&profiling(sandbox, "export summary"));
    let written = fs::read(sandbox.store().blueprint_profiles_path()).expect("the harness writes it");
    assert_eq!(summary, serde_json::from_slice::<Value>(&written).expect("JSON"));
}

#[test]
fn a_job_that_can_not_run_where_it_is_to_fails() {
    let jobs = JOBS.replace("warmup = 1)]\npub fn listen", "warmup = 1, targets(\"aws-lambda\"))]\npub fn listen");
    let sandbox = decided("undecided", &jobs);
    let missed = harness(&sandbox, "");
    missed.expect_code(101).says(&[
        "---- listen ----\ncan't run on its target aws-lambda:\n- keeps connections between executions",
        "2 passed; 1 failed",
    ]);
    assert_eq!(sandbox.profile("listen")["targets"], serde_json::json!(["aws-lambda"]), "what was measured is true");
    let checked = profiling(&sandbox, "check");
    checked.expect_code(101).says(&["listen: not compatible with aws-lambda: keeps connections", "compute: ok"]);

    write(&sandbox.package.path("src/lib.rs"), &jobs.replace("gcp-cloud-run", "gcp-cloud-walk"));
    harness(&sandbox, "")
        .expect_code(101)
        .complains(&["the job `compute` has the target `gcp-cloud-walk`", "did you mean `gcp-cloud-run`?"]);
}
