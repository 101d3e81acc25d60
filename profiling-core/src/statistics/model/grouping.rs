//! From a job's samples to its models.

use serde_json::Value;

use super::{Level, Metric, Model, Unidentifiable};
use crate::profile::{Params, SampleRecord};
use crate::sample::Sample;

const METRICS: [Metric; 5] =
    [Metric::WallNs, Metric::CpuNs, Metric::AllocatedBytes, Metric::PeakHeapBytes, Metric::PeakRssBytes];

impl Metric {
    fn of(self, sample: &Sample) -> Option<u64> {
        match self {
            Self::WallNs => Some(sample.wall_ns),
            Self::CpuNs => sample.cpu_ns,
            Self::AllocatedBytes => sample.allocated_bytes,
            Self::PeakHeapBytes => sample.peak_heap_bytes,
            Self::PeakRssBytes => sample.peak_rss_bytes,
        }
    }
}

/// The models of one job, from the samples of its cases: for every combination of its string parameters,
/// one per figure that was measured. None for a job without a number that varies.
#[must_use]
pub fn models(samples: &[SampleRecord]) -> Vec<Model> {
    groups(samples).iter().flat_map(Group::models).collect()
}

/// The cases that differ in numbers alone.
struct Group<'a> {
    texts: Params,
    cases: Vec<(&'a Params, Vec<&'a Sample>)>,
}

fn groups(samples: &[SampleRecord]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    // A case's samples lie one after the other.
    for record in samples {
        let texts = record.params.iter().filter(|(_, value)| !value.is_number());
        let texts: Params = texts.map(|(name, value)| (name.clone(), value.clone())).collect();
        match groups.iter_mut().find(|group| group.texts == texts) {
            Some(group) => group.add(record),
            None => groups.push(Group { texts, cases: vec![(&record.params, vec![&record.figures])] }),
        }
    }
    groups
}

impl<'a> Group<'a> {
    fn add(&mut self, record: &'a SampleRecord) {
        match self.cases.last_mut() {
            Some((params, figures)) if **params == record.params => figures.push(&record.figures),
            _ => self.cases.push((&record.params, vec![&record.figures])),
        }
    }

    /// The numbers that vary, in the order of the attribute.
    fn varying(&self) -> Vec<&'a str> {
        let Some(((first, _), rest)) = self.cases.split_first() else { return Vec::new() };
        let varies = |name: &str, value: &Value| rest.iter().any(|(params, _)| params.get(name) != Some(value));
        first.iter().filter(|(name, value)| value.is_number() && varies(name, value)).map(|(name, _)| &**name).collect()
    }

    fn models(&self) -> Vec<Model> {
        let varying = self.varying();
        let Some((first, _)) = self.cases.first().filter(|_| !varying.is_empty()) else { return Vec::new() };
        let is_fixed = |name: &str| !varying.contains(&name);
        let fixed: Params = first
            .iter()
            .filter(|(name, _)| is_fixed(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let fit = |metric: Metric| {
            let model = match self.levels(&varying, metric)? {
                Ok(levels) => Model::fit(metric, &varying, &levels),
                Err(reason) => {
                    Model { metric, fixed: Params::new(), params: Vec::new(), growth: Err(reason.to_string()) }
                }
            };
            Some(Model { fixed: fixed.clone(), ..model })
        };
        METRICS.into_iter().filter_map(fit).collect()
    }

    /// `None` where a sample lacks the figure.
    fn levels(&self, varying: &[&str], metric: Metric) -> Option<Result<Vec<Level>, Unidentifiable>> {
        let level = |(params, samples): &(&Params, Vec<&Sample>)| {
            let figures: Option<Vec<f64>> =
                samples.iter().map(|sample| metric.of(sample).map(|figure| figure as f64)).collect();
            let at: Option<Vec<u64>> = varying.iter().map(|name| params.get(*name)?.as_u64()).collect();
            let figures = figures?;
            Some(at.map(|at| Level { at, figures }).ok_or(Unidentifiable::NotANumber))
        };
        self.cases.iter().map(level).collect::<Option<Vec<_>>>().map(|levels| levels.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(params: &Value, allocated_bytes: Option<u64>) -> SampleRecord {
        let params = params.as_object().expect("an object").clone();
        SampleRecord { params, sample: 0, figures: Sample { wall_ns: 1_000, allocated_bytes, ..Sample::default() } }
    }

    fn summary(samples: &[SampleRecord]) -> Vec<(Metric, String)> {
        models(samples).iter().map(|model| (model.metric, model.shape())).collect()
    }

    #[test]
    fn strings_and_numbers_that_stay_are_held_apart() {
        let bytes = |order: &str, n: u64| if order == "up" { 8 * n } else { n * n };
        let record = |order: &str, n: u64| record(&json!({"k": 3, "n": n, "order": order}), Some(bytes(order, n)));
        let samples: Vec<SampleRecord> = [10, 100, 1_000, 10_000, 100_000]
            .iter()
            .flat_map(|&n| ["up", "down"].map(|order| [record(order, n), record(order, n)]))
            .flatten()
            .collect();
        let models = models(&samples);
        let of = |order: &str| {
            let fixed = json!({"k": 3, "order": order});
            let mut found = models.iter().filter(move |model| Value::from(model.fixed.clone()) == fixed);
            found.find(|model| model.metric == Metric::AllocatedBytes).expect("a model").shape()
        };
        assert_eq!((of("up").as_str(), of("down").as_str()), ("n", "n^2"));
        assert!(models.iter().all(|model| model.params.len() == 1 && model.params[0].name == "n"));
    }

    #[test]
    fn what_was_not_measured_has_no_model() {
        let with: Vec<SampleRecord> = (1..=8).map(|n| record(&json!({"n": n}), Some(n))).collect();
        let mut without = with.clone();
        without[3].figures.allocated_bytes = None;
        let metrics =
            |samples: &[SampleRecord]| summary(samples).into_iter().map(|(metric, _)| metric).collect::<Vec<_>>();
        assert_eq!(metrics(&with), [Metric::WallNs, Metric::AllocatedBytes]);
        assert_eq!(metrics(&without), [Metric::WallNs]);
    }

    #[test]
    fn only_numbers_that_vary_make_models() {
        for params in [json!({}), json!({"n": 1}), json!({"order": "up"})] {
            assert_eq!(summary(&[record(&params, Some(1)), record(&params, Some(1))]), []);
        }
    }

    #[test]
    fn says_why_there_is_none() {
        let negative: Vec<SampleRecord> = (-4..4).map(|n| record(&json!({"n": n}), None)).collect();
        let reason = models(&negative)[0].growth.clone().expect_err("a number below zero");
        assert!(reason.starts_with("a parameter is below zero"), "{reason}");
        let three: Vec<SampleRecord> =
            (0..8).map(|n| record(&json!({"a": n & 1, "b": n & 2, "c": n & 4}), None)).collect();
        let reason = models(&three)[0].growth.clone().expect_err("three parameters");
        assert!(reason.starts_with("3 parameters vary"), "{reason}");
    }
}
