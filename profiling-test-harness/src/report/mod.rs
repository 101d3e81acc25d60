//! What the user sees: one file per form.

pub(crate) mod comparison;
pub(crate) mod failures;
pub(crate) mod figures;
pub(crate) mod listing;
pub(crate) mod progress;
pub(crate) mod table;

use profiling_core::job::{Case, JobDescriptor};
use profiling_core::profile::CaseProfile;

use crate::capture::Capture;
use crate::supervisor::CaseFailure;

/// What came of one case, for every form of report.
#[derive(Debug)]
pub(crate) struct CaseReport {
    pub case: Case,
    pub result: Result<CaseProfile, CaseFailure>,
    pub stdout: Capture,
    pub stderr: Capture,
}

/// A failure in full: when, and why.
pub(crate) fn verdict(failure: &CaseFailure) -> String {
    format!("failed {}: {}", failure.phase, failure.reason)
}

/// What of a failure fits into a line of so many characters, with nothing in it that a terminal obeys.
pub(crate) fn verdict_line(failure: &CaseFailure, width: usize) -> String {
    let verdict = verdict(failure);
    let line = verdict.lines().next().unwrap_or_default();
    let mut shown: String =
        line.chars().take(width).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    if line.chars().nth(width).is_some() || verdict.lines().nth(1).is_some() {
        shown.push('…');
    }
    shown
}

/// The jobs of which a case failed, in order.
pub(crate) fn failed_jobs(reports: &[CaseReport]) -> Vec<&'static JobDescriptor> {
    let mut jobs: Vec<&'static JobDescriptor> =
        reports.iter().filter(|report| report.result.is_err()).map(|report| report.case.job).collect();
    jobs.dedup_by_key(|job| job.name);
    jobs
}
