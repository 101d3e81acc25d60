//! What counting has made of the outcomes of CPU time.

use profiling_core::statistics::comparison::Costs;

use super::share;
use crate::comparison::witness::{NoOpinion, Revision, Seconded};
use crate::comparison::{ComparedCase, ComparedMetric};
use crate::report::{CaseReport, figures};

/// What to do about a machine without Valgrind.
const INSTALL: &str = "no second opinion on CPU time: there is no `valgrind` in the PATH, so that an effect below 3% \
    can't be told from code that merely lies elsewhere, and is undecided. Install it: `apt-get install valgrind` \
    (Debian, Ubuntu), `dnf install valgrind` (Fedora), `pacman -S valgrind` (Arch), `apk add valgrind` (Alpine); or \
    judge without it: --no-witness";

/// A line for every case of which counting has changed an outcome, or could not.
pub(super) fn lines(cases: &[ComparedCase], reports: &[CaseReport]) -> Vec<String> {
    let seconded = cases.iter().filter_map(|case| Some((case, case.seconded.as_ref()?)));
    let mut lines: Vec<String> =
        seconded.filter_map(|(case, seconded)| line(case, seconded, &reports[case.report].case.path())).collect();
    let missing = Seconded::Not(NoOpinion::NotInstalled);
    if cases.iter().any(|case| case.seconded.as_ref() == Some(&missing)) {
        lines.push(INSTALL.to_owned());
    }
    lines
}

fn line(case: &ComparedCase, seconded: &Seconded, path: &str) -> Option<String> {
    let why = match seconded {
        Seconded::Counted(costs) => {
            let revised = case.metrics.iter().find_map(|metric| Some((metric, metric.revision?)));
            return revised.map(|(metric, revision)| counted(path, metric, revision, costs));
        }
        Seconded::Not(NoOpinion::NotInstalled) => return None,
        Seconded::Not(NoOpinion::Varies) => "counts vary from run to run".to_owned(),
        Seconded::Not(NoOpinion::TooLong { left }) => format!(
            "counting it under Valgrind takes longer than the {:.1} s that --compare-time leaves",
            left.as_secs_f64()
        ),
        Seconded::Not(NoOpinion::Failed(why)) => format!("Valgrind could not count it: {why}"),
    };
    Some(format!("no second opinion on the CPU time of {path}: {why}"))
}

fn counted(path: &str, metric: &ComparedMetric, revision: Revision, costs: &Costs) -> String {
    let effect = share(metric.comparison.effect);
    let [old, new] = [costs.old, costs.new].map(count);
    match revision {
        Revision::Moved => format!(
            "moved, and no change: {path}: CPU time {effect}, but an execution costs the same under Valgrind ({old} \
             before, {new} now): its code lies elsewhere in memory"
        ),
        Revision::Contradicted => format!(
            "undecided: {path}: CPU time {effect}, but an execution costs the same under Valgrind ({old} before, {new} \
             now): that is more than where the code lies explains, or the kernel's doing"
        ),
        Revision::Costlier => format!(
            "costs more: {path}: {} under Valgrind ({old} before, {new} now); CPU time {effect}",
            share(costs.effect())
        ),
        Revision::Unseconded => format!(
            "undecided: {path}: CPU time {effect} as a mean or a percentile, no more than the typical execution: that \
             costs {old} before and {new} now under Valgrind"
        ),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a median of u64 counts")]
fn count(cost: f64) -> String {
    figures::count(cost.round() as u64)
}
