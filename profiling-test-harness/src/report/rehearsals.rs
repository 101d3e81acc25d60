//! How the cases did within the limits of platforms.

use comfy_table::{CellAlignment, Table, presets};
use profiling_core::profile::{FileSystem, Rehearsal, RehearsalOutcome};

use super::{CaseReport, figures};

/// So many periods of granted CPU time even out.
const PERIODS: u64 = 10;

/// One row per case and size; empty where nothing was rehearsed.
pub(crate) fn render(reports: &[CaseReport]) -> String {
    let rehearsals = |report: &CaseReport| report.result.as_ref().map_or(Vec::new(), |case| case.rehearsals.clone());
    let all: Vec<(String, Rehearsal)> = reports
        .iter()
        .flat_map(|report| rehearsals(report).into_iter().map(|rehearsal| (report.case.path(), rehearsal)))
        .collect();
    if all.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["case", "rehearsed at", "predicted p50", "rehearsed p50", "difference", "verdict"]);
    for column in 2..=4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for (case, rehearsal) in &all {
        table.add_row(row(case, rehearsal));
    }
    let mut lines = vec![table.to_string()];
    if let Some((_, short)) = all.iter().find(|(_, rehearsal)| is_short(rehearsal)) {
        let period = figures::time(short.period_ns);
        lines.push(format!(
            "short: CPU time is granted every {period}; what takes less than {PERIODS} times that comes out shorter or \
             longer than predicted"
        ));
    }
    if all.iter().any(|(_, rehearsal)| rehearsal.file_system == FileSystem::Unrestricted) {
        lines.push(
            "all files could be written to: this machine lets processes have no mounts of their own (`unshare --mount`)"
                .to_owned(),
        );
    }
    lines.join("\n")
}

fn row(case: &str, rehearsal: &Rehearsal) -> [String; 6] {
    let none = || "–".to_owned();
    let predicted = rehearsal.predicted_p50_ns;
    let (rehearsed, verdict) = match &rehearsal.outcome {
        RehearsalOutcome::Passed { wall_ns } if is_short(rehearsal) => (Some(wall_ns.p50), "ok, short".to_owned()),
        RehearsalOutcome::Passed { wall_ns } => (Some(wall_ns.p50), "ok".to_owned()),
        RehearsalOutcome::Failed { reason, .. } => {
            (None, format!("failed: {}", reason.lines().next().unwrap_or_default()))
        }
        _ => (None, String::new()),
    };
    let difference = rehearsed
        .zip(predicted)
        .map(|(rehearsed, predicted)| format!("{:+.1} %", (rehearsed as f64 / predicted.max(1) as f64 - 1.0) * 100.0));
    [
        case.to_owned(),
        rehearsal.size.clone(),
        predicted.map_or_else(none, figures::time),
        rehearsed.map_or_else(none, figures::time),
        difference.unwrap_or_else(none),
        verdict,
    ]
}

fn is_short(rehearsal: &Rehearsal) -> bool {
    matches!(rehearsal.outcome, RehearsalOutcome::Passed { wall_ns } if wall_ns.p50 < PERIODS * rehearsal.period_ns)
}
