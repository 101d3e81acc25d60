//! The machine and the build that figures come from.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// Where figures were measured, and of what kind of build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// When, in RFC 3339.
    pub profiled_at: String,
    /// The operating system, as in `std::env::consts::OS`.
    pub os: String,
    /// The architecture, as in `std::env::consts::ARCH`.
    pub arch: String,
    /// The target triple.
    pub target: String,
    /// The CPU's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_model: Option<String>,
    /// The logical CPUs that this process may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logical_cpus: Option<u32>,
    /// The machine's memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// The compiler, as `rustc --version` prints it.
    pub rustc: String,
    /// Cargo's `OPT_LEVEL`: `0` to `3`, `s` or `z`.
    pub opt_level: String,
    /// Whether debug assertions were on.
    pub debug_assertions: bool,
    /// The commit that was checked out, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_commit: Option<String>,
    /// What the measurement itself adds to the wall-clock time of each execution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measurement_overhead_ns: Option<u64>,
}

impl Environment {
    /// Whether figures of this build say something about production.
    #[must_use]
    pub fn is_optimised(&self) -> bool {
        self.opt_level != "0" && !self.debug_assertions
    }

    /// Whether both are of the same machine, or of one that can't be told from it. The kernel may keep a little
    /// more or less of the memory for itself than before.
    #[must_use]
    pub fn is_same_machine(&self, other: &Self) -> bool {
        let alike = |a: u64, b: u64| a.abs_diff(b) <= a.max(b) / 100;
        let memory = match (self.memory_bytes, other.memory_bytes) {
            (Some(a), Some(b)) => alike(a, b),
            (a, b) => a == b,
        };
        memory
            && self.os == other.os
            && self.arch == other.arch
            && self.cpu_model == other.cpu_model
            && self.logical_cpus == other.logical_cpus
    }

    /// The machine in a few words.
    #[must_use]
    pub fn describe_machine(&self) -> String {
        let mut text = self.cpu_model.clone().unwrap_or_else(|| format!("an unnamed {} CPU", self.arch));
        // A string takes everything.
        if let Some(count) = self.logical_cpus {
            let _ = write!(text, ", {count} CPUs");
        }
        if let Some(bytes) = self.memory_bytes {
            let _ = write!(text, ", {} MiB", bytes >> 20);
        }
        let _ = write!(text, ", {}", self.os);
        text
    }
}
