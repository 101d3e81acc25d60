use std::io::Write;

use proptest::prelude::*;

use super::*;

fn profile(n: u32) -> JobProfile {
    let n64 = u64::from(n);
    JobProfile {
        avg_duration_ms: 83 + n64 * 47,
        p95_duration_ms: 129 + n64 * 61,
        p99_duration_ms: 211 + n64 * 73,
        peak_memory_mb: 12 + n * 29,
        stateful: n.is_multiple_of(5),
        persistent_connections: n.is_multiple_of(7),
        sample_size: 10,
    }
}

fn profiles(jobs: u32) -> BlueprintProfiles {
    let mut profiles = BlueprintProfiles::new("document-blueprint");
    for id in 0..jobs {
        profiles.add_job(id, profile(id));
    }
    profiles
}

pub(super) fn any_job_profile() -> impl Strategy<Value = JobProfile> {
    (any::<[u64; 3]>(), any::<[u32; 2]>(), any::<[bool; 2]>()).prop_map(|(ms, [peak_memory_mb, sample_size], flags)| {
        JobProfile {
            avg_duration_ms: ms[0],
            p95_duration_ms: ms[1],
            p99_duration_ms: ms[2],
            peak_memory_mb,
            stateful: flags[0],
            persistent_connections: flags[1],
            sample_size,
        }
    })
}

pub(super) fn any_profiles() -> impl Strategy<Value = BlueprintProfiles> {
    let jobs = proptest::collection::hash_map(any::<u32>(), any_job_profile(), 0..20);
    (any::<String>(), any::<String>(), jobs).prop_map(|(blueprint_name, profiled_at, jobs)| BlueprintProfiles {
        blueprint_name,
        profiled_at,
        jobs,
    })
}

proptest! {
    #[test]
    fn every_encoding_round_trips(profiles in any_profiles()) {
        let bytes = profiles.to_compressed_bytes()?;
        prop_assert_eq!(&BlueprintProfiles::from_compressed_bytes(&bytes)?, &profiles);
        prop_assert_eq!(&BlueprintProfiles::from_base64_string(&profiles.to_base64_string()?)?, &profiles);
        let description = profiles.to_description_field()?;
        prop_assert!(has_profiling_data(&description));
        let read = BlueprintProfiles::from_description_field(&description).expect("has the marker")?;
        prop_assert_eq!(&read, &profiles);
        prop_assert_eq!(profiles.clone().to_compressed_bytes()?, bytes, "one content, one encoding");
    }

    #[test]
    fn any_text_and_any_bytes_are_read_or_refused(text in any::<String>(), bytes in any::<Vec<u8>>()) {
        let _ = BlueprintProfiles::from_base64_string(&text);
        let _ = BlueprintProfiles::from_description_field(&text);
        let _ = BlueprintProfiles::from_compressed_bytes(&bytes);
        let _ = profiling_data::read(&text);
    }

    #[test]
    fn every_id_up_to_the_highest_has_an_entry(ids in proptest::collection::hash_set(0_u32..300, 0..20),
                                               highest in 0_u32..300) {
        let mut profiles = profiles(0);
        for &id in &ids {
            profiles.add_job(id, profile(id));
        }
        let last = ids.iter().copied().fold(highest, u32::max);
        let complete = ids.len() == last as usize + 1;
        prop_assert_eq!(profiles.fill_gaps(highest)?, !complete);
        prop_assert_eq!(profiles.jobs.len(), last as usize + 1);
        for id in 0..=last {
            let expected = if ids.contains(&id) { profile(id) } else { JobProfile::not_profiled() };
            prop_assert_eq!(&profiles.jobs[&id], &expected);
        }
    }
}

#[test]
fn stays_small_on_the_chain() -> Result<(), ProfilingError> {
    for (jobs, limit) in [(1, 250), (10, 700), (50, 3000)] {
        let size = profiles(jobs).to_compressed_bytes()?.len();
        assert!(size < limit, "{jobs} jobs take {size} bytes");
    }
    Ok(())
}

#[test]
fn the_header_holds_no_time() -> Result<(), ProfilingError> {
    assert_eq!(profiles(1).to_compressed_bytes()?[4..8], [0; 4]);
    Ok(())
}

#[test]
fn ids_ascend_by_number_and_every_figure_is_an_integer() -> Result<(), ProfilingError> {
    let json = profiles(12).to_json()?;
    let position = |id: &str| json.find(&format!("\"{id}\": {{")).expect("has an entry");
    assert!(position("1") < position("2") && position("2") < position("10") && position("10") < position("11"));
    assert!(!json.contains('.') && !json.contains("null"), "{json}");
    Ok(())
}

#[test]
fn the_largest_blueprint_can_be_read_back() -> Result<(), ProfilingError> {
    let mut profiles = profiles(1);
    profiles.fill_gaps(HIGHEST_ID)?;
    assert_eq!(BlueprintProfiles::from_compressed_bytes(&profiles.to_compressed_bytes()?)?, profiles);
    Ok(())
}

#[test]
fn an_absurd_id_is_an_error() {
    let mut profiles = profiles(1);
    profiles.add_job(4_000_000_000, profile(1));
    let error = profiles.fill_gaps(0).expect_err("would take four thousand million entries");
    assert!(error.to_string().contains("4000000000"), "{error}");
}

#[test]
fn a_bomb_is_refused() -> std::io::Result<()> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..64 {
        encoder.write_all(&vec![b' '; 1 << 20])?;
    }
    let error = BlueprintProfiles::from_compressed_bytes(&encoder.finish()?).expect_err("64 MiB");
    assert!(error.to_string().contains("16777216"), "{error}");
    Ok(())
}

#[test]
fn a_changed_byte_is_noticed() -> Result<(), ProfilingError> {
    let mut bytes = profiles(3).to_compressed_bytes()?;
    let last = bytes.len() - 1;
    bytes[last - 5] ^= 1;
    assert!(BlueprintProfiles::from_compressed_bytes(&bytes).is_err());
    bytes.truncate(20);
    assert!(BlueprintProfiles::from_compressed_bytes(&bytes).is_err());
    Ok(())
}

#[test]
fn a_file_round_trips_and_errors_name_it() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("blueprint-profiles.json");
    profiles(3).save_to_file(&path)?;
    profiles(2).save_to_file(&path)?;
    assert_eq!(BlueprintProfiles::load_from_file(&path)?.jobs, profiles(2).jobs);
    assert_eq!(std::fs::read_dir(directory.path())?.count(), 1, "nothing else is left");

    std::fs::write(&path, "{\"blueprint_name\": \"x\"")?;
    for path in [path.clone(), directory.path().join("absent.json")] {
        let error = BlueprintProfiles::load_from_file(&path).expect_err("unusable");
        assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
    }
    let error = profiles(1).save_to_file(directory.path().join("absent/x.json")).expect_err("no directory");
    assert!(error.to_string().contains("absent"), "{error}");
    Ok(())
}

#[test]
fn a_missing_profile_is_refused_by_every_measure() {
    let refused = JobProfile::not_profiled();
    assert!(!refused.is_profiled() && refused.stateful && refused.persistent_connections);
    assert_eq!(refused.peak_memory_mb, 0);
    assert!(profile(0).is_profiled());
}
