//! Stages, payloads, spans and the runtime of jobs, as they stand in profiles.

use serde_json::{Value, json};

use crate::sandbox::{Package, Sandbox, own_directory, run, two_lines, workspace};

const MS: u64 = 1_000_000;

fn package() -> Package {
    let files = [("src/lib.rs", include_str!("../fixtures/stages.rs")), ("tests/profiling.rs", &*two_lines("stages"))];
    let harness = workspace().join("profiling-test-harness");
    let more = format!(
        r#"
            [dependencies.tokio]
            version = "1"
            default-features = false
            features = ["macros", "rt", "time"]

            [dependencies.tracing]
            version = "0.1"
            default-features = false
            features = ["std"]

            [target.'cfg(all())'.dev-dependencies.profiling-test-harness]
            path = '{}'
            features = ["tracing"]
        "#,
        harness.display()
    );
    Package::at("stages", &own_directory("stages"), &files, &more)
}

#[track_caller]
fn stage<'a>(case: &'a Value, name: &str, parent: Option<&str>) -> &'a Value {
    let stages = case["stages"].as_array().unwrap_or_else(|| panic!("no stages in {case}"));
    let found = stages.iter().find(|stage| stage["name"] == name && stage["parent"].as_str() == parent);
    found.unwrap_or_else(|| panic!("no {name} in {parent:?}: {case}"))
}

#[test]
fn a_profile_tells_where_its_time_goes() {
    let sandbox = Sandbox::alone(package());
    run(&mut sandbox.harness("")).expect_code(0);

    let profile = sandbox.profile("staged");
    let case = &profile["cases"][0];
    let pauses = stage(case, "pauses", None);
    assert_eq!(pauses["calls"], 4, "those of the warm-up don't count");
    let [wall, busy] = ["wall_ns", "busy_ns"].map(|figure| pauses[figure]["p50"].as_u64().expect("measured"));
    assert!((20 * MS..60 * MS).contains(&wall) && busy < 5 * MS, "{pauses}");
    let pause = stage(case, "pause", Some("pauses"));
    assert_eq!(pause["calls"], 8);
    assert!(pause["wall_ns"]["min"].as_u64().is_some_and(|wall| wall >= 10 * MS), "{pause}");
    let fill = stage(case, "fill", Some("filled"));
    assert_eq!((&fill["calls"], &fill["allocated_bytes"]["p99"]), (&json!(4), &json!(4096)), "{fill}");
    assert_eq!(fill["busy_ns"], Value::Null, "it is no future");
    let payload = &case["payloads"][0];
    assert_eq!((&payload["name"], &payload["count"]), (&json!("filled"), &json!(4)));
    assert_eq!(payload["bytes"]["max"], 4096);
    let runtime = &case["runtime"];
    assert_eq!(runtime["workers"], 2);
    assert!(runtime["busy_ns"]["max"].is_u64() && runtime["parks"]["max"].is_u64(), "{runtime}");
    assert_eq!(runtime["alive_tasks"]["max"], 0);

    let profile = sandbox.profile("many_calls");
    for (case, calls) in [(0, 3), (1, 3_000)] {
        assert_eq!(stage(&profile["cases"][case], "one", None)["calls"], calls);
    }
    assert_eq!(profile["cases"][1]["allocations"]["max"], 0, "recording allocates nothing");

    let profile = sandbox.profile("spans");
    let inner = stage(&profile["cases"][0], "inner", Some("outer"));
    assert!(inner["wall_ns"]["min"].as_u64().is_some_and(|wall| wall >= 10 * MS), "{inner}");

    let unstaged = &sandbox.profile("unstaged")["cases"][0];
    for key in ["stages", "payloads", "runtime", "stage_calls_not_recorded"] {
        assert_eq!(unstaged[key], Value::Null);
    }
}
