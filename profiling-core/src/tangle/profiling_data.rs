//! The string that the chain keeps in a blueprint's `metadata.profiling_data`.
//!
//! It holds a JSON object, `{"schema": "tangle.blueprint.metadata.v1", …, "job_profiles_b64_gzip": "…"}`;
//! clients that look there for other keys, such as `execution_profile`, fail on anything else.

use serde_json::Value;

use super::{BlueprintProfiles, ProfilingError, has_profiling_data, json};

/// The schema that the object names.
pub const SCHEMA: &str = "tangle.blueprint.metadata.v1";

const PROFILES_KEY: &str = "job_profiles_b64_gzip";

/// What base64 of gzip starts with.
const BARE_PREFIX: &str = "H4sI";

/// A `profiling_data` string with profiles in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The string for the chain.
    pub profiling_data: String,
    /// What stood there before and was dropped, because it was neither a JSON object nor profiles.
    pub dropped: Option<String>,
}

/// Puts profiles into a `profiling_data` string.
///
/// An object keeps its other keys byte for byte. Profiles that older tools wrote without an object, and
/// any other text, are replaced. A string that holds these very profiles stays as it is.
pub fn write(existing: &str, profiles: &BlueprintProfiles) -> Result<Written, ProfilingError> {
    let existing = existing.trim();
    let Some(mut object) = object(existing) else {
        let fresh = serde_json::json!({"schema": SCHEMA, PROFILES_KEY: profiles.to_base64_string()?});
        let foreign = !existing.is_empty() && !is_bare(existing) && !has_profiling_data(existing);
        return Ok(Written { profiling_data: fresh.to_string(), dropped: foreign.then(|| existing.to_owned()) });
    };
    let unchanged = matches!(read(existing), Some(Ok(found)) if found == *profiles);
    if !unchanged {
        object[PROFILES_KEY] = profiles.to_base64_string()?.into();
    }
    object["schema"] = SCHEMA.into();
    let profiling_data = json::patch(existing, &object)
        .map_err(|error| ProfilingError::InvalidConfiguration(format!("`profiling_data` is not JSON: {error}")))?;
    Ok(Written { profiling_data, dropped: None })
}

/// Reads the profiles of a `profiling_data` string or of a description: the object, or what older tools
/// wrote, base64 alone or behind its marker. `None` where there are no profiles.
#[must_use]
pub fn read(profiling_data: &str) -> Option<Result<BlueprintProfiles, ProfilingError>> {
    let text = profiling_data.trim();
    if is_bare(text) {
        return Some(BlueprintProfiles::from_base64_string(text));
    }
    if let Some(profiles) = BlueprintProfiles::from_description_field(text) {
        return Some(profiles);
    }
    Some(BlueprintProfiles::from_base64_string(object(text)?.get(PROFILES_KEY)?.as_str()?))
}

fn is_bare(text: &str) -> bool {
    text.starts_with(BARE_PREFIX)
}

fn object(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().filter(Value::is_object)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::JobProfile;
    use super::super::tests::any_profiles;
    use super::*;

    fn profiles() -> BlueprintProfiles {
        let mut profiles = BlueprintProfiles::new("x");
        profiles.add_job(0, JobProfile::not_profiled());
        profiles
    }

    fn written(existing: &str) -> Result<Written, ProfilingError> {
        write(existing, &profiles())
    }

    proptest! {
        #[test]
        fn what_was_written_can_be_read(existing in ".*|\\{\"[a-z]\": \"\\PC{0,9}\"\\}", profiles in any_profiles()) {
            let first = write(&existing, &profiles)?;
            prop_assert_eq!(&read(&first.profiling_data).expect("holds profiles")?, &profiles);
            let again = write(&first.profiling_data, &profiles)?;
            prop_assert_eq!(again, Written { dropped: None, ..first });
        }
    }

    #[test]
    fn an_object_keeps_its_other_keys_byte_for_byte() -> Result<(), ProfilingError> {
        let kept = r#"{ "execution_profile": {"gpu":{"policy":"required", "min_vram_gb": 1e1}}, "z": 1.0"#;
        let written = written(&format!("{kept} }}"))?;
        assert!(written.profiling_data.starts_with(kept), "{}", written.profiling_data);
        assert_eq!(object(&written.profiling_data).expect("an object")["schema"], SCHEMA);
        assert_eq!(written.dropped, None);
        Ok(())
    }

    #[test]
    fn profiles_of_older_tools_are_replaced() -> Result<(), ProfilingError> {
        for old in ["", " ", &profiles().to_base64_string()?, &profiles().to_description_field()?] {
            let written = written(old)?;
            assert!(written.profiling_data.starts_with('{'), "{}", written.profiling_data);
            assert_eq!(written.dropped, None);
        }
        Ok(())
    }

    #[test]
    fn other_text_is_handed_back() -> Result<(), ProfilingError> {
        for old in ["a note", "[1]", "12"] {
            assert_eq!(written(old)?.dropped.as_deref(), Some(old));
        }
        Ok(())
    }

    #[test]
    fn a_broken_blob_is_an_error_to_read_and_is_replaced() -> Result<(), ProfilingError> {
        let broken = r#"{"job_profiles_b64_gzip": "H4sIAAAA"}"#;
        assert!(matches!(read(broken), Some(Err(_))));
        assert!(matches!(read(&written(broken)?.profiling_data), Some(Ok(_))));
        Ok(())
    }

    #[test]
    fn no_profiles_is_not_an_error() {
        for text in ["", "{}", "a note", "[]", r#"{"execution_profile":{}}"#] {
            assert!(read(text).is_none(), "{text}");
        }
    }
}
