//! The released `blueprint-profiling` reads what we write, and we read what it writes.

#![cfg(feature = "formats")]

use std::collections::HashMap;
use std::path::Path;

use blueprint_profiling as reference;
use profiling_core as ours;
use profiling_core::tangle::profiling_data;

type TestResult = Result<(), Box<dyn std::error::Error>>;

/// The compressed bytes, the base64 string, and the description.
type Encodings = (Vec<u8>, String, String);

/// The same code against either crate: names, signatures and shapes are the same.
macro_rules! written_against {
    ($name:ident, $library:ident) => {
        mod $name {
            use super::*;
            use $library::{BlueprintProfiles, JobProfile, ProfilingError, has_profiling_data};

            pub(super) fn profiles() -> BlueprintProfiles {
                let mut profiles = BlueprintProfiles::new("squaring");
                for id in [10_u32, 0, 2] {
                    let profile = JobProfile {
                        avg_duration_ms: 5 + u64::from(id),
                        p95_duration_ms: u64::MAX,
                        p99_duration_ms: 9_007_199_254_740_991,
                        peak_memory_mb: u32::MAX - id,
                        stateful: id == 2,
                        persistent_connections: id == 10,
                        sample_size: 10,
                    };
                    profiles.add_job(id, profile);
                }
                profiles
            }

            /// Writes a file, and every other encoding.
            pub(super) fn encode(path: &Path) -> Result<Encodings, ProfilingError> {
                let profiles = profiles();
                profiles.save_to_file(path)?;
                Ok((profiles.to_compressed_bytes()?, profiles.to_base64_string()?, profiles.to_description_field()?))
            }

            /// The jobs as each encoding has them.
            pub(super) fn decode(
                path: &Path,
                (bytes, base64, description): &Encodings,
            ) -> Result<Vec<HashMap<u32, String>>, ProfilingError> {
                assert!(has_profiling_data(description) && !has_profiling_data(base64));
                assert!(BlueprintProfiles::from_description_field(base64).is_none());
                let read = [
                    BlueprintProfiles::load_from_file(path)?,
                    BlueprintProfiles::from_compressed_bytes(bytes)?,
                    BlueprintProfiles::from_base64_string(base64)?,
                    BlueprintProfiles::from_description_field(description).expect("has the marker")?,
                ];
                Ok(read.into_iter().map(jobs).collect())
            }

            /// The jobs in a form that can be compared between the crates.
            pub(super) fn jobs(read: BlueprintProfiles) -> HashMap<u32, String> {
                assert_eq!(read.blueprint_name, "squaring");
                assert!(read.profiled_at.starts_with("20"), "{}", read.profiled_at);
                read.jobs.into_iter().map(|(id, profile)| (id, format!("{profile:?}"))).collect()
            }

            fn kind(error: &ProfilingError) -> &'static str {
                match error {
                    ProfilingError::ExecutionFailed(_) => "failed",
                    ProfilingError::InsufficientSamples { expected, actual } if expected > actual => "too few",
                    ProfilingError::InsufficientSamples { .. } => "samples",
                    ProfilingError::InvalidConfiguration(_) => "invalid",
                }
            }

            #[test]
            fn unusable_input_is_an_error_of_the_same_kind() {
                let errors = [
                    BlueprintProfiles::load_from_file("/absent").expect_err("absent"),
                    BlueprintProfiles::from_compressed_bytes(b"not gzip").expect_err("not gzip"),
                    BlueprintProfiles::from_base64_string("?").expect_err("not base64"),
                    BlueprintProfiles::new("x").save_to_file("/absent/x").expect_err("no directory"),
                ];
                assert!(errors.iter().all(|error| kind(error) == "invalid"), "{errors:?}");
            }
        }
    };
}

written_against!(our_code, ours);
written_against!(reference_code, reference);

#[test]
fn each_reads_what_the_other_writes() -> TestResult {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("blueprint-profiles.json");
    let expected = our_code::jobs(our_code::profiles());

    let encodings = our_code::encode(&path)?;
    assert_eq!(reference_code::decode(&path, &encodings)?, vec![expected.clone(); 4]);

    let encodings = reference_code::encode(&path)?;
    assert_eq!(our_code::decode(&path, &encodings)?, vec![expected; 4]);
    Ok(())
}

#[test]
fn refused_entries_are_read_too() -> TestResult {
    let mut profiles = our_code::profiles();
    profiles.fill_gaps(12)?;
    let read = reference::BlueprintProfiles::from_base64_string(&profiles.to_base64_string()?)?;
    assert_eq!(read.jobs.len(), 13);
    assert!(read.jobs[&12].stateful && read.jobs[&12].persistent_connections && read.jobs[&12].sample_size == 0);
    Ok(())
}

#[test]
fn the_chains_string_holds_what_the_reference_reads() -> TestResult {
    let expected = our_code::jobs(our_code::profiles());
    let written = profiling_data::write(r#"{"execution_profile":{}}"#, &our_code::profiles())?;
    let object: serde_json::Value = serde_json::from_str(&written.profiling_data)?;
    let blob = object["job_profiles_b64_gzip"].as_str().ok_or("a string")?;
    assert_eq!(reference_code::jobs(reference::BlueprintProfiles::from_base64_string(blob)?), expected);

    let older = reference_code::profiles();
    for text in [older.to_base64_string()?, older.to_description_field()?] {
        assert_eq!(our_code::jobs(profiling_data::read(&text).ok_or("holds profiles")??), expected);
    }
    Ok(())
}

#[test]
fn a_whole_profile_is_a_superset_of_the_references() -> TestResult {
    let whole = serde_json::json!({
        "schema": "profiling.job/1", "package": "p", "job": "square", "id": 0, "source": {"file": "f", "line": 1},
        "avg_duration_ms": 1, "p95_duration_ms": 2, "p99_duration_ms": 3, "peak_memory_mb": 4,
        "stateful": false, "persistent_connections": true, "sample_size": 10, "cases": [],
        "environment": {"profiled_at": "", "os": "", "arch": "", "target": "", "rustc": "", "opt_level": "3",
                        "debug_assertions": false}
    });
    let whole: ours::profile::Profile = serde_json::from_value(whole)?;
    let read: reference::JobProfile = serde_json::from_str(&serde_json::to_string(&whole)?)?;
    assert_eq!(format!("{read:?}"), format!("{:?}", whole.summary.ok_or("has a summary")?));
    Ok(())
}
