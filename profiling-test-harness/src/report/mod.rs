//! What the user sees: one file per form.

pub(crate) mod comparison;
pub(crate) mod failures;
pub(crate) mod figures;
pub(crate) mod history;
pub(crate) mod listing;
pub(crate) mod progress;
pub(crate) mod rehearsals;
pub(crate) mod table;

use profiling_core::job::{Case, JobDescriptor};
use profiling_core::profile::{CaseProfile, RehearsalOutcome};

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

impl CaseReport {
    /// The sizes that a case did not pass in, and why.
    pub(crate) fn failed_rehearsals(&self) -> impl Iterator<Item = (&str, &str)> {
        let rehearsals = self.result.as_ref().map_or(&[][..], |profile| &profile.rehearsals);
        rehearsals.iter().filter_map(|rehearsal| match &rehearsal.outcome {
            RehearsalOutcome::Failed { reason, .. } => Some((&*rehearsal.size, &**reason)),
            _ => None,
        })
    }
}

/// A failure in full: when, and why, with nothing in it that a terminal obeys.
pub(crate) fn verdict(failure: &CaseFailure) -> String {
    let reason: String = failure.reason.chars().map(harmless).collect();
    format!("failed {}: {reason}", failure.phase)
}

/// A character as it may be shown, control characters as Rust writes them.
fn harmless(c: char) -> String {
    if c.is_control() && !matches!(c, '\n' | '\t') { c.escape_default().to_string() } else { c.to_string() }
}

/// What of a failure fits into a line of so many characters.
pub(crate) fn verdict_line(failure: &CaseFailure, width: usize) -> String {
    let verdict = verdict(failure);
    let line = verdict.lines().next().unwrap_or_default();
    let mut shown: String = line.chars().take(width).map(|c| if c == '\t' { ' ' } else { c }).collect();
    if line.chars().nth(width).is_some() || verdict.lines().nth(1).is_some() {
        shown.push('…');
    }
    shown
}

/// The jobs of which a case failed, by itself or in a rehearsal, in order.
pub(crate) fn failed_jobs(reports: &[CaseReport]) -> Vec<&'static JobDescriptor> {
    let failed = |report: &&CaseReport| report.result.is_err() || report.failed_rehearsals().next().is_some();
    let mut jobs: Vec<&'static JobDescriptor> = reports.iter().filter(failed).map(|report| report.case.job).collect();
    jobs.dedup_by_key(|job| job.name);
    jobs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::Phase;

    #[test]
    fn a_reason_can_do_nothing_to_a_terminal() {
        let reason = "returned Err:\t\u{1b}[2J\u{7}é\r\nnext".to_owned();
        let failure = CaseFailure { phase: Phase::Exit, reason };
        let shown = "failed after the last execution: returned Err:\t\\u{1b}[2J\\u{7}é\\r\nnext";
        assert_eq!(verdict(&failure), shown);
        assert_eq!(verdict_line(&failure, 100), format!("{}…", shown.lines().next().unwrap().replace('\t', " ")));
    }
}
