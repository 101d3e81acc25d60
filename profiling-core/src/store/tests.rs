use std::cell::Cell;
use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::breakdown::Breakdown;
use crate::budget::{Judgement, Outcome, Subject, Unit};
use crate::evidence::Leftover;
use crate::profile::{CaseProfile, Environment, Figures, Params, Source};
use crate::sample::Sample;
use crate::samples::SampledCase;
use crate::sampling::{Sampling, Stopped};
use crate::statistics::{Intervals, Outliers, Percentile, Summary};
use crate::tangle::JobProfile;

type TestResult = Result<(), Box<dyn std::error::Error>>;

pub(crate) fn profile(job: &str, id: Option<u32>) -> Profile {
    let wall_ns = Summary {
        min: 1,
        mean: 2.1,
        std_dev: 0.3,
        p50: 2,
        p90: 3,
        p95: 3,
        p99: u64::MAX,
        p999: u64::MAX,
        max: u64::MAX,
        mad: Some(0.5),
        intervals: Intervals { p50: Some([1, 3].into()), mean: Some([1.9, 2.3].into()), ..Intervals::default() },
        outliers: Some(Outliers { high_severe: 1, ..Outliers::default() }),
    };
    let sampling = Sampling { stopped: Stopped::Time, percentile: Percentile::P50, precision: Some(0.031) };
    let judgement = Judgement {
        budget: Subject::P95,
        unit: Unit::Ns,
        limit: 2,
        figure: Some(3),
        low: Some(2),
        high: None,
        outcome: Outcome::Near,
        why: Some("not surely over it".to_owned()),
    };
    let figures = Figures { retained_heap_bytes: None, cpu_ns: Some(wall_ns), ..Figures::default() };
    let params: Params = [("n".to_owned(), 10.into()), ("a".to_owned(), "x".into())].into_iter().collect();
    Profile {
        schema: SCHEMA.to_owned(),
        package: "p".to_owned(),
        job: job.to_owned(),
        id,
        source: Source { file: "src/lib.rs".to_owned(), line: 12 },
        targets: vec!["aws-lambda".to_owned()],
        summary: Some(JobProfile {
            avg_duration_ms: 1,
            p95_duration_ms: 2,
            p99_duration_ms: 3,
            peak_memory_mb: 4,
            stateful: false,
            persistent_connections: false,
            sample_size: 10,
        }),
        stateful_evidence: vec!["leaves the file /tmp/x behind".to_owned()],
        connection_evidence: Vec::new(),
        noise: None,
        cases: vec![CaseProfile {
            params,
            origin: None,
            samples: 10,
            unsupported: vec![Percentile::P999],
            wall_ns,
            figures,
            instructions: Some(1_234_567),
            tree_peak: None,
            evidence: [Leftover::File { path: "/tmp/x".to_owned() }.seen()].into_iter().collect(),
            rehearsals: Vec::new(),
            file_descriptors_left_open: Some(-1),
            cold_start: None,
            cold_starts: Vec::new(),
            noise: None,
            sampling: Some(sampling),
            budgets: vec![judgement],
            breakdown: Breakdown::default(),
        }],
        missing_cases: Vec::new(),
        models: Vec::new(),
        environment: Environment {
            profiled_at: "2026-01-02T03:04:05Z".to_owned(),
            os: "linux".to_owned(),
            arch: "x86_64".to_owned(),
            target: "x86_64-unknown-linux-gnu".to_owned(),
            cpu_model: None,
            logical_cpus: Some(2),
            memory_bytes: Some(1 << 33),
            rustc: "rustc 1.95.0".to_owned(),
            opt_level: "3".to_owned(),
            debug_assertions: false,
            git_commit: None,
            measurement_overhead_ns: None,
        },
        fingerprint: None,
        harness: None,
        executable: None,
        stale: Vec::new(),
        advice: None,
    }
}

fn samples(count: usize) -> Vec<Sample> {
    vec![Sample { wall_ns: u64::MAX, retained_heap_bytes: Some(-5), ..Sample::default() }; count]
}

/// Of the only case of a profile.
fn save(locked: &LockedStore, profile: &Profile, samples: &[Sample], most: usize) -> Result<(), StoreError> {
    let (params, samples) = (&profile.cases[0].params, samples.into());
    locked.save(profile, &[KeptSamples { case: SampledCase { params, samples: &samples }, most }])
}

/// Samples by case.
type Loaded = Vec<(Params, Vec<Sample>)>;

