//! What the user sees: one file per form.

pub(crate) mod advice;
pub(crate) mod budgets;
pub(crate) mod comparison;
pub(crate) mod evidence;
pub(crate) mod failures;
pub(crate) mod figures;
pub(crate) mod growth;
pub(crate) mod history;
pub(crate) mod listing;
pub(crate) mod progress;
pub(crate) mod rehearsals;
pub(crate) mod stages;
pub(crate) mod table;

use std::time::Duration;

use profiling_core::budget::{Judgement, Outcome};
use profiling_core::job::{Case, JobDescriptor};
use profiling_core::profile::{CaseProfile, Params, RehearsalOutcome};

use crate::capture::Capture;
use crate::outcome::CaseFailure;

/// What came of one case, for every form of report.
#[derive(Debug)]
pub(crate) struct CaseReport {
    pub case: Case,
    pub result: Result<CaseProfile, CaseFailure>,
    /// What an execution took with all that is around it.
    pub whole: Duration,
    pub stdout: Capture,
    pub stderr: Capture,
}

impl CaseReport {
    /// Whether the case fails its job. One that is over budget, or fails a rehearsal, has a profile
    /// nevertheless.
    pub(crate) fn failed(&self) -> bool {
        self.verdict().is_some()
    }

    /// The sizes that a case did not pass in, and why.
    fn failed_rehearsals(&self) -> impl Iterator<Item = (&str, &str)> {
        let rehearsals = self.result.as_ref().map_or(&[][..], |profile| &profile.rehearsals);
        rehearsals.iter().filter_map(|rehearsal| match &rehearsal.outcome {
            RehearsalOutcome::Failed { reason, .. } => Some((&*rehearsal.size, &**reason)),
            _ => None,
        })
    }

    /// The budgets of which this came.
    pub(crate) fn budgets(&self, outcome: Outcome) -> impl Iterator<Item = &Judgement> {
        let all = self.result.as_ref().map_or(&[][..], |profile| &profile.budgets);
        all.iter().filter(move |judgement| judgement.outcome == outcome)
    }

    /// A failure in full: when, and why, with nothing in it that a terminal obeys.
    pub(crate) fn verdict(&self) -> Option<String> {
        let failure = self.result.as_ref().err();
        let failure = failure.map(|failure| format!("failed {}: {}", failure.phase, failure.reason));
        let budgets = self.budgets(Outcome::Over).map(budgets::line);
        let rehearsals = self.failed_rehearsals().map(|(size, why)| format!("failed its rehearsal at {size}: {why}"));
        let verdict = failure.into_iter().chain(budgets).chain(rehearsals).collect::<Vec<String>>().join("\n");
        (!verdict.is_empty()).then(|| verdict.chars().map(harmless).collect())
    }

    /// What of a failure fits into a line of so many characters.
    pub(crate) fn verdict_line(&self, width: usize) -> Option<String> {
        let verdict = self.verdict()?;
        let line = verdict.lines().next().unwrap_or_default();
        let mut shown: String = line.chars().take(width).map(|c| if c == '\t' { ' ' } else { c }).collect();
        if line.chars().nth(width).is_some() || verdict.lines().nth(1).is_some() {
            shown.push('…');
        }
        Some(shown)
    }
}

/// A case as a filter names it.
pub(crate) fn case_path(job: &str, params: &Params) -> String {
    if params.is_empty() { job.to_owned() } else { format!("{job}/{}", label(params)) }
}

/// `n=10,k=2`.
pub(crate) fn label(params: &Params) -> String {
    let value = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    params.iter().map(|(name, given)| format!("{name}={}", value(given))).collect::<Vec<_>>().join(",")
}

/// A character as it may be shown, control characters as Rust writes them.
pub(crate) fn harmless(c: char) -> String {
    if c.is_control() && !matches!(c, '\n' | '\t') { c.escape_default().to_string() } else { c.to_string() }
}

/// The jobs of which a case failed, by itself or in a rehearsal, in order.
pub(crate) fn failed_jobs(reports: &[CaseReport]) -> Vec<&'static JobDescriptor> {
    let mut jobs: Vec<&'static JobDescriptor> =
        reports.iter().filter(|report| report.failed()).map(|report| report.case.job).collect();
    jobs.dedup_by_key(|job| job.name);
    jobs
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::outcome::Phase;

    static JOB: JobDescriptor = JobDescriptor::PLAIN;

    #[test]
    fn a_reason_can_do_nothing_to_a_terminal() {
        let reason = "returned Err:\t\u{1b}[2J\u{7}é\r\nnext".to_owned();
        let result = Err(CaseFailure { phase: Phase::Exit, reason });
        let case = Case { job: &JOB, index: 0 };
        let report =
            CaseReport { case, result, whole: Duration::ZERO, stdout: Capture::default(), stderr: Capture::default() };
        let shown = "failed after the last execution: returned Err:\t\\u{1b}[2J\\u{7}é\\r\nnext";
        assert_eq!(report.verdict().as_deref(), Some(shown));
        let line = format!("{}…", shown.lines().next().unwrap_or_default().replace('\t', " "));
        assert_eq!(report.verdict_line(100), Some(line));
    }
}
