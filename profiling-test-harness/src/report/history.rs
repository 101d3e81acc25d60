//! What the runs so far have measured: `--history`.

use comfy_table::{CellAlignment, Table, presets};
use profiling_core::history::HistoryEntry;
use profiling_core::profile::Grade;
use profiling_core::statistics::change_points;

use super::table::NOT_MEASURED;
use super::{case_path, figures};

/// The runs that are shown one by one, of each trend.
const ROWS: usize = 30;
/// The runs that the line above them shows.
const COLUMNS: usize = 60;

/// The trends of a job, or of one of its cases; `None` where no run has measured it.
pub(crate) fn render(entries: &[HistoryEntry], asked: &str) -> Option<String> {
    let mut trends: Vec<Vec<&HistoryEntry>> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.job == asked || case_path(&entry.job, &entry.params) == asked) {
        match trends.iter_mut().find(|trend| entry.continues(trend[0])) {
            Some(trend) => trend.push(entry),
            None => trends.push(vec![entry]),
        }
    }
    let shown: Vec<String> = trends.iter().map(|trend| render_trend(trend)).collect();
    Some(shown.join("\n")).filter(|shown| !shown.is_empty())
}

/// The jobs that there are entries of.
pub(crate) fn jobs(entries: &[HistoryEntry]) -> Vec<String> {
    let mut jobs: Vec<String> = entries.iter().map(|entry| entry.job.clone()).collect();
    jobs.sort();
    jobs.dedup();
    jobs
}

fn render_trend(trend: &[&HistoryEntry]) -> String {
    let first = trend[0];
    let debug = if first.debug_assertions { ", debug assertions on" } else { "" };
    let cpu = first.cpu_model.as_deref().unwrap_or("CPU not known");
    let mut lines =
        vec![format!("\n{} · opt-level {}{debug} · {cpu}", case_path(&first.job, &first.params), first.opt_level)];
    if trend.len() > 2 {
        let walls: Vec<u64> = trend.iter().map(|entry| entry.wall_ns).collect();
        lines.push(format!("wall p50: {}", bars(&walls[walls.len().saturating_sub(COLUMNS)..])));
    }
    let hidden = trend.len().saturating_sub(ROWS);
    if hidden > 0 {
        lines.push(format!("the last {ROWS} of {} runs:", trend.len()));
    }
    lines.push(table(trend, hidden));
    lines.join("\n")
}

fn table(trend: &[&HistoryEntry], hidden: usize) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["measured at", "commit", "samples", "wall p50", "CPU p50", "peak memory", "allocations", "note"]);
    for column in table.column_iter_mut().skip(2).take(5) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let changes = changes(trend);
    for (index, entry) in trend.iter().enumerate().skip(hidden) {
        let from_here = changes.iter().filter(|(at, _)| *at == index).map(|(_, change)| change.clone());
        table.add_row(row(entry, index.checked_sub(1).map(|before| trend[before]), from_here));
    }
    table.to_string()
}

/// The runs from which on a figure has another level, and what has changed.
fn changes(trend: &[&HistoryEntry]) -> Vec<(usize, String)> {
    type Figure = fn(&HistoryEntry) -> Option<u64>;
    let figures: [(&str, Figure); 4] = [
        ("wall", |entry| Some(entry.wall_ns)),
        ("CPU", |entry| entry.cpu_ns),
        ("memory", |entry| entry.peak_memory_bytes),
        ("allocations", |entry| entry.allocations),
    ];
    let of_figure = |(name, figure): (&str, Figure)| {
        let series: Option<Vec<u64>> = trend.iter().map(|entry| figure(entry)).collect();
        let found = change_points(&series.unwrap_or_default());
        let change =
            |effect: f64| if effect.is_finite() { format!("{:+.1}%", effect * 100.0) } else { "from 0".to_owned() };
        found
            .into_iter()
            .map(move |point| (point.at, format!("{name} {} from here", change(point.effect))))
            .collect::<Vec<_>>()
    };
    figures.into_iter().flat_map(of_figure).collect()
}

fn row(entry: &HistoryEntry, before: Option<&HistoryEntry>, from_here: impl Iterator<Item = String>) -> [String; 8] {
    let cell = |figure: fn(&HistoryEntry) -> Option<u64>, text: fn(u64) -> String| {
        let Some(now) = figure(entry) else { return NOT_MEASURED.to_owned() };
        let change = before.and_then(figure).and_then(|before| change(before, now)).unwrap_or_default();
        format!("{}{change:>9}", text(now))
    };
    let commit = entry.git_commit.as_deref().map(|commit| commit.chars().take(9).collect());
    let toolchain = before.filter(|before| before.rustc != entry.rustc).map(|_| entry.rustc.clone());
    let noise = (entry.noise == Some(Grade::Noisy)).then(|| "noisy".to_owned());
    [
        entry.profiled_at.clone(),
        commit.unwrap_or_else(|| NOT_MEASURED.to_owned()),
        entry.samples.to_string(),
        cell(|entry| Some(entry.wall_ns), figures::time),
        cell(|entry| entry.cpu_ns, figures::time),
        cell(|entry| entry.peak_memory_bytes, figures::bytes),
        cell(|entry| entry.allocations, figures::count),
        from_here.chain(noise).chain(toolchain).collect::<Vec<_>>().join(", "),
    ]
}

