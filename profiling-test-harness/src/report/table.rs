//! The table at the end of a run.

use comfy_table::{CellAlignment, ColumnConstraint, Table, presets};
use profiling_core::budget::Outcome;
use profiling_core::profile::{CaseProfile, Grade};
use profiling_core::statistics::Summary;

use super::{CaseReport, budgets, figures};

/// Stands where there is no figure.
pub(super) const NOT_MEASURED: &str = "–";
/// The column that is shown on demand.
const INSTRUCTIONS: usize = 9;
/// How much of a failure's reason fits into a row; the rest is shown with the failure.
const REASON: usize = 72;

/// One row per case; `instructions`: with their number.
pub(crate) fn render(reports: &[CaseReport], instructions: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header([
        "job",
        "case",
        "samples",
        "wall p50",
        "wall p95",
        "wall p99",
        "CPU p50",
        "peak memory",
        "allocations",
        "instructions",
        "verdict",
    ]);
    for column in 2..=8 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for report in reports {
        table.add_row(row(report));
    }
    if let Some(column) = table.column_mut(INSTRUCTIONS) {
        column.set_cell_alignment(CellAlignment::Right);
        if !instructions {
            column.set_constraint(ColumnConstraint::Hidden);
        }
    }
    let profiles: Vec<&CaseProfile> = reports.iter().filter_map(|report| report.result.as_ref().ok()).collect();
    let mut lines = vec![table.to_string()];
    if profiles.iter().any(|profile| lacks_a_figure(profile)) {
        lines.push(format!("{NOT_MEASURED} not measured on this platform or in this build"));
    }
    lines.extend(reports.iter().filter_map(noise));
    lines.extend(budgets::warnings(reports));
    lines.join("\n")
}

/// What made a case noisy.
fn noise(report: &CaseReport) -> Option<String> {
    let noise = report.result.as_ref().ok()?.noise.as_ref().filter(|noise| noise.grade == Grade::Noisy)?;
    Some(format!("noisy: {} {}", report.case.path(), noise.why.join("; ")))
}

/// What came of a case that was measured.
fn outcome(report: &CaseReport, profile: &CaseProfile) -> String {
    let over: Vec<&str> = report.budgets(Outcome::Over).map(|judgement| judgement.budget.name()).collect();
    let near: Vec<&str> = report.budgets(Outcome::Near).map(|judgement| judgement.budget.name()).collect();
    let noisy = profile.noise.as_ref().is_some_and(|noise| noise.grade == Grade::Noisy);
    let mut parts = vec![if over.is_empty() { "ok".to_owned() } else { format!("over budget: {}", over.join(", ")) }];
    parts.extend((!near.is_empty()).then(|| format!("near budget: {}", near.join(", "))));
    parts.extend(noisy.then(|| "noisy".to_owned()));
    parts.join(", ")
}

fn row(report: &CaseReport) -> [String; 11] {
    let (job, label) = (report.case.job.name.to_owned(), report.case.label());
    let Ok(profile) = &report.result else {
        let none = String::new;
        let reason = report.verdict_line(REASON).unwrap_or_default();
        return [job, label, none(), none(), none(), none(), none(), none(), none(), none(), reason];
    };
    let [samples, p50, p95, p99, cpu, memory, allocations, instructions] = cells(profile);
    [job, label, samples, p50, p95, p99, cpu, memory, allocations, instructions, outcome(report, profile)]
}

fn cells(profile: &CaseProfile) -> [String; 8] {
    let or_dash = |figure: Option<String>| figure.unwrap_or_else(|| NOT_MEASURED.to_owned());
    let p50 = |summary: Option<Summary>| summary.map(|summary| summary.p50);
    let wall = &profile.wall_ns;
    [
        profile.samples.to_string(),
        figures::time(wall.p50),
        figures::time(wall.p95),
        figures::time(wall.p99),
        or_dash(p50(profile.figures.cpu_ns).map(figures::time)),
        or_dash(profile.peak_memory_bytes().map(figures::bytes)),
        or_dash(p50(profile.figures.allocations).map(figures::count)),
        or_dash(profile.instructions.map(figures::count)),
    ]
}

fn lacks_a_figure(profile: &CaseProfile) -> bool {
    let figures = &profile.figures;
    figures.cpu_ns.is_none() || figures.allocations.is_none() || profile.peak_memory_bytes().is_none()
}
