//! The table at the end of a run.

use comfy_table::{CellAlignment, ColumnConstraint, Table, presets};
use profiling_core::budget::Outcome;
use profiling_core::profile::{CaseProfile, Grade, Profile};
use profiling_core::statistics::{Percentile, Summary};

use super::{CaseReport, budgets, evidence, figures, label};

/// Stands where there is no figure.
pub(super) const NOT_MEASURED: &str = "–";
/// Stands before a percentile that so few samples don't support.
const UNSURE: &str = "~";
/// The column that is shown on demand.
const INSTRUCTIONS: usize = 9;
/// How much of a failure's reason fits into a row; the rest is shown with the failure.
const REASON: usize = 72;

/// One row per case; `instructions`: with their number.
pub(crate) fn render(reports: &[CaseReport], instructions: bool) -> String {
    let mut lines = vec![table(reports.iter().map(row), instructions)];
    let profiles: Vec<&CaseProfile> = reports.iter().filter_map(|report| report.result.as_ref().ok()).collect();
    lines.extend(legend(&profiles));
    lines.extend(evidence::lines(reports));
    lines.extend(reports.iter().filter_map(noise));
    lines.extend(budgets::warnings(reports));
    lines.join("\n")
}

/// One row per case of stored profiles; with instructions where any were counted.
pub(crate) fn stored(profiles: &[&Profile]) -> String {
    let cases = || profiles.iter().flat_map(|profile| profile.cases.iter().map(move |case| (&*profile.job, case)));
    let row = |(job, case): (&str, &CaseProfile)| {
        let [samples, p50, p95, p99, cpu, memory, allocations, instructions] = cells(case);
        let (job, label, verdict) = (job.to_owned(), label(&case.params), outcome(case));
        [job, label, samples, p50, p95, p99, cpu, memory, allocations, instructions, verdict]
    };
    let instructions = cases().any(|(_, case)| case.instructions.is_some());
    let mut lines = vec![table(cases().map(row), instructions)];
    lines.extend(legend(&cases().map(|(_, case)| case).collect::<Vec<_>>()));
    lines.join("\n")
}

fn table(rows: impl Iterator<Item = [String; 11]>, instructions: bool) -> String {
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
    for column in 2..=INSTRUCTIONS {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.add_rows(rows);
    if let Some(column) = table.column_mut(INSTRUCTIONS).filter(|_| !instructions) {
        column.set_constraint(ColumnConstraint::Hidden);
    }
    table.to_string()
}

/// What the signs in a table mean, where there are any.
fn legend(profiles: &[&CaseProfile]) -> Vec<String> {
    let mut lines = Vec::new();
    if profiles.iter().any(|profile| lacks_a_figure(profile)) {
        lines.push(format!("{NOT_MEASURED} not measured on this platform or in this build"));
    }
    if profiles.iter().any(|profile| has_unsure_figure(profile)) {
        let needs = |percentile: Percentile| format!("{} takes {}", percentile.name(), percentile.fewest_samples());
        let [p50, p95, p99] = [Percentile::P50, Percentile::P95, Percentile::P99].map(needs);
        lines.push(format!("{UNSURE} of too few samples to be sure: {p50}, {p95}, {p99}"));
    }
    lines
}

/// What made a case noisy.
fn noise(report: &CaseReport) -> Option<String> {
    let noise = report.result.as_ref().ok()?.noise.as_ref().filter(|noise| noise.grade == Grade::Noisy)?;
    Some(format!("noisy: {} {}", report.case.path(), noise.why.join("; ")))
}

/// What came of a case that was measured.
fn outcome(profile: &CaseProfile) -> String {
    let of = |outcome| profile.budgets.iter().filter(move |judgement| judgement.outcome == outcome);
    let names = |outcome| of(outcome).map(|judgement| judgement.budget.name()).collect::<Vec<_>>();
    let (over, near) = (names(Outcome::Over), names(Outcome::Near));
    let noisy = profile.noise.as_ref().is_some_and(|noise| noise.grade == Grade::Noisy);
    let mut parts = vec![if over.is_empty() { "ok".to_owned() } else { format!("over budget: {}", over.join(", ")) }];
    parts.extend((!near.is_empty()).then(|| format!("near budget: {}", near.join(", "))));
    parts.extend(evidence::words(&profile.evidence));
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
    [job, label, samples, p50, p95, p99, cpu, memory, allocations, instructions, outcome(profile)]
}

fn cells(profile: &CaseProfile) -> [String; 8] {
    let or_dash = |figure: Option<String>| figure.unwrap_or_else(|| NOT_MEASURED.to_owned());
    let cell = |summary: &Summary, percentile: Percentile, figure: fn(u64) -> String| {
        let mark = if is_unsure(profile, summary, percentile) { UNSURE } else { "" };
        format!("{mark}{}", figure(summary.percentile(percentile)))
    };
    let p50 = |summary: Option<Summary>, figure| summary.map(|summary| cell(&summary, Percentile::P50, figure));
    let wall = |percentile| cell(&profile.wall_ns, percentile, figures::time);
    [
        profile.samples.to_string(),
        wall(Percentile::P50),
        wall(Percentile::P95),
        wall(Percentile::P99),
        or_dash(p50(profile.figures.cpu_ns, figures::time)),
        or_dash(profile.peak_memory_bytes().map(figures::bytes)),
        or_dash(p50(profile.figures.allocations, figures::count)),
        or_dash(profile.instructions.map(figures::count)),
    ]
}

/// Of a figure that is the same every time, any percentile is as good as any.
fn is_unsure(profile: &CaseProfile, summary: &Summary, percentile: Percentile) -> bool {
    profile.unsupported.contains(&percentile) && summary.min < summary.max
}

fn has_unsure_figure(profile: &CaseProfile) -> bool {
    let wall = [Percentile::P50, Percentile::P95, Percentile::P99].map(|percentile| (profile.wall_ns, percentile));
    let others = [profile.figures.cpu_ns, profile.figures.allocations].into_iter().flatten();
    let mut shown = others.map(|summary| (summary, Percentile::P50)).chain(wall);
    shown.any(|(summary, percentile)| is_unsure(profile, &summary, percentile))
}

fn lacks_a_figure(profile: &CaseProfile) -> bool {
    let figures = &profile.figures;
    figures.cpu_ns.is_none() || figures.allocations.is_none() || profile.peak_memory_bytes().is_none()
}

#[cfg(test)]
mod tests {
    use profiling_core::profile::{Circumstances, Params};
    use profiling_core::sample::Sample;

    use super::*;

    fn profile(samples: u64) -> CaseProfile {
        let sample = |at: u64| Sample { wall_ns: 100 + at, allocations: Some(1_000), ..Sample::default() };
        let samples: Vec<Sample> = (0..samples).map(sample).collect();
        CaseProfile::of(Params::new(), &samples, &Circumstances::default()).expect("samples")
    }

    #[test]
    fn a_percentile_of_too_few_samples_is_marked() {
        let [samples, p50, p95, p99, cpu, .., allocations, _] = cells(&profile(10));
        assert_eq!([samples, p50, p95, p99], ["10", "104 ns", "~109 ns", "~109 ns"]);
        assert_eq!([cpu, allocations], [NOT_MEASURED, "1,000"]);
        let [_, p50, _, _, _, .., allocations, _] = cells(&profile(5));
        assert_eq!([p50, allocations], ["~102 ns", "1,000"], "it is always 1,000");
        assert!(has_unsure_figure(&profile(298)));
        assert!(!has_unsure_figure(&profile(299)));
    }
}