/// From the run before, in percent: `+12.5%`.
fn change(before: u64, now: u64) -> Option<String> {
    // Of nothing there is no percentage.
    (before > 0).then(|| format!("{:+.1}%", (now as f64 / before as f64 - 1.0) * 100.0))
}

/// One character a figure, from the lowest to the highest.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of seven")]
fn bars(values: &[u64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let (lowest, highest) = (values.iter().min().copied().unwrap_or(0), values.iter().max().copied().unwrap_or(0));
    let share = |value: u64| (value - lowest) as f64 / (highest - lowest).max(1) as f64;
    values.iter().map(|&value| BARS[(share(value) * (BARS.len() - 1) as f64).round() as usize]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(minute: usize, wall_ns: u64) -> HistoryEntry {
        let params = [("n".to_owned(), 10.into()), ("order".to_owned(), "up".into())].into_iter().collect();
        HistoryEntry {
            profiled_at: format!("2026-01-01T00:{minute:02}:00Z"),
            git_commit: Some("0123456789abcdef".to_owned()),
            job: "sort".to_owned(),
            params,
            samples: 10,
            wall_ns,
            cpu_ns: None,
            peak_memory_bytes: Some(3 << 20),
            allocations: Some(0),
            noise: None,
            cpu_model: None,
            opt_level: "3".to_owned(),
            debug_assertions: false,
            rustc: "rustc 1.95.0".to_owned(),
        }
    }

    #[test]
    fn a_new_level_is_marked_where_it_begins() {
        let walls = [100, 101, 99, 100, 102, 98, 120, 121, 119, 120, 122, 118].map(|wall| wall * 1_000_000);
        let entries: Vec<HistoryEntry> = walls.iter().enumerate().map(|(minute, &wall)| entry(minute, wall)).collect();
        let shown = render(&entries, "sort").expect("there are entries");
        let marked: Vec<&str> = shown.lines().filter(|line| line.contains("from here")).collect();
        assert_eq!(marked.len(), 1, "{shown}");
        assert!(marked[0].contains("00:06:00Z") && marked[0].contains("wall +20.0% from here"), "{shown}");
    }

    /// The cells of a line of a table.
    fn words(line: &str) -> Vec<&str> {
        line.split_whitespace().filter(|word| *word != "│").collect()
    }

    #[test]
    fn each_run_is_compared_with_the_one_before() {
        let mut entries = [entry(0, 1_000_000), entry(1, 1_250_000), entry(2, 1_000_000)];
        entries[1].noise = Some(Grade::Noisy);
        entries[2].rustc = "rustc 1.96.0".to_owned();
        let text = render(&entries, "sort").expect("it was measured");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "sort/n=10,order=up · opt-level 3 · CPU not known");
        assert_eq!(lines[2], "wall p50: ▁█▁");
        let expected = [
            "2026-01-01T00:01:00Z",
            "012345678",
            "10",
            "1.25",
            "ms",
            "+25.0%",
            "–",
            "3.00",
            "MiB",
            "+0.0%",
            "0",
            "noisy",
        ];
        assert_eq!(words(lines[7]), expected);
        assert_eq!(words(lines[8])[3..6], ["1.00", "ms", "-20.0%"]);
        assert!(lines[8].contains("rustc 1.96.0"), "{text}");
        assert_eq!(render(&entries, "sort/n=10,order=up").as_deref(), Some(&*text));
        assert_eq!(render(&entries, "so"), None);
        assert_eq!(jobs(&entries), ["sort"]);
    }

    #[test]
    fn debug_builds_are_a_trend_of_their_own() {
        let mut entries = [entry(0, 1), entry(1, 100), entry(2, 1)];
        entries[1].opt_level = "0".to_owned();
        entries[1].debug_assertions = true;
        let text = render(&entries, "sort").expect("it was measured");
        assert!(text.contains("opt-level 0, debug assertions on"), "{text}");
        assert!(!text.contains("00.0%"), "{text}");
    }

    #[test]
    fn of_a_long_history_the_end_is_shown() {
        let entries: Vec<HistoryEntry> = (0..60).map(|minute| entry(minute, 1)).collect();
        let text = render(&entries, "sort").expect("it was measured");
        assert!(text.contains("the last 30 of 60 runs:") && text.contains("00:30:00Z") && !text.contains("00:29:00Z"));
        let first = text.lines().find(|line| line.contains("00:30:00Z")).expect("just seen");
        assert!(first.contains("+0.0%"), "compared with one that is not shown: {first}");
    }
}
