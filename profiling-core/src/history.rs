//! What a case cost in each run, one line a run.

use serde::{Deserialize, Serialize};

use crate::profile::{CaseProfile, Environment, Grade, Params};

/// One line of `<target>/profiling/.history/<package>.jsonl`: a case in one run.
///
/// It is kept for good, so it is short: the figures that a trend is made of, and what has to be the same for two
/// of them to be comparable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When it was measured, in RFC 3339.
    pub profiled_at: String,
    /// The commit that was checked out, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_commit: Option<String>,
    /// The job's name.
    pub job: String,
    /// The case's parameters.
    #[serde(default, skip_serializing_if = "Params::is_empty")]
    pub params: Params,
    /// The number of measured executions.
    pub samples: u32,
    /// The median of wall-clock time.
    pub wall_ns: u64,
    /// The median of CPU time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ns: Option<u64>,
    /// The largest peak, as [`CaseProfile::peak_memory_bytes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// The median of the number of allocations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocations: Option<u64>,
    /// How much other programs disturbed the measurement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<Grade>,
    /// The CPU's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_model: Option<String>,
    /// Cargo's `OPT_LEVEL`.
    pub opt_level: String,
    /// Whether debug assertions were on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub debug_assertions: bool,
    /// The compiler, as `rustc --version` prints it.
    pub rustc: String,
}

impl HistoryEntry {
    /// What a run has measured of a case.
    #[must_use]
    pub fn of(job: &str, case: &CaseProfile, environment: &Environment) -> Self {
        Self {
            profiled_at: environment.profiled_at.clone(),
            git_commit: environment.git_commit.clone(),
            job: job.to_owned(),
            params: case.params.clone(),
            samples: case.samples,
            wall_ns: case.wall_ns.p50,
            cpu_ns: case.figures.cpu_ns.map(|summary| summary.p50),
            peak_memory_bytes: case.peak_memory_bytes(),
            allocations: case.figures.allocations.map(|summary| summary.p50),
            noise: case.noise.as_ref().map(|noise| noise.grade),
            cpu_model: environment.cpu_model.clone(),
            opt_level: environment.opt_level.clone(),
            debug_assertions: environment.debug_assertions,
            rustc: environment.rustc.clone(),
        }
    }

    /// Whether both belong to one trend: the same case, compiled alike, on the same kind of CPU. The compiler may
    /// be another one: what that changes is part of the trend.
    #[must_use]
    pub fn continues(&self, earlier: &Self) -> bool {
        let key = |entry: &Self| (entry.opt_level.clone(), entry.debug_assertions, entry.cpu_model.clone());
        self.job == earlier.job && self.params == earlier.params && key(self) == key(earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::profile;

    #[test]
    fn a_line_is_short_and_round_trips() -> serde_json::Result<()> {
        let mut profile = profile("square", Some(0));
        profile.environment.cpu_model = Some("Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz".to_owned());
        profile.environment.git_commit = Some("0123456789012345678901234567890123456789".to_owned());
        let entry = HistoryEntry::of("square", &profile.cases[0], &profile.environment);
        let line = serde_json::to_string(&entry)?;
        assert!(line.len() < 400, "{} bytes: {line}", line.len());
        assert_eq!(serde_json::from_str::<HistoryEntry>(&line)?, entry);
        assert_eq!((entry.wall_ns, entry.cpu_ns, entry.allocations), (2, Some(2), None));
        assert!(!line.contains("allocations"), "what was not measured is absent: {line}");
        Ok(())
    }

    #[test]
    fn builds_of_different_kinds_are_different_trends() {
        let profile = profile("square", Some(0));
        let entry = HistoryEntry::of("square", &profile.cases[0], &profile.environment);
        let changed = |change: fn(&mut HistoryEntry)| {
            let mut other = entry.clone();
            change(&mut other);
            other.continues(&entry)
        };
        assert!(changed(|other| other.rustc = "rustc 1.96.0".to_owned()));
        assert!(changed(|other| other.wall_ns = 7));
        assert!(!changed(|other| other.opt_level = "0".to_owned()));
        assert!(!changed(|other| other.debug_assertions = true));
        assert!(!changed(|other| other.cpu_model = Some("another".to_owned())));
        assert!(!changed(|other| other.params.clear()));
    }
}
