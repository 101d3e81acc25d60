//! Every failure in full: when, why, and what the worker printed.

use super::{CaseReport, failed_jobs};
use crate::capture::Capture;
use crate::targets::Missed;

/// A section per failed case, then the failed jobs' names, as libtest has it. Empty without failures.
pub(crate) fn render(reports: &[CaseReport], missed: &[Missed]) -> String {
    let missed: Vec<&Missed> = missed.iter().filter(|missed| missed.fails).collect();
    let failed = failed_jobs(reports).into_iter().map(|job| job.name);
    let mut failed: Vec<&str> = failed.chain(missed.iter().map(|missed| missed.job)).collect();
    failed.sort_unstable();
    failed.dedup();
    if failed.is_empty() {
        return String::new();
    }
    let sections = reports.iter().filter_map(section);
    let sections: String = sections.chain(missed.into_iter().map(miss)).collect();
    let names: String = failed.iter().map(|job| format!("    {job}\n")).collect();
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

/// What could not be shown, and fails nothing.
pub(crate) fn doubts(missed: &[Missed]) -> Vec<String> {
    let doubts = missed.iter().filter(|missed| !missed.fails);
    let line = |Missed { job, target, reasons, .. }: &Missed| {
        format!("warning: {job}: not known to run on {target}: {}", reasons.join("; "))
    };
    doubts.map(line).collect()
}

fn miss(missed: &Missed) -> String {
    let Missed { job, target, reasons, .. } = missed;
    let reasons: String = reasons.iter().map(|reason| format!("- {reason}\n")).collect();
    format!("---- {job} ----\ncan't run on its target {target}:\n{reasons}\n")
}

fn section(report: &CaseReport) -> Option<String> {
    Some(format!("---- {} ----\n{}\n{}", report.case.path(), report.verdict()?, output(report)))
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
