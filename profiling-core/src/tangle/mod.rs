//! The formats that Tangle's manager and clients read.
//!
//! [`BlueprintProfiles`] is `blueprint-profiles.json` and, compressed, the blob on the chain;
//! [`profiling_data`] is the on-chain string around that blob; [`blueprint`] says which profile belongs
//! to which job of a `blueprint.json`.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::path::Path;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

pub mod blueprint;
pub(crate) mod json;
pub mod profiling_data;

/// The highest job id that the formats take.
///
/// Readers pair ids with profiles by position, so that every id below the highest takes an entry.
pub const HIGHEST_ID: u32 = 65_535;

/// What a compressed blob may inflate to: more than the largest that [`HIGHEST_ID`] allows.
const INFLATED_LIMIT: u64 = 16 << 20;

/// Starts a description that holds profiles.
const DESCRIPTION_MARKER: &str = "[PROFILING_DATA_V1]";

/// Longer than any limit of any platform, and still exact where JSON numbers are `f64` (2^53 − 1).
const NEVER_ENDS_MS: u64 = 9_007_199_254_740_991;

/// Why a job could not be profiled, or profiles not be read or written.
#[derive(Debug, Error)]
pub enum ProfilingError {
    /// The job returned an error or did not end in time.
    #[error("the job failed: {0}")]
    ExecutionFailed(String),
    /// Fewer executions could be measured than were asked for.
    #[error("{actual} of {expected} samples were measured")]
    InsufficientSamples {
        /// How many were asked for.
        expected: u32,
        /// How many there are.
        actual: u32,
    },
    /// A setting, a file or an encoded text is unusable.
    #[error("{0}")]
    InvalidConfiguration(String),
}

/// What one execution of a job costs, in seven figures; each the worst over the job's cases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobProfile {
    /// Mean wall-clock time, in milliseconds rounded up.
    pub avg_duration_ms: u64,
    /// 95th percentile of the wall-clock time, in milliseconds rounded up.
    pub p95_duration_ms: u64,
    /// 99th percentile of the wall-clock time, in milliseconds rounded up.
    pub p99_duration_ms: u64,
    /// Peak memory, in MiB rounded up.
    pub peak_memory_mb: u32,
    /// Whether the job keeps state between executions.
    pub stateful: bool,
    /// Whether the job needs connections that outlive an execution.
    pub persistent_connections: bool,
    /// The number of measured executions; 0 for a job that has no profile.
    pub sample_size: u32,
}

impl JobProfile {
    /// The entry of a job without a valid profile: every reader judges it unfit for serverless
    /// platforms, by its flags and by its durations alike, and no VM is sized by it.
    #[must_use]
    pub fn not_profiled() -> Self {
        Self {
            avg_duration_ms: NEVER_ENDS_MS,
            p95_duration_ms: NEVER_ENDS_MS,
            p99_duration_ms: NEVER_ENDS_MS,
            peak_memory_mb: 0,
            stateful: true,
            persistent_connections: true,
            sample_size: 0,
        }
    }

    /// Whether the figures were measured.
    #[must_use]
    pub fn is_profiled(&self) -> bool {
        self.sample_size > 0
    }
}

/// The profiles of a blueprint's jobs: what `blueprint-profiles.json` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlueprintProfiles {
    /// The blueprint's name.
    pub blueprint_name: String,
    /// When the newest of the profiles was measured, in RFC 3339.
    pub profiled_at: String,
    /// The profiles by job id.
    #[serde(serialize_with = "by_ascending_id")]
    pub jobs: HashMap<u32, JobProfile>,
}

fn by_ascending_id<S: Serializer>(jobs: &HashMap<u32, JobProfile>, serializer: S) -> Result<S::Ok, S::Error> {
    jobs.iter().collect::<BTreeMap<_, _>>().serialize(serializer)
}

impl BlueprintProfiles {
    /// No profiles yet, as of now.
    pub fn new(blueprint_name: impl Into<String>) -> Self {
        Self { blueprint_name: blueprint_name.into(), profiled_at: now(), jobs: HashMap::new() }
    }

    /// Adds a job's profile, or replaces it.
    pub fn add_job(&mut self, job_id: u32, profile: JobProfile) {
        self.jobs.insert(job_id, profile);
    }

