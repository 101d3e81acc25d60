//! How jobs grow: a line per model.

use profiling_core::statistics::{Curve, Metric, Model};
use serde_json::Value;

use super::figures;

/// What is shown; the profile has the models of all figures.
const SHOWN: [(Metric, &str); 2] = [(Metric::WallNs, "wall"), (Metric::PeakHeapBytes, "peak heap")];

/// A line for the time of each combination of the job's other parameters, and one for the heap where it grows.
pub(crate) fn lines(job: &str, models: &[Model]) -> Vec<String> {
    let shown = |model: &&Model| match (&model.growth, model.metric) {
        (_, Metric::WallNs) => true,
        (Ok(_), Metric::PeakHeapBytes) => model.shape() != "1",
        _ => false,
    };
    models.iter().filter(shown).filter_map(|model| line(job, model)).collect()
}

fn line(job: &str, model: &Model) -> Option<String> {
    let (_, name) = SHOWN.into_iter().find(|(metric, _)| *metric == model.metric)?;
    let fixed: Vec<String> = model.fixed.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
    let case = if fixed.is_empty() { job.to_owned() } else { format!("{job}/{}", fixed.join(",")) };
    Some(match &model.growth {
        Ok(curve) => format!(
            "{case}: {name} ≈ {}, ±{} for {}",
            sum(curve, model.metric),
            figures::percent(curve.max_relative_residual),
            ranges(model)
        ),
        Err(reason) => format!("{case}: growth of {name} not identifiable: {reason}"),
    })
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `12 ns · n log n + 1.20 µs`, what grows first.
fn sum(curve: &Curve, metric: Metric) -> String {
    let figure = if metric == Metric::WallNs { figures::exact_time } else { figures::exact_bytes };
    let terms = curve.terms.iter().rev().map(|term| match term.name.as_str() {
        "1" => figure(term.coefficient),
        name => format!("{} · {name}", figure(term.coefficient)),
    });
    terms.collect::<Vec<_>>().join(" + ")
}

/// `n in 10..=1,000,000`; a single parameter is `n` in the terms, whatever its name.
fn ranges(model: &Model) -> String {
    let ranges = model.params.iter().map(|range| {
        let name = &range.name;
        let name = if model.params.len() > 1 || name == "n" { name.clone() } else { format!("n = {name}") };
        format!("{name} in {}..={}", figures::count(range.low), figures::count(range.high))
    });
    ranges.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use profiling_core::statistics::Level;

    use super::*;

    fn model(metric: Metric, name: &str, figure: fn(f64) -> f64) -> Model {
        let level = |n: u64| Level { at: vec![n], figures: vec![figure(n as f64); 2] };
        Model::fit(metric, &[name], &[10, 100, 1_000, 10_000, 100_000, 1_000_000].map(level))
    }

    #[test]
    fn says_what_grows_how_and_where() {
        let wall = model(Metric::WallNs, "n", |n| 12_000.0 + 1.25 * n * n.log2());
        let heap = model(Metric::PeakHeapBytes, "n", |n| 4.0 * n);
        let flat = model(Metric::PeakHeapBytes, "n", |_| 4.0);
        assert_eq!(
            lines("sort", &[wall, heap, flat]),
            [
                "sort: wall ≈ 1.25 ns · n log n + 12.0 µs, ±0.0% for n in 10..=1,000,000",
                "sort: peak heap ≈ 4.00 B · n, ±0.0% for n in 10..=1,000,000",
            ]
        );
    }

    #[test]
    fn says_why_nothing_can_be_said() {
        let mut model = model(Metric::WallNs, "size", |n| (1e6 / n).max(100.0));
        model.fixed.insert("order".to_owned(), "up".into());
        let lines = lines("sort", &[model]);
        assert!(lines[0].starts_with("sort/order=up: growth of wall not identifiable: "), "{lines:?}");
    }

    #[test]
    fn a_parameter_of_another_name_is_n() {
        let lines = lines("hash", &[model(Metric::WallNs, "size", |n| 3.0 * n)]);
        assert_eq!(lines, ["hash: wall ≈ 3.00 ns · n, ±0.0% for n = size in 10..=1,000,000"]);
    }
}
