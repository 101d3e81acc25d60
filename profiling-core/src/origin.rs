//! Where, when and of what the figures of a case were measured.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::fingerprint::Fingerprint;

/// What the figures of a case are true of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The machine, the kind of build, and the time.
    pub environment: Environment,
    /// What was measured; absent where nobody took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// The harness that measured it; absent in files of releases that didn't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harness: Option<HarnessTarget>,
    /// The length of the harness's executable and the time it was made, which tell two builds apart where nobody
    /// took a fingerprint; absent where the operating system doesn't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<String>,
}

/// A test or bench target with the harness's `main!`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HarnessTarget {
    /// The target's name as a crate's, such as `profiling`.
    pub name: String,
    /// The file in which `main!` stands, relative to the package, with `/`: `tests/profiling.rs`.
    pub file: String,
}

impl fmt::Display for HarnessTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)
    }
}
