//! Where the time goes inside of a job: a table for each case that has stages.

use comfy_table::{CellAlignment, Table, presets};
use profiling_core::breakdown::StageProfile;
use profiling_core::profile::{CaseProfile, Profile};

use super::table::NOT_MEASURED;
use super::{case_path, figures};

/// A table for each case with stages or payloads.
pub(crate) fn render(profile: &Profile) -> Vec<String> {
    let of_case = |case: &CaseProfile| {
        let path = case_path(&profile.job, &case.params);
        let stages = (!case.breakdown.stages.is_empty()).then(|| table(&case.breakdown.stages));
        let payloads = case.breakdown.payloads.iter().map(|payload| {
            let (count, most) = (figures::count(payload.count), figures::bytes(payload.bytes.max));
            format!(
                "payload `{}`: {count} recorded, {} p50, {most} at most",
                payload.name,
                figures::bytes(payload.bytes.p50)
            )
        });
        let parts: Vec<String> = stages.into_iter().chain(payloads).collect();
        (!parts.is_empty()).then(|| format!("{path}: inside of an execution\n{}", parts.join("\n")))
    };
    profile.cases.iter().filter_map(of_case).collect()
}

fn table(stages: &[StageProfile]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["stage", "calls", "wall p50", "wall p99", "wall in all", "CPU p50", "allocated p50"]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for (depth, stage) in by_parent(stages) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "nanoseconds; saturates")]
        let all = (stage.wall_ns.mean * stage.calls as f64).round() as u64;
        table.add_row([
            format!("{}{}", "  ".repeat(depth), stage.name),
            figures::count(stage.calls),
            figures::time(stage.wall_ns.p50),
            figures::time(stage.wall_ns.p99),
            figures::time(all),
            stage.cpu_ns.map_or_else(|| NOT_MEASURED.to_owned(), |cpu| figures::time(cpu.p50)),
            stage.allocated_bytes.map_or_else(|| NOT_MEASURED.to_owned(), |bytes| figures::bytes(bytes.p50)),
        ]);
    }
    table.to_string()
}

/// Each stage below the one in which it was entered, with its depth.
fn by_parent(stages: &[StageProfile]) -> Vec<(usize, &StageProfile)> {
    let mut sorted = Vec::with_capacity(stages.len());
    let mut left: Vec<&StageProfile> = stages.iter().collect();
    place(&mut sorted, &mut left, None, 0);
    // What is only within itself.
    sorted.extend(left.into_iter().map(|stage| (1, stage)));
    sorted
}

fn place<'a>(
    sorted: &mut Vec<(usize, &'a StageProfile)>,
    left: &mut Vec<&'a StageProfile>,
    parent: Option<&str>,
    depth: usize,
) {
    let (own, others) = left.iter().partition::<Vec<_>, _>(|stage| stage.parent.as_deref() == parent);
    *left = others;
    for stage in own {
        sorted.push((depth, stage));
        place(sorted, left, Some(&stage.name), depth + 1);
    }
}

#[cfg(test)]
mod tests {
    use profiling_core::statistics::Summary;

    use super::*;

    fn stage(name: &str, parent: Option<&str>) -> StageProfile {
        let wall_ns = Summary::of(&[1_000_000, 3_000_000]).expect("two values");
        StageProfile {
            name: name.to_owned(),
            parent: parent.map(str::to_owned),
            calls: 2,
            wall_ns,
            busy_ns: None,
            cpu_ns: None,
            cpu_calls: None,
            allocated_bytes: None,
        }
    }

    #[test]
    fn stages_lie_below_the_one_they_were_entered_in() {
        let stages = [
            stage("leaf", Some("inner")),
            stage("inner", Some("outer")),
            stage("outer", None),
            stage("own", Some("own")),
        ];
        let shown: Vec<(usize, &str)> =
            by_parent(&stages).iter().map(|(depth, stage)| (*depth, &*stage.name)).collect();
        assert_eq!(shown, [(0, "outer"), (1, "inner"), (2, "leaf"), (1, "own")]);
        let text = table(&stages);
        assert!(text.contains("4.00 ms"), "2 calls of 2 ms in the mean\n{text}");
    }
}
