//! What a comparison with a baseline found.

use comfy_table::{CellAlignment, Table, presets};
use profiling_core::statistics::comparison::{Basis, Outcome, STORED_MINIMUM_EFFECT, Verdict};

use super::{CaseReport, figures};
use crate::baseline::Baseline;
use crate::comparison::metric::Metric;
use crate::comparison::statistic::Statistic;
use crate::comparison::{Compared, ComparedCase, ComparedMetric, Method};

mod second_opinion;

/// With more rows than this, those that are unchanged are only counted.
const ROWS: usize = 40;

/// The whole of it. `command`: what runs these jobs again, but for the job's name.
pub(crate) fn render(compared: &Compared, baseline: &Baseline, reports: &[CaseReport], command: &str) -> String {
    let environment = &baseline.manifest.environment;
    let commit = environment.git_commit.as_deref().and_then(|commit| commit.get(..8));
    let of = commit.map_or_else(String::new, |commit| format!(", commit {commit}"));
    let mut lines = vec![format!("compared with the baseline `{}` of {}{of}:", baseline.name, environment.profiled_at)];
    lines.extend(table(compared, reports));
    lines.extend(compared.cases.iter().filter_map(|case| stored(case, reports)));
    lines.extend(second_opinion::lines(&compared.cases, reports));
    if !compared.added.is_empty() {
        lines.push(format!("not in the baseline: {}", compared.added.join(", ")));
    }
    if !compared.removed.is_empty() {
        lines.push(format!("only in the baseline: {}", compared.removed.join(", ")));
    }
    lines.extend(advice(compared, reports, command));
    lines.join("\n")
}

/// The rows of one case, and the outcomes that they have. What else there is of a figure than its typical value is
/// a row only where it has changed.
fn rows(compared: &Compared) -> impl Iterator<Item = (&ComparedCase, &ComparedMetric)> {
    let shown = |metric: &&ComparedMetric| {
        metric.statistic == Statistic::P50
            || metric.comparison.basis == Basis::Exact
            || matches!(metric.verdict.outcome, Outcome::Improved | Outcome::Regressed)
    };
    compared.cases.iter().flat_map(move |case| case.metrics.iter().filter(shown).map(move |metric| (case, metric)))
}

fn table(compared: &Compared, reports: &[CaseReport]) -> Vec<String> {
    let all = rows(compared).count();
    let shown = |metric: &ComparedMetric| all <= ROWS || metric.verdict.outcome != Outcome::Unchanged;
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["case", "figure", "baseline", "now", "change", "95% interval", "pairs", "seen from", "outcome"]);
    for column in 2..=7 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut rest = 0;
    for (case, metric) in rows(compared) {
        if shown(metric) {
            table.add_row(row(case, metric, reports));
        } else {
            rest += 1;
        }
    }
    let mut lines = Vec::new();
    if table.row_count() > 0 {
        lines.push(table.to_string());
    }
    if rest > 0 {
        lines.push(format!("unchanged: {rest} more figures"));
    }
    lines
}

fn row(case: &ComparedCase, metric: &ComparedMetric, reports: &[CaseReport]) -> [String; 9] {
    let ComparedMetric { comparison, verdict, figures: (old, new), .. } = metric;
    [
        reports[case.report].case.path(),
        label(metric),
        figure(metric.metric, *old),
        figure(metric.metric, *new),
        share(comparison.effect),
        format!("[{}, {}]", share(comparison.low), share(comparison.high)),
        match case.method {
            Method::Interleaved => comparison.pairs.to_string(),
            Method::Stored(_) => "stored".to_owned(),
        },
        seen_from(verdict),
        outcome(verdict.outcome),
    ]
}