fn loaded(store: &Store, job: &str) -> Result<Loaded, Box<dyn std::error::Error>> {
    let stored = store.samples(job, None)?;
    let all = stored.cases().into_iter().map(|case| Ok((case.params.clone(), case.samples.to_vec()?)));
    all.collect()
}

/// The lines of a job's samples, as any tool reads them.
fn sample_lines(store: &Store, job: &str) -> io::Result<String> {
    let file = fs::File::open(store.samples_path(job))?;
    io::read_to_string(flate2::read::GzDecoder::new(file))
}

fn store() -> io::Result<(tempfile::TempDir, Store)> {
    let target = tempfile::tempdir()?;
    let store = Store::new(target.path(), "p");
    Ok((target, store))
}

fn lock(store: &Store) -> Result<LockedStore, StoreError> {
    store.lock(|| panic!("nobody else holds the lock"))
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    let names = fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

#[test]
fn what_was_saved_is_loaded() -> TestResult {
    let (_target, store) = store()?;
    assert_eq!(store.load_all()?, []);
    let locked = lock(&store)?;
    assert!(!store.exists());
    let jobs = ["square", "Sortiert große/../Listen", "CON"];
    for job in jobs {
        save(&locked, &profile(job, Some(3)), &samples(3), usize::MAX)?;
        assert_eq!(locked.load(job)?, Some(profile(job, Some(3))));
        assert_eq!(loaded(&store, job)?, [(profile(job, None).cases[0].params.clone(), samples(3))]);
    }
    assert!(store.exists());
    let jobs_there: Vec<String> = store.load_all()?.into_iter().map(|profile| profile.job).collect();
    assert_eq!(jobs_there, ["CON", "Sortiert große/../Listen", "square"]);
    assert_eq!(names(&store.directory())?.len(), 6, "two files per job");
    assert!(
        store.directory().join("square.json").is_file() && store.directory().join("square.samples.jsonl.gz").is_file()
    );

    save(&locked, &profile("square", None), &samples(1), usize::MAX)?;
    assert_eq!(locked.load("square")?, Some(profile("square", None)));
    assert_eq!(loaded(&store, "square")?[0].1, samples(1));
    assert_eq!(locked.load("absent")?, None);
    Ok(())
}

#[test]
fn jobs_are_dropped_with_their_samples() -> TestResult {
    let (_target, store) = store()?;
    let locked = lock(&store)?;
    for job in ["a", "b", "C"] {
        save(&locked, &profile(job, None), &samples(1), usize::MAX)?;
    }
    locked.remove("a")?;
    locked.remove("a")?;
    assert_eq!(locked.load("a")?, None);
    fs::write(store.directory().join("d.json"), "damaged, and of a job that is gone")?;
    locked.retain(["C", "never profiled"])?;
    assert_eq!(store.load_all()?, [profile("C", None)]);
    assert_eq!(names(&store.directory())?.len(), 2);
    Ok(())
}

#[test]
fn a_store_without_profiles_exists_once_a_job_has_failed() -> TestResult {
    let (_target, store) = store()?;
    lock(&store)?.remove("a")?;
    assert!(store.exists());
    assert_eq!(store.load_all()?, []);
    Ok(())
}

#[test]
fn damaged_files_are_named_with_line_and_column() -> TestResult {
    let (_target, store) = store()?;
    let locked = lock(&store)?;
    save(&locked, &profile("a", None), &samples(2), usize::MAX)?;
    let json = fs::read_to_string(store.profile_path("a"))?;
    let lines = sample_lines(&store, "a")?;
    let message = |error: StoreError| {
        let message = error.to_string();
        assert!(message.contains("cargo test --features profiling"), "{message}");
        message
    };

    for broken in [&json[..json.len() / 2], "", "{}", "\0"] {
        fs::write(store.profile_path("a"), broken)?;
        let message = message(store.load_all().expect_err("damaged"));
        assert!(message.contains("a.json") && message.contains("line "), "{message}");
        assert!(locked.load("a").is_err());
    }
    fs::write(store.profile_path("a"), json.replace("profiling.job/1", "profiling.job/2"))?;
    let found = message(store.load_all().expect_err("another schema"));
    assert!(found.contains("profiling.job/2"), "{found}");

    fs::write(store.profile_path("a"), &json)?;
    fs::write(store.samples_path("a"), &lines[..lines.len() - 9])?;
    let found = message(locked.samples("a", None).expect_err("damaged"));
    assert!(found.contains("a.samples.jsonl.gz") && found.contains("line 2"), "{found}");
    save(&locked, &profile("a", None), &samples(2), usize::MAX)?;
    let compressed = fs::read(store.samples_path("a"))?;
    fs::write(store.samples_path("a"), &compressed[..compressed.len() / 2])?;
    message(locked.samples("a", None).expect_err("cut off"));
    Ok(())
}

#[test]
fn samples_are_kept_as_far_as_they_are_wanted() -> TestResult {
    let (_target, store) = store()?;
    let locked = lock(&store)?;
    let measured = |samples: usize| {
        let mut profile = profile("a", None);
        profile.cases[0].samples = u32::try_from(samples).expect("few");
        profile
    };
    let all: Vec<Sample> = (0..3_000).map(|wall_ns| Sample { wall_ns, ..Sample::default() }).collect();
    save(&locked, &measured(3_000), &all, usize::MAX)?;
    assert_eq!(loaded(&store, "a")?[0].1, all);
    save(&locked, &measured(3_000), &all, 4)?;
    let expected: Vec<String> = [0, 750, 1500, 2250]
        .map(|number| format!(r#"{{"params":{{"n":10,"a":"x"}},"sample":{number},"wall_ns":{number}}}"#) + "\n")
        .to_vec();
    assert_eq!(sample_lines(&store, "a")?, expected.concat());
    // Saved again, they are still those of so many.
    let thinned = loaded(&store, "a")?[0].1.clone();
    save(&locked, &measured(3_000), &thinned, usize::MAX)?;
    assert_eq!(sample_lines(&store, "a")?, expected.concat());
    save(&locked, &measured(3_000), &all, 0)?;
    assert_eq!((loaded(&store, "a")?, names(&store.directory())?.len()), (vec![], 1));
    Ok(())
}

#[test]
fn samples_of_an_older_release_are_read_and_replaced() -> TestResult {
    let (_target, store) = store()?;
    let locked = lock(&store)?;
    save(&locked, &profile("a", None), &samples(2), usize::MAX)?;
    let old = store.plain_samples_path("a");
    fs::write(&old, sample_lines(&store, "a")?)?;
    fs::remove_file(store.samples_path("a"))?;
    assert_eq!(loaded(&store, "a")?[0].1, samples(2));
    fs::write(&old, "{}")?;
    let found = locked.samples("a", None).expect_err("damaged").to_string();
    assert!(found.contains("a.samples.jsonl`") && found.contains("line 1"), "{found}");
    save(&locked, &profile("a", None), &samples(1), usize::MAX)?;
    assert!(!old.exists() && loaded(&store, "a")?[0].1 == samples(1));
    fs::write(&old, "")?;
    locked.remove("a")?;
    assert_eq!(names(&store.directory())?, [""; 0]);
    Ok(())
}

#[test]
fn only_one_holds_the_lock() -> TestResult {
    let (_target, store) = store()?;
    let locked = lock(&store)?;
    assert!(store.try_lock()?.is_none());
    let (waiting, is_waiting) = mpsc::channel();
    let second = std::thread::spawn({
        let store = store.clone();
        move || {
            let waited = Cell::new(false);
            let locked = store.lock(|| {
                waited.set(true);
                waiting.send(()).expect("the test is still there");
            });
            locked.map(|_| waited.get())
        }
    });
    is_waiting.recv_timeout(Duration::from_secs(10))?;
    assert!(!second.is_finished());
    drop(locked);
    assert!(second.join().expect("no panic")?, "it was told that it has to wait");
    assert!(store.try_lock()?.is_some());
    Ok(())
}

#[test]
fn locking_sweeps_what_killed_processes_left() -> TestResult {
    let (target, store) = store()?;
    drop(lock(&store)?.remove("a"));
    let leftovers = [target.path(), &store.directory()].map(|directory| directory.join(".profiling-abcdef.tmp"));
    for leftover in &leftovers {
        fs::write(leftover, "half")?;
    }
    let _locked = lock(&store)?;
    assert!(leftovers.iter().all(|leftover| !leftover.exists()));
    Ok(())
}

#[test]
fn the_managers_file_has_every_id() -> TestResult {
    let (target, store) = store()?;
    let locked = lock(&store)?;
    save(&locked, &profile("a", Some(0)), &samples(1), usize::MAX)?;
    let triple = target.path().join("aarch64-unknown-linux-gnu");
    fs::create_dir(&triple)?;
    let known = [("a", Some(0)), ("b", Some(4)), ("c", None)];
    let written = locked.write_blueprint_profiles(&known, &[], std::slice::from_ref(&triple))?;
    assert_eq!(written, [store.blueprint_profiles_path(), triple.join(BLUEPRINT_PROFILES)]);
    for path in &written {
        let profiles = BlueprintProfiles::load_from_file(path)?;
        assert_eq!(profiles.jobs.len(), 5);
        assert_eq!(profiles.blueprint_name, "p");
        assert!(profiles.jobs[&0].is_profiled() && (1..5).all(|id| !profiles.jobs[&id].is_profiled()));
    }

    // Embedding knew of more jobs; the id of one that has none comes from the document.
    let document = [DocumentJob { index: 6, indexed: true, name: Some("c".to_owned()) }];
    save(&locked, &profile("c", None), &samples(1), usize::MAX)?;
    locked.write_blueprint_profiles(&known, &document, &[])?;
    locked.write_blueprint_profiles(&known[..2], &[], &[])?;
    let profiles = BlueprintProfiles::load_from_file(store.blueprint_profiles_path())?;
    assert_eq!(profiles.jobs.len(), 7);
    assert!(!profiles.jobs[&6].is_profiled());
    Ok(())
}

#[test]
fn a_failed_job_loses_its_profile_in_the_managers_file_too() -> TestResult {
    let (_target, store) = store()?;
    let locked = lock(&store)?;
    save(&locked, &profile("a", Some(0)), &samples(1), usize::MAX)?;
    locked.write_blueprint_profiles(&[("a", Some(0))], &[], &[])?;
    locked.remove("a")?;
    locked.write_blueprint_profiles(&[("a", Some(0))], &[], &[])?;
    let profiles = BlueprintProfiles::load_from_file(store.blueprint_profiles_path())?;
    assert_eq!(profiles.jobs[&0], JobProfile::not_profiled());
    Ok(())
}

#[test]
fn a_damaged_profile_does_not_keep_another_in_the_managers_file() -> TestResult {
    let (_target, store) = store()?;
    let locked = lock(&store)?;
    let known = [("a", Some(0)), ("b", Some(1)), ("c", Some(2))];
    for (job, id) in known {
        save(&locked, &profile(job, id), &samples(1), usize::MAX)?;
    }
    locked.write_blueprint_profiles(&known, &[], &[])?;
    drop(locked);
    fs::write(store.profile_path("b"), "{")?;
    let locked = lock(&store)?;
    locked.remove("a")?;
    let error = locked.write_blueprint_profiles(&known, &[], &[]).expect_err("damaged");
    assert!(error.to_string().contains("b.json"), "{error}");
    let jobs = BlueprintProfiles::load_from_file(store.blueprint_profiles_path())?.jobs;
    assert_eq!([0, 1, 2].map(|id| jobs[&id].is_profiled()), [false, false, true]);
    Ok(())
}

#[test]
fn without_ids_there_is_no_managers_file() -> TestResult {
    let (_target, store) = store()?;
    let locked = lock(&store)?;
    BlueprintProfiles::new("another package").save_to_file(store.blueprint_profiles_path())?;
    assert_eq!(locked.write_blueprint_profiles(&[("a", None)], &[], &[])?, Vec::<PathBuf>::new());
    assert!(!store.blueprint_profiles_path().exists());
    Ok(())
}

#[test]
fn an_absurd_id_is_an_error() -> TestResult {
    let (_target, store) = store()?;
    let error = lock(&store)?.write_blueprint_profiles(&[("a", Some(u32::MAX))], &[], &[]).expect_err("absurd");
    assert!(error.to_string().contains("4294967295"), "{error}");
    Ok(())
}

#[test]
fn an_unusable_directory_is_named() -> TestResult {
    let (target, _) = store()?;
    let file = target.path().join("file");
    fs::write(&file, "")?;
    let error = Store::new(&file, "p").lock(|| ()).expect_err("not a directory");
    assert!(error.to_string().contains("file/profiling"), "{error}");
    Ok(())
}

#[test]
fn another_directory_replaces_the_target_directory() -> TestResult {
    let package = tempfile::tempdir()?;
    let store = Store::locate(package.path(), "p", Some(Path::new("out")), None)?;
    assert_eq!(store.blueprint_profiles_path(), package.path().join("out/blueprint-profiles.json"));
    assert_eq!(store.profile_path("a"), package.path().join("out/profiling/p/a.json"));
    Ok(())
}
