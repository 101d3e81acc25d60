//! The strategy that is printed is the one that Tangle's manager comes to, from the file that it reads.

use std::collections::BTreeMap;

use blueprint_profiling as reference;
use profiling_core::advise::{
    Advice, BlueprintAdvice, Catalogue, DeploymentStrategy, Options, Verdict, advise, not_profiled,
};
use profiling_core::profile::Profile;
use profiling_core::tangle::{BlueprintProfiles, JobProfile};

/// The strategy's name, the jobs with a profile, and how many jobs there are.
type Blueprint = (&'static str, Vec<(u32, JobProfile)>, u32);

type TestResult = Result<(), Box<dyn std::error::Error>>;

fn job(p95_duration_ms: u64, peak_memory_mb: u32) -> JobProfile {
    JobProfile {
        avg_duration_ms: 1,
        p95_duration_ms,
        p99_duration_ms: p95_duration_ms,
        peak_memory_mb,
        stateful: false,
        persistent_connections: false,
        sample_size: 10,
    }
}

/// What the manager does with the file, for Lambda: ids by position up to the highest, and a job beyond the
/// positions is looked at by nobody.
fn manager(read: &reference::BlueprintProfiles, job_count: u32) -> (Vec<u32>, Vec<u32>, &'static str) {
    let positions = read.jobs.keys().max().map_or(0, |highest| highest + 1);
    let suits = |id: &u32| {
        read.jobs.get(id).is_some_and(|job| {
            let is_within = job.p95_duration_ms <= 900_000 && job.peak_memory_mb <= 10_240;
            is_within && !job.stateful && !job.persistent_connections
        })
    };
    let (faas, local): (Vec<u32>, Vec<u32>) = (0..job_count.min(positions)).partition(suits);
    let name = match (faas.is_empty(), local.is_empty()) {
        (true, _) => "Traditional",
        (false, true) => "Serverless",
        (false, false) => "Hybrid",
    };
    (faas, local, name)
}

#[test]
fn the_manager_comes_to_the_same_strategy() -> TestResult {
    let mut stateful = job(10, 10);
    stateful.stateful = true;
    let fits = || job(900_000, 10_240);
    let blueprints: [Blueprint; 7] = [
        ("Serverless", vec![(0, fits()), (1, job(1, 1))], 2),
        ("Hybrid", vec![(0, fits()), (1, job(900_001, 1)), (2, job(1, 10_241)), (3, stateful.clone())], 4),
        ("Traditional", vec![(0, stateful), (1, JobProfile::not_profiled())], 2),
        ("Traditional", vec![], 3),
        ("Hybrid", vec![(0, fits()), (4, fits())], 5),
        ("Hybrid", vec![(0, fits())], 3),
        ("Traditional", vec![], 0),
    ];
    let directory = tempfile::tempdir()?;
    for (expected, jobs, count) in blueprints {
        let mut profiles = BlueprintProfiles::new("b");
        for (id, job) in jobs {
            profiles.add_job(id, job);
        }
        if count > 0 {
            profiles.fill_gaps(count - 1)?;
        }
        let path = directory.path().join("blueprint-profiles.json");
        profiles.save_to_file(&path)?;
        let (faas, local, name) = manager(&reference::BlueprintProfiles::load_from_file(&path)?, count);
        assert_eq!(name, expected);

        let advice = BlueprintAdvice::of(&profiles.jobs, &BTreeMap::<u32, Advice>::new());
        let lambda = &advice.strategies[0];
        assert_eq!(lambda.platform, "aws-lambda");
        let all: Vec<u32> = (0..count).collect();
        let printed = match &lambda.strategy {
            DeploymentStrategy::Serverless { job_ids } => (job_ids.clone(), Vec::new(), "Serverless"),
            DeploymentStrategy::Hybrid { faas_jobs, local_jobs } => (faas_jobs.clone(), local_jobs.clone(), "Hybrid"),
            DeploymentStrategy::Traditional { job_ids } => (Vec::new(), job_ids.clone(), "Traditional"),
        };
        assert_eq!(printed, (faas, local, name), "{all:?}");
        assert_eq!(lambda.doubts.len(), printed.0.len(), "nothing was said of them");
    }
    Ok(())
}

#[test]
fn what_the_manager_does_not_know_is_a_doubt() -> TestResult {
    let hash: Profile = serde_json::from_str(include_str!("advice/hash.json"))?;
    let payload: Profile = serde_json::from_str(include_str!("advice/payload.json"))?;
    let catalogue = Catalogue::builtin();
    let of =
        |profile: &Profile| advise(profile, &[], catalogue, &Options::default()).expect("there are no samples to read");
    let advice: BTreeMap<u32, Advice> = [(0, of(&hash)), (1, of(&payload)), (2, not_profiled(catalogue))].into();
    let mut profiles = BlueprintProfiles::new("b");
    profiles.add_job(0, hash.summary.clone().ok_or("measured")?);
    profiles.add_job(1, payload.summary.clone().ok_or("measured")?);
    profiles.fill_gaps(2)?;
    let found = BlueprintAdvice::of(&profiles.jobs, &advice);

    let ids = |platform: &str| {
        let strategy = found.strategies.iter().find(|strategy| strategy.platform == platform).expect("known");
        let doubts: Vec<_> = strategy.doubts.iter().map(|doubt| (doubt.job_id, doubt.verdict)).collect();
        (strategy.strategy.faas_jobs().to_vec(), doubts)
    };
    assert_eq!(ids("aws-lambda"), (vec![0, 1], vec![]));
    assert_eq!(
        ids("digitalocean-functions"),
        (vec![0, 1], vec![(1, Some(Verdict::Incompatible))]),
        "5 MiB against 1 MB"
    );

    let json = serde_json::to_value(&found)?;
    assert_eq!(
        json["strategies"][0]["strategy"],
        serde_json::json!({"Hybrid": {"faas_jobs": [0, 1], "local_jobs": [2]}})
    );
    // The largest peak is 40 MiB; the manager takes 512 MiB at least, and a core for 2 GiB.
    let sizing = &found.resource_sizing;
    assert_eq!((sizing.memory_mb, sizing.measured_memory_mb), (512, Some(48)));
    assert!((sizing.cpu_cores - 1.0).abs() < f32::EPSILON);
    assert_eq!(serde_json::from_value::<BlueprintAdvice>(json)?, found);
    Ok(())
}