fn label(metric: &ComparedMetric) -> String {
    let name = match metric.metric {
        Metric::Cpu => "CPU",
        Metric::Wall => "wall",
        Metric::Allocations => "allocations",
        Metric::AllocatedBytes => "allocated",
        Metric::PeakHeap => "peak heap",
        Metric::Instructions => "instructions",
    };
    // Of counts that repeat, the mean is all that there is.
    if metric.statistic == Statistic::P50 || metric.comparison.basis == Basis::Exact {
        return name.to_owned();
    }
    format!("{name} {}", metric.statistic.name())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a figure of u64 figures")]
fn figure(metric: Metric, figure: f64) -> String {
    let rounded = figure.round() as u64;
    match metric {
        Metric::Cpu | Metric::Wall => figures::time(rounded),
        Metric::AllocatedBytes | Metric::PeakHeap => figures::bytes(rounded),
        // One in some of the executions.
        Metric::Allocations if figure.fract() > 0.0 && figure < 10_000.0 => format!("{figure:.2}"),
        Metric::Allocations | Metric::Instructions => figures::count(rounded),
    }
}

/// `+5.1%`; with more digits where there is next to nothing.
fn share(share: f64) -> String {
    match share * 100.0 {
        percent if !percent.is_finite() => "∞".to_owned(),
        0.0 => "0%".to_owned(),
        percent if percent.abs() < 0.1 => format!("{percent:+.3}%"),
        percent => format!("{percent:+.1}%"),
    }
}

/// From where on a change would have been seen. A figure that is soon known to be unchanged has too few
/// pairs to show a change, but enough to rule out one of the minimum effect.
fn seen_from(verdict: &Verdict) -> String {
    match verdict.smallest_detectable {
        0.0 => "any".to_owned(),
        // Next to nothing can grow by any share of itself.
        effect if effect <= 1.0 => format!("{:.1}%", effect * 100.0),
        _ if verdict.outcome == Outcome::Unchanged && verdict.minimum_effect <= 1.0 => {
            format!("{:.1}%", verdict.minimum_effect * 100.0)
        }
        _ => "–".to_owned(),
    }
}

fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Improved => "improved",
        Outcome::Unchanged => "unchanged",
        Outcome::Regressed => "regressed",
        Outcome::Undecided => "undecided",
    }
}

fn outcome(outcome: Outcome) -> String {
    let name = name(outcome);
    match outcome {
        Outcome::Improved => console::style(name).green().to_string(),
        Outcome::Regressed => console::style(name).red().to_string(),
        Outcome::Unchanged | Outcome::Undecided => name.to_owned(),
    }
}

fn stored(case: &ComparedCase, reports: &[CaseReport]) -> Option<String> {
    let Method::Stored(why) = &case.method else { return None };
    let path = reports[case.report].case.path();
    let from = STORED_MINIMUM_EFFECT * 100.0;
    Some(format!("stored figures were compared, from {from}% on: {path}: {why}"))
}

/// What to do with what was found.
fn advice(compared: &Compared, reports: &[CaseReport], command: &str) -> Vec<String> {
    let with = |meant: Outcome| -> Vec<&'static str> {
        let mut jobs: Vec<&'static str> = rows(compared)
            .filter(|(_, metric)| metric.verdict.outcome == meant)
            .map(|(case, _)| reports[case.report].case.job.name)
            .collect();
        jobs.dedup();
        jobs
    };
    let mut lines = Vec::new();
    if let Some(why) = &compared.advisory {
        lines.push(format!("advisory, and no reason to fail: {why}"));
    }
    for why in compared.cases.iter().filter_map(|case| case.advisory.as_ref()).take(1) {
        lines.push(format!("stored figures are advisory, and no reason to fail: {why}"));
    }
    for job in with(Outcome::Regressed) {
        lines.push(format!("regressed: run it again with `{command} --exact {}`", quoted(job)));
    }
    // More pairs don't tell what counting would.
    let mut undecided = with(Outcome::Undecided);
    undecided.retain(|job| {
        rows(compared).any(|(case, metric)| {
            reports[case.report].case.job.name == *job
                && metric.verdict.outcome == Outcome::Undecided
                && metric.revision.is_none()
        })
    });
    if !undecided.is_empty() {
        let jobs: Vec<String> = undecided.into_iter().map(quoted).collect();
        lines.push(format!(
            "undecided: the noise leaves room for a change that matters. For more pairs: `{command} --compare-time 2m --exact {}`",
            jobs.join(" ")
        ));
    }
    lines
}

/// A name as a shell takes it.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.chars().all(plain) { name.to_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}
