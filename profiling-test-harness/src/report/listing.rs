//! `--list`, in libtest's formats.

use profiling_core::job::JobDescriptor;
use serde_json::json;

use crate::cli::Format;
use crate::selection::Chosen;

/// The whole list. nextest reads `terse` and wants nothing there but `NAME: test` lines.
pub(crate) fn list(chosen: &Chosen, format: Format) -> String {
    let mut jobs: Vec<&JobDescriptor> =
        chosen.selected.iter().map(|selected| selected.job).chain(chosen.ignored.iter().copied()).collect();
    jobs.sort_by_key(|job| job.name);
    let lines: String = match format {
        Format::Json => return json_lines(&jobs),
        Format::Pretty | Format::Terse => jobs.iter().map(|job| format!("{}: test\n", job.name)).collect(),
    };
    match format {
        Format::Pretty => format!("{lines}\n{} tests, 0 benchmarks\n", jobs.len()),
        Format::Terse | Format::Json => lines,
    }
}

/// libtest's (unstable) events of discovery, one object a line.
fn json_lines(jobs: &[&JobDescriptor]) -> String {
    let begin = json!({"type": "suite", "event": "discovery"});
    let found = jobs.iter().map(|job| {
        json!({
            "type": "test", "event": "discovered", "name": job.name, "ignore": job.ignore, "ignore_message": "",
            "source_path": job.source.file, "start_line": job.source.line,
        })
    });
    let ignored = jobs.iter().filter(|job| job.ignore).count();
    let end = json!({
        "type": "suite", "event": "completed", "tests": jobs.len(), "benchmarks": 0, "total": jobs.len(),
        "ignored": ignored,
    });
    std::iter::once(begin).chain(found).chain([end]).map(|event| format!("{event}\n")).collect()
}
