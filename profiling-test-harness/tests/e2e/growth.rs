//! Models of real runs: in profiles, in the report, and as Rust source.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use profiling_core::statistics::{Metric, Model, Prediction, Refusal};

use crate::sandbox::{Package, Sandbox, run};

fn models(sandbox: &Sandbox, job: &str) -> Vec<Model> {
    serde_json::from_value(sandbox.profile(job)["models"].clone()).expect("a profile has its job's models")
}

fn shape(sandbox: &Sandbox, job: &str, metric: Metric) -> String {
    models(sandbox, job).iter().find(|model| model.metric == metric).expect("measured").shape()
}

/// Time depends on what else the machine does: another run may show what one did not, but none may show
/// something else.
#[test]
fn sorting_hashing_and_multiplying_are_told_apart() {
    let sandbox = Sandbox::alone(Package::growing());
    let expected = [("sort", "n log n"), ("hash", "n"), ("multiply", "n^3")];
    let mut open = expected.to_vec();
    for _ in 0..4 {
        let jobs: Vec<&str> = open.iter().map(|(job, _)| *job).collect();
        run(&mut sandbox.harness(&format!("--exact {}", jobs.join(" ")))).expect_code(0);
        open.retain(|(job, expected)| {
            let found = [Metric::WallNs, Metric::CpuNs].map(|metric| shape(&sandbox, job, metric));
            for found in &found {
                assert!(found == expected || found == "not identifiable", "{job}: {found}");
            }
            !found.iter().any(|found| found == expected)
        });
        if open.is_empty() {
            break;
        }
    }
    assert_eq!(open, [], "never identified");
    assert_eq!(shape(&sandbox, "sort", Metric::AllocatedBytes), "1");
    assert_eq!(shape(&sandbox, "multiply", Metric::PeakHeapBytes), "n^2");
}

#[test]
fn models_are_in_the_profile_and_in_the_report() {
    let sandbox = Sandbox::new(Package::growing());
    let outcome = run(&mut sandbox.harness("rectangle too_few"));
    outcome.expect_code(0).says(&[
        "rectangle/kind=full: peak heap ≈ 5.00 B · rows columns + 0.98 KiB, ±0.0% for rows in 1..=100, columns in 1..=100",
        "too_few: growth of wall not identifiable: 2 levels are too few",
    ]);
    let whole = models(&sandbox, "rectangle");
    let heap = whole.iter().find(|model| model.metric == Metric::PeakHeapBytes).expect("measured");
    assert_eq!((heap.fixed["kind"].as_str(), heap.shape().as_str()), (Some("full"), "rows columns"));
    let predict = |rows, columns| heap.predict(&[("rows", rows), ("columns", columns)]);
    match predict(70, 30) {
        Prediction::InRange { expected, upper } => {
            assert!((expected - 11_500.0).abs() < 1.0 && (11_500.0..11_600.0).contains(&upper), "{expected} {upper}");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(predict(200, 30), Prediction::Extrapolated { .. }));
    assert!(matches!(predict(2_000, 30), Prediction::Refused(Refusal::TooFar { .. })));

    // A run of one case fits the others' samples too.
    run(&mut sandbox.harness("--exact rectangle/rows=1,columns=1,kind=full")).expect_code(0);
    let again = models(&sandbox, "rectangle");
    assert_eq!(again.len(), whole.len());
    assert_eq!(again.iter().find(|model| model.metric == Metric::PeakHeapBytes), Some(heap));
}

#[test]
fn models_are_written_as_rust() {
    let sandbox = Sandbox::new(Package::growing());
    let directory = tempfile::tempdir().expect("a directory can be made");
    let file = directory.path().join("profiles.rs");
    run(&mut sandbox.harness(&format!("--samples 3 --exact sort --emit-models {}", file.display()))).expect_code(0);
    run(sandbox.harness("rectangle too_few").env("PROFILING_EMIT_MODELS", &file)).expect_code(0);
    let source = fs::read_to_string(&file).expect("it was written");
    assert!(source.contains("\n// `wall_ns` of `too_few` is not identifiable: 2 levels are too few"), "{source}");
    assert!(source.contains("pub const fn sort_allocated_bytes("), "a job of the run before: {source}");

    let mut calls = String::new();
    let mut bounds = Vec::new();
    let levels = [0, 1, 3, 10, 37, 64, 100];
    let jobs = ["sort", "rectangle"].map(|job| (job, models(&sandbox, job)));
    for (job, model) in jobs.iter().flat_map(|(job, models)| models.iter().map(move |model| (job, model))) {
        if model.growth.is_err() {
            continue;
        }
        let kind =
            model.fixed.get("kind").map_or(String::new(), |kind| format!("_kind_{}", kind.as_str().unwrap_or("")));
        let name = format!("{job}{}_{}", kind.to_lowercase(), model.metric.name());
        let scale = model.params[0].high / 100;
        for level in levels {
            let at = level * scale;
            let arguments: Vec<String> = model.params.iter().map(|_| at.to_string()).collect();
            let named: Vec<(&str, u64)> = model.params.iter().map(|range| (range.name.as_str(), at)).collect();
            if let Prediction::InRange { upper, .. } = model.predict(&named) {
                writeln!(calls, "    println!(\"{{}}\", profiles::{name}({}));", arguments.join(", "))
                    .expect("a string");
                bounds.push((format!("{name}({at})"), upper));
            }
        }
    }
    assert!(bounds.len() >= 20, "{source}");
    fs::write(directory.path().join("main.rs"), format!("mod profiles;\nfn main() {{\n{calls}}}\n")).expect("writable");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let compile = ["--edition", "2021", "-D", "warnings", "main.rs", "-o", "predict"];
    run(Command::new(rustc).args(compile).current_dir(directory.path())).expect_code(0);
    let printed = run(&mut Command::new(directory.path().join("predict")));
    let predicted: Vec<f64> = printed.stdout.lines().map(|line| line.parse().expect("a number")).collect();
    assert_eq!(predicted.len(), bounds.len());
    for (predicted, (call, upper)) in predicted.iter().zip(&bounds) {
        assert!(
            *predicted >= *upper && *predicted <= upper * 1.001 + 3.0,
            "{call} = {predicted}, not {upper}\n{source}"
        );
    }

    let formatted = Command::new("rustfmt").args(["--check", "--edition", "2021"]).arg(&file).output();
    if let Ok(output) = formatted {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
