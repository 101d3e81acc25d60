//! What other programs read: Prometheus's rules, the pricing engine's JSON and TOML.

use std::process::Command;

use profiling_core::advise::{
    BenchmarkProfile, Catalogue, InvalidTerms, JobCost, Options, PriceTerms, advise, not_profiled, price_suggestions,
    prometheus_rules,
};
use profiling_core::profile::{Params, Profile};
use profiling_core::sample::Sample;
use profiling_core::samples::SampledCase;
use serde_json::json;

type TestResult = Result<(), Box<dyn std::error::Error>>;

fn hash() -> Profile {
    serde_json::from_str(include_str!("advice/hash.json")).expect("a profile")
}

#[test]
fn promtool_accepts_the_rules() -> TestResult {
    let mut awkward = hash();
    awkward.job = r#"it's "quoted" \ {{ $x }}: #[]"#.to_owned();
    let advice = [hash(), awkward].map(|profile| {
        advise(&profile, &[], Catalogue::builtin(), &Options::default()).expect("there are no samples to read")
    });
    let baselines = advice.iter().filter_map(|advice| advice.qos.as_ref());
    let rules = prometheus_rules("my-blueprint", baselines);
    // p50, p95, p99, errors, memory and CPU of two jobs; six are recorded.
    assert_eq!((rules.matches("- alert: ").count(), rules.matches("- record: ").count()), (12, 6));
    // 40 MiB, and 200 ms, with 20% of headroom.
    assert!(rules.contains("expr: 'profiling:job_memory_bytes:max{job_name=\"hash\"} > 50331648'"), "{rules}");
    assert!(rules.contains("expr: 'profiling:job_cpu_seconds:mean{job_name=\"hash\"} > 0.24'"), "{rules}");

    let directory = tempfile::tempdir()?;
    for (name, rules) in [("rules.yml", rules), ("none.yml", prometheus_rules("none", []))] {
        let path = directory.path().join(name);
        std::fs::write(&path, rules)?;
        match Command::new("promtool").args(["check", "rules", "--lint-fatal"]).arg(&path).output() {
            Ok(output) => assert!(output.status.success(), "{output:?}"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                eprintln!("promtool is not installed: the rules were not checked");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[test]
fn the_pricing_engine_gets_its_own_fields() -> TestResult {
    let mut profile = hash();
    profile.environment.cpu_model = Some("A CPU".to_owned());
    let sample = |cpu_ns| Sample { wall_ns: 200_000_000, cpu_ns: Some(cpu_ns), ..Sample::default() };
    let samples = vec![sample(200_000_000), sample(300_000_000)].into();
    let samples = [SampledCase { params: &Params::new(), samples: &samples }];
    let benchmark = BenchmarkProfile::of("7", &profile, &samples)?.ok_or("measured")?;
    assert_eq!(
        serde_json::to_value(&benchmark)?,
        json!({
            "job_id": "7", "execution_mode": "native", "duration_secs": 1, "timestamp": 1_795_176_000_u64,
            "success": true,
            "cpu_details": {
                "num_cores_detected": 2, "avg_cores_used": 1.0, "avg_usage_percent": 50.0, "peak_cores_used": 1.5,
                "peak_usage_percent": 75.0, "benchmark_duration_ms": 200, "primes_found": 0, "max_prime": 0,
                "primes_per_second": 0.0, "cpu_model": "A CPU", "cpu_frequency_mhz": 0.0
            },
            "memory_details": {
                "avg_memory_mb": 40.0, "peak_memory_mb": 40.0, "block_size_kb": 0, "total_size_mb": 40,
                "operations_per_second": 0.0, "transfer_rate_mb_s": 0.0, "access_mode": "Sequential",
                "operation_type": "None", "latency_ns": 0.0, "duration_ms": 200
            },
            "io_details": null, "network_details": null, "gpu_details": null, "storage_details": null
        })
    );
    let read: BenchmarkProfile = serde_json::from_str(&serde_json::to_string(&benchmark)?)?;
    assert_eq!(read, benchmark);

    let blind: Profile = serde_json::from_str(include_str!("advice/blind.json"))?;
    let benchmark = BenchmarkProfile::of("7", &blind, &[])?.ok_or("has a case")?;
    assert_eq!((benchmark.cpu_details, benchmark.memory_details), (None, None), "not measured");
    Ok(())
}

#[test]
fn prices_follow_from_costs() -> TestResult {
    let catalogue = Catalogue::builtin();
    let advice = advise(&hash(), &[], catalogue, &Options::default())?;
    let cost = JobCost::least(&advice).ok_or("known")?;
    assert_eq!(cost, JobCost { usd_per_million: 0.6, runs_on: "azure-functions-consumption with 1536 MB".to_owned() });
    assert_eq!(JobCost::least(&not_profiled(catalogue)), None);

    // 0.6e-6 USD · 1.2 / 3 USD · 10^18 = 2.4e11 wei.
    let toml = price_suggestions(12, [(0, Some(&cost)), (3, None)], &PriceTerms::new(0.2, 3.0, 18)?);
    let lines: Vec<&str> = toml.lines().skip(1).collect();
    assert_eq!(lines[0], "[12]");
    assert!(lines[1].starts_with("0 = \"240000000000\" # "), "{}", lines[1]);
    assert_eq!(lines[2], "# 3: no cost is known");

    // On a machine, where no platform will do: its least at one a second.
    let stateful: Profile = serde_json::from_str(include_str!("advice/stateful.json"))?;
    let advice = advise(&stateful, &[], catalogue, &Options::default())?;
    let cost = JobCost::least(&advice).ok_or("known")?;
    let cheapest = &advice.vm.ok_or("measured")?.machines[0];
    assert!((cost.usd_per_million - cheapest.usd_per_million).abs() < 1e-9);

    assert_eq!(PriceTerms::new(-0.1, 1.0, 18), Err(InvalidTerms::Margin));
    assert_eq!(PriceTerms::new(0.1, 0.0, 18), Err(InvalidTerms::UsdPerToken));
    assert_eq!(PriceTerms::new(0.1, f64::NAN, 18), Err(InvalidTerms::UsdPerToken));
    assert_eq!(PriceTerms::new(0.1, 1.0, 19), Err(InvalidTerms::Decimals));
    Ok(())
}