    /// Gives every id without a profile an entry that is refused ([`JobProfile::not_profiled`]), from 0
    /// to `highest` or to the highest id that has a profile. Returns whether anything was missing.
    ///
    /// Readers pair ids with profiles by position: without this, a job beyond a gap or beyond the end
    /// counts as fit for serverless platforms.
    ///
    /// Fails with [`ProfilingError::InvalidConfiguration`] for an id above [`HIGHEST_ID`].
    pub fn fill_gaps(&mut self, highest: u32) -> Result<bool, ProfilingError> {
        let highest = self.jobs.keys().copied().fold(highest, u32::max);
        if highest > HIGHEST_ID {
            return Err(invalid(format!(
                "job id {highest} is above {HIGHEST_ID}: each id below it would take an entry. \
                 An id is the job's index in the blueprint; count them from 0"
            )));
        }
        let before = self.jobs.len();
        for id in 0..=highest {
            self.jobs.entry(id).or_insert_with(JobProfile::not_profiled);
        }
        Ok(self.jobs.len() > before)
    }

    /// Writes the profiles as JSON, ids ascending. The file changes as a whole or not at all.
    pub fn save_to_file(&self, path: impl AsRef<Path>) -> Result<(), ProfilingError> {
        let path = path.as_ref();
        let written = crate::store::atomic::write(path, self.to_json()?.as_bytes());
        written.map_err(|error| invalid(format!("can't write `{}`: {error}", path.display())))
    }

    /// Reads what [`save_to_file`](Self::save_to_file) wrote; unknown keys are ignored.
    pub fn load_from_file(path: impl AsRef<Path>) -> Result<Self, ProfilingError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|error| invalid(format!("can't read `{}`: {error}", path.display())))?;
        serde_json::from_str(&text).map_err(|error| invalid(format!("`{}` holds no profiles: {error}", path.display())))
    }

    /// Indented JSON, ids ascending, with a newline at the end.
    pub(crate) fn to_json(&self) -> Result<String, ProfilingError> {
        let json = serde_json::to_string_pretty(self);
        json.map(|json| json + "\n").map_err(|error| invalid(format!("can't write profiles as JSON: {error}")))
    }

    /// Compact JSON, ids ascending, compressed with gzip. The same profiles give the same bytes.
    pub fn to_compressed_bytes(&self) -> Result<Vec<u8>, ProfilingError> {
        let failed = |error: std::io::Error| invalid(format!("can't compress profiles: {error}"));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        serde_json::to_writer(&mut encoder, self).map_err(|error| failed(error.into()))?;
        encoder.flush().and_then(|()| encoder.finish()).map_err(failed)
    }

    /// Reads what [`to_compressed_bytes`](Self::to_compressed_bytes) wrote; refuses what would inflate
    /// to more than 16 MiB.
    pub fn from_compressed_bytes(compressed: &[u8]) -> Result<Self, ProfilingError> {
        let mut json = Vec::new();
        GzDecoder::new(compressed)
            .take(INFLATED_LIMIT + 1)
            .read_to_end(&mut json)
            .map_err(|error| invalid(format!("the profiles are not valid gzip: {error}")))?;
        if json.len() as u64 > INFLATED_LIMIT {
            return Err(invalid(format!("the profiles inflate to more than {INFLATED_LIMIT} bytes")));
        }
        serde_json::from_slice(&json).map_err(|error| invalid(format!("the profiles are not valid JSON: {error}")))
    }

    /// [`to_compressed_bytes`](Self::to_compressed_bytes) in standard base64.
    pub fn to_base64_string(&self) -> Result<String, ProfilingError> {
        Ok(STANDARD.encode(self.to_compressed_bytes()?))
    }

    /// Reads what [`to_base64_string`](Self::to_base64_string) wrote; surrounding white space is ignored.
    pub fn from_base64_string(encoded: &str) -> Result<Self, ProfilingError> {
        let compressed = STANDARD.decode(encoded.trim());
        Self::from_compressed_bytes(
            &compressed.map_err(|error| invalid(format!("the profiles are not valid base64: {error}")))?,
        )
    }

    /// [`to_base64_string`](Self::to_base64_string) behind a marker, as older clients keep it in a
    /// description. For the chain's own field see [`profiling_data`].
    pub fn to_description_field(&self) -> Result<String, ProfilingError> {
        Ok(format!("{DESCRIPTION_MARKER}{}", self.to_base64_string()?))
    }

    /// Reads what [`to_description_field`](Self::to_description_field) wrote; `None` for a description
    /// without the marker.
    #[must_use]
    pub fn from_description_field(description: &str) -> Option<Result<Self, ProfilingError>> {
        description.strip_prefix(DESCRIPTION_MARKER).map(Self::from_base64_string)
    }
}

/// Whether a description starts with the marker of [`BlueprintProfiles::to_description_field`].
#[must_use]
pub fn has_profiling_data(description: &str) -> bool {
    description.starts_with(DESCRIPTION_MARKER)
}

/// The current time in RFC 3339, in whole seconds.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

fn invalid(message: String) -> ProfilingError {
    ProfilingError::InvalidConfiguration(message)
}

#[cfg(test)]
mod tests;
