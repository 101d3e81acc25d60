//! What came of a case: its figures, or why it failed.

use std::io;
use std::time::Duration;

use profiling_core::profile::Circumstances;
use profiling_core::samples::CaseSamples;

use crate::capture::Capture;

/// What came of a case.
#[derive(Debug)]
pub(crate) struct CaseRun {
    pub result: Result<Measured, CaseFailure>,
    pub stdout: Capture,
    pub stderr: Capture,
}

/// The figures of a case whose executions all ended well.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub samples: CaseSamples,
    /// What an execution took with all that is around it.
    pub whole: Duration,
    pub circumstances: Circumstances,
}

impl CaseRun {
    /// Both rounds of one case, of which the first has passed. What was printed is that of the first, or
    /// of the one that failed.
    pub(crate) fn and(self, later: Self) -> io::Result<Self> {
        Ok(match (self.result, later.result) {
            (Ok(mut measured), Ok(more)) => {
                measured.add(more)?;
                Self { result: Ok(measured), stdout: self.stdout, stderr: self.stderr }
            }
            (_, result) => Self { result, ..later },
        })
    }
}

impl Measured {
    fn add(&mut self, more: Self) -> io::Result<()> {
        self.samples.append(&more.samples)?;
        self.whole = self.whole.max(more.whole);
        let (whole, more) = (&mut self.circumstances, more.circumstances);
        whole.cold_starts.extend(more.cold_starts);
        whole.evidence.add(more.evidence);
        whole.tree_peak = whole.tree_peak.into_iter().chain(more.tree_peak).max_by_key(|peak| peak.bytes);
        whole.file_descriptors_left_open = whole.file_descriptors_left_open.max(more.file_descriptors_left_open);
        Ok(())
    }
}

/// Why and when a case failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CaseFailure {
    pub phase: Phase,
    pub reason: String,
}

/// Where in a worker's life something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Before the first execution.
    Startup,
    /// While the values of the job's `fixture` were made.
    Fixture,
    /// During the execution of this number, from 0, for the sample of that number; for none, a warm-up.
    Execution { number: u64, sample: Option<u64> },
    /// After the last execution.
    Exit,
    /// Before the first execution, of a binary that was replaced while the run goes on: it isn't the job's fault.
    Replaced,
    /// All went well, but other programs disturbed the measurement.
    Noise,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Startup | Self::Replaced => write!(f, "before the first execution"),
            Self::Fixture => write!(f, "in the fixture"),
            Self::Execution { number, sample: None } => write!(f, "in execution {number} (a warm-up)"),
            Self::Execution { number, sample: Some(sample) } => write!(f, "in execution {number} (sample {sample})"),
            Self::Exit => write!(f, "after the last execution"),
            Self::Noise => write!(f, "in its measurement"),
        }
    }
}
