//! Every failure in full: when, why, and what the worker printed.

use super::{CaseReport, failed_jobs};
use crate::capture::Capture;

/// A section per failed case, then the failed jobs' names, as libtest has it. Empty without failures.
pub(crate) fn render(reports: &[CaseReport]) -> String {
    let failed = failed_jobs(reports);
    if failed.is_empty() {
        return String::new();
    }
    let sections: String = reports.iter().filter_map(section).collect();
    let names: String = failed.iter().map(|job| format!("    {}\n", job.name)).collect();
    format!("\nfailures:\n\n{sections}failures:\n{names}")
}

/// What the workers of cases that passed have printed, for `--show-output`.
pub(crate) fn successes(reports: &[CaseReport]) -> String {
    let passed = reports.iter().filter(|report| !report.failed());
    passed
        .filter(|report| !report.stdout.is_empty() || !report.stderr.is_empty())
        .map(|report| format!("---- {} ----\n{}", report.case.path(), output(report)))
        .collect()
}

fn section(report: &CaseReport) -> Option<String> {
    Some(format!(
        "---- {} ----
{}
{}",
        report.case.path(),
        report.verdict()?,
        output(report)
    ))
}

fn output(report: &CaseReport) -> String {
    format!("{}{}\n", stream("stdout", &report.stdout), stream("stderr", &report.stderr))
}

fn stream(name: &str, capture: &Capture) -> String {
    if capture.is_empty() {
        return String::new();
    }
    let text = capture.text();
    format!("{name}:\n{}\n", text.trim_end_matches('\n'))
}
