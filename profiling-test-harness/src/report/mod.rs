//! What the user sees: one file per form.

pub(crate) mod budgets;
pub(crate) mod comparison;
pub(crate) mod failures;
pub(crate) mod figures;
pub(crate) mod history;
pub(crate) mod listing;
pub(crate) mod progress;
pub(crate) mod rehearsals;
pub(crate) mod table;

use profiling_core::budget::{Judgement, Outcome};
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
    /// Whether the case fails its job. One that is over budget, or fails its rehearsal, has a profile
    /// nevertheless.
    pub(crate) fn failed(&self) -> bool {
        self.result.is_err()
            || self.budgets(Outcome::Over).next().is_some()
            || self.failed_rehearsals().next().is_some()
    }

    /// The budgets of which this came.
    pub(crate) fn budgets(&self, outcome: Outcome) -> impl Iterator<Item = &Judgement> {
        let all = self.result.as_ref().map_or(&[][..], |profile| &profile.budgets);
        all.iter().filter(move |judgement| judgement.outcome == outcome)
    }

    /// The sizes that a case did not pass in, and why.
    pub(crate) fn failed_rehearsals(&self) -> impl Iterator<Item = (&str, &str)> {
        let rehearsals = self.result.as_ref().map_or(&[][..], |profile| &profile.rehearsals);
        rehearsals.iter().filter_map(|rehearsal| match &rehearsal.outcome {
            RehearsalOutcome::Failed { reason, .. } => Some((&*rehearsal.size, &**reason)),
            _ => None,
        })
    }

    /// A failure in full: when, and why, with nothing in it that a terminal obeys.
    pub(crate) fn verdict(&self) -> Option<String> {
        let rehearsals = self.failed_rehearsals();
        let rehearsals = rehearsals.map(|(size, why)| format!("failed its rehearsal at {size}: {why}"));
        let failure = self.result.as_ref().err();
        let failure = failure.map(|failure| format!("failed {}: {}", failure.phase, failure.reason));
        let budgets = self.budgets(Outcome::Over).map(budgets::line);
        let lines: Vec<String> = failure.into_iter().chain(budgets).chain(rehearsals).collect();
        (!lines.is_empty()).then(|| harmless(&lines.join("\n")))
    }

    /// What of a failure fits into a line of so many characters.
    pub(crate) fn verdict_line(&self, width: usize) -> Option<String> {
        self.verdict().map(|verdict| first_line(&verdict, width))
    }
}

/// A text as it may be shown, control characters as Rust writes them.
fn harmless(text: &str) -> String {
    let shown = |c: char| {
        if c.is_control() && !matches!(c, '\n' | '\t') { c.escape_default().to_string() } else { c.to_string() }
    };
    text.chars().map(shown).collect()
}

/// What of a text fits into a line of so many characters.
fn first_line(text: &str, width: usize) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut shown: String = line.chars().take(width).map(|c| if c == '\t' { ' ' } else { c }).collect();
    if line.chars().nth(width).is_some() || text.lines().nth(1).is_some() {
        shown.push('…');
    }
    shown
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

    #[test]
    fn a_reason_can_do_nothing_to_a_terminal() {
        let shown = harmless("returned Err:\t\u{1b}[2J\u{7}é\r\nnext");
        assert_eq!(shown, "returned Err:\t\\u{1b}[2J\\u{7}é\\r\nnext");
        assert_eq!(first_line(&shown, 100), "returned Err: \\u{1b}[2J\\u{7}é\\r…");
        assert_eq!(first_line("abcd", 3), "abc…");
    }
}
