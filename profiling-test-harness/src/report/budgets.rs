//! What came of budgets: a line each.

use profiling_core::budget::{Judgement, Outcome, Unit};

use super::{CaseReport, figures};

/// Lines for the budgets that were nearly reached or could not be judged; empty without.
pub(crate) fn warnings(reports: &[CaseReport]) -> Vec<String> {
    let outcomes = [Outcome::Near, Outcome::NotJudged];
    let lines = reports.iter().flat_map(|report| {
        let judgements = outcomes.into_iter().flat_map(|outcome| report.budgets(outcome));
        judgements.map(|judgement| format!("warning: {}: {}", report.case.path(), line(judgement)))
    });
    lines.collect()
}

/// `over budget: p95 61.2 ms [58.9 ms, 64.0 ms] > 50.0 ms`.
pub(crate) fn line(judgement: &Judgement) -> String {
    let name = judgement.budget.name();
    let why = judgement.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let Some(figure) = judgement.figure else { return format!("budget {name} is not judged{why}") };
    let known = match judgement.outcome {
        Outcome::Over => "over budget",
        Outcome::Near => "near budget",
        Outcome::Within | Outcome::NotJudged => "within budget",
    };
    let relation = if figure > judgement.limit { ">" } else { "of" };
    // What differs by less than the digits that people read is given in full.
    let amount =
        if amount(judgement.unit, figure) == amount(judgement.unit, judgement.limit) { in_full } else { amount };
    let [figure, limit] = [figure, judgement.limit].map(|value| amount(judgement.unit, value));
    format!("{known}: {name} {figure}{} {relation} {limit}{why}", interval(judgement, amount))
}

/// ` [58.9 ms, 64.0 ms]`, or ` [58.9 ms, …]` where nobody knows the upper end; nothing for what is exact.
fn interval(judgement: &Judgement, amount: fn(Unit, u64) -> String) -> String {
    if judgement.low == judgement.high && judgement.low == judgement.figure {
        return String::new();
    }
    let [low, high] = [judgement.low, judgement.high]
        .map(|end| end.map_or_else(|| "…".to_owned(), |value| amount(judgement.unit, value)));
    format!(" [{low}, {high}]")
}

fn amount(unit: Unit, value: u64) -> String {
    match unit {
        Unit::Ns => figures::time(value),
        Unit::Bytes => figures::bytes(value),
        Unit::Count => figures::count(value),
    }
}

fn in_full(unit: Unit, value: u64) -> String {
    let unit = match unit {
        Unit::Ns => " ns",
        Unit::Bytes => " B",
        Unit::Count => "",
    };
    format!("{}{unit}", figures::count(value))
}

#[cfg(test)]
mod tests {
    use profiling_core::budget::Subject;

    use super::*;

    fn judgement(budget: Subject, limit: u64, figure: Option<u64>, low: Option<u64>, high: Option<u64>) -> Judgement {
        Judgement { budget, unit: budget.unit(), limit, figure, low, high, outcome: Outcome::Over, why: None }
    }

    #[test]
    fn a_line_has_budget_figure_and_interval() {
        let time = judgement(Subject::P95, 50_000_000, Some(61_200_000), Some(58_900_000), Some(64_000_000));
        assert_eq!(line(&time), "over budget: p95 61.2 ms [58.9 ms, 64.0 ms] > 50.0 ms");
        let near = Judgement { outcome: Outcome::Near, high: None, why: Some("not surely over it".to_owned()), ..time };
        assert_eq!(line(&near), "near budget: p95 61.2 ms [58.9 ms, …] > 50.0 ms: not surely over it");
        let count = judgement(Subject::Allocations, 1000, Some(1001), Some(1001), Some(1001));
        assert_eq!(line(&count), "over budget: allocations 1,001 > 1,000");
        let bytes = judgement(Subject::Allocated, 1 << 20, Some((1 << 20) + 1), Some(1 << 20), None);
        assert_eq!(line(&bytes), "over budget: allocated 1,048,577 B [1,048,576 B, …] > 1,048,576 B");
        let none = judgement(Subject::Instructions, 9, None, None, None);
        let none = Judgement { outcome: Outcome::NotJudged, why: Some("so".to_owned()), ..none };
        assert_eq!(line(&none), "budget instructions is not judged: so");
    }
}
