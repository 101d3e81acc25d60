//! From a job's cases to its models.

use std::io;

use serde_json::Value;

use super::observations::Centred;
use super::{Metric, Model, Unidentifiable};
use crate::profile::{CaseProfile, Params};
use crate::sample::Column;
use crate::samples::{CaseSamples, SampledCase, sampled};
use crate::statistics::Summary;
use crate::statistics::select::ranked;
use crate::statistics::values::{Mapped, Values, key_of_positive};

const METRICS: [Metric; 5] =
    [Metric::WallNs, Metric::CpuNs, Metric::AllocatedBytes, Metric::PeakHeapBytes, Metric::PeakRssBytes];

impl Metric {
    fn column(self) -> Column {
        match self {
            Self::WallNs => Column::WallNs,
            Self::CpuNs => Column::CpuNs,
            Self::AllocatedBytes => Column::AllocatedBytes,
            Self::PeakHeapBytes => Column::PeakHeapBytes,
            Self::PeakRssBytes => Column::PeakRssBytes,
        }
    }

    fn summary(self, case: &CaseProfile) -> Option<&Summary> {
        let figures = &case.figures;
        match self {
            Self::WallNs => Some(&case.wall_ns),
            Self::CpuNs => figures.cpu_ns.as_ref(),
            Self::AllocatedBytes => figures.allocated_bytes.as_ref(),
            Self::PeakHeapBytes => figures.peak_heap_bytes.as_ref(),
            Self::PeakRssBytes => figures.peak_rss_bytes.as_ref(),
        }
    }
}

/// The models of one job, from its cases: for every combination of its string parameters, one per figure that was
/// measured. None for a job without a number that varies.
///
/// A case the samples of which were not kept, or not all of them, stands for itself by its median, its largest
/// figure, and the median distance from the median.
///
/// # Errors
///
/// Where samples can't be read.
pub fn models(cases: &[CaseProfile], samples: &[SampledCase<'_>]) -> io::Result<Vec<Model>> {
    let mut models = Vec::new();
    for group in groups(cases) {
        models.extend(group.models(samples)?);
    }
    Ok(models)
}

/// The cases that differ in numbers alone.
struct Group<'a> {
    texts: Params,
    cases: Vec<&'a CaseProfile>,
}

fn groups(cases: &[CaseProfile]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for case in cases {
        let texts = case.params.iter().filter(|(_, value)| !value.is_number());
        let texts: Params = texts.map(|(name, value)| (name.clone(), value.clone())).collect();
        match groups.iter_mut().find(|group| group.texts == texts) {
            Some(group) => group.cases.push(case),
            None => groups.push(Group { texts, cases: vec![case] }),
        }
    }
    groups
}

impl<'a> Group<'a> {
    /// The numbers that vary, in the order of the attribute.
    fn varying(&self) -> Vec<&'a str> {
        let Some((first, rest)) = self.cases.split_first() else { return Vec::new() };
        let varies = |name: &str, value: &Value| rest.iter().any(|case| case.params.get(name) != Some(value));
        let numbers = first.params.iter().filter(|(name, value)| value.is_number() && varies(name, value));
        numbers.map(|(name, _)| &**name).collect()
    }

    fn models(&self, samples: &[SampledCase<'_>]) -> io::Result<Vec<Model>> {
        let varying = self.varying();
        let Some(first) = self.cases.first().filter(|_| !varying.is_empty()) else { return Ok(Vec::new()) };
        let is_fixed = |name: &str| !varying.contains(&name);
        let fixed: Params = first
            .params
            .iter()
            .filter(|(name, _)| is_fixed(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let mut models = Vec::new();
        for metric in METRICS {
            let Some(levels) = self.levels(&varying, metric, samples)? else { continue };
            let model = match levels {
                Ok(levels) => Model::fit_centred(metric, &varying, &levels),
                Err(reason) => {
                    Model { metric, fixed: Params::new(), params: Vec::new(), growth: Err(reason.to_string()) }
                }
            };
            models.push(Model { fixed: fixed.clone(), ..model });
        }
        Ok(models)
    }

    /// `None` where a case lacks the figure.
    fn levels(
        &self,
        varying: &[&str],
        metric: Metric,
        samples: &[SampledCase<'_>],
    ) -> io::Result<Option<Result<Vec<Centred>, Unidentifiable>>> {
        let mut levels = Vec::with_capacity(self.cases.len());
        for &case in &self.cases {
            let Some(summary) = metric.summary(case) else { return Ok(None) };
            let at: Option<Vec<u64>> = varying.iter().map(|name| case.params.get(*name)?.as_u64()).collect();
            let all = sampled(samples, &case.params).filter(|samples| samples.len() == case.samples as usize);
            let level = match at {
                None => Err(Unidentifiable::NotANumber),
                Some(at) => Ok(match all {
                    Some(samples) => of_samples(at, samples, metric)?,
                    None => Some(of_summary(at, case, summary)),
                }),
            };
            match level {
                Ok(Some(level)) => levels.push(level),
                Ok(None) => return Ok(None),
                Err(reason) => return Ok(Some(Err(reason))),
            }
        }
        Ok(Some(Ok(levels)))
    }
}

fn of_samples(at: Vec<u64>, samples: &CaseSamples, metric: Metric) -> io::Result<Option<Centred>> {
    let Some(figures) = samples.column::<u64>(metric.column()) else { return Ok(None) };
    let count = figures.count();
    let found = ranked(&figures, &[(count - 1) / 2, count / 2, count - 1])?;
    let centre = middle(count, found[0] as f64, found[1] as f64);
    let distances = Mapped { values: &figures, map: |figure: u64| key_of_positive(figure as f64 - centre) };
    let off = ranked(&distances, &[(count - 1) / 2, count / 2])?;
    let distance = middle(count, f64::from_bits(off[0]), f64::from_bits(off[1]));
    Ok(Some(Centred { at, samples: count, centre, worst: found[2] as f64, distance }))
}

/// As [`median`](crate::statistics::median) has it.
fn middle(count: usize, lower: f64, upper: f64) -> f64 {
    if count % 2 == 1 { upper } else { f64::midpoint(lower, upper) }
}

fn of_summary(at: Vec<u64>, case: &CaseProfile, summary: &Summary) -> Centred {
    Centred {
        at,
        samples: case.samples.max(1) as usize,
        centre: summary.p50 as f64,
        worst: summary.max as f64,
        // An older release has not written it.
        distance: summary.mad.unwrap_or(summary.std_dev),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::profile::Circumstances;
    use crate::sample::Sample;

    /// A case with its samples.
    type Case = (CaseProfile, CaseSamples);

    fn case(params: &Value, samples: &[Sample]) -> Case {
        let params = params.as_object().expect("an object").clone();
        let profile = CaseProfile::of(params, samples, &Circumstances::default()).expect("samples");
        (profile, samples.into())
    }

    fn record(params: &Value, allocated_bytes: Option<u64>) -> Case {
        case(params, &[Sample { wall_ns: 1_000, allocated_bytes, ..Sample::default() }; 2])
    }

    fn models(cases: &[Case]) -> Vec<Model> {
        let samples: Vec<SampledCase<'_>> =
            cases.iter().map(|(case, samples)| SampledCase { params: &case.params, samples }).collect();
        super::models(&cases.iter().map(|(case, _)| case.clone()).collect::<Vec<_>>(), &samples).expect("in memory")
    }

    fn summary(cases: &[Case]) -> Vec<(Metric, String)> {
        models(cases).iter().map(|model| (model.metric, model.shape())).collect()
    }

    #[test]
    fn strings_and_numbers_that_stay_are_held_apart() {
        let bytes = |order: &str, n: u64| if order == "up" { 8 * n } else { n * n };
        let record = |order: &str, n: u64| record(&json!({"k": 3, "n": n, "order": order}), Some(bytes(order, n)));
        let samples: Vec<Case> = [10, 100, 1_000, 10_000, 100_000]
            .iter()
            .flat_map(|&n| ["up", "down"].map(|order| record(order, n)))
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
        let with: Vec<Case> = (1..=8).map(|n| record(&json!({"n": n}), Some(n))).collect();
        let without: Vec<Case> = (1..=8).map(|n| record(&json!({"n": n}), Some(n).filter(|&n| n != 4))).collect();
        let metrics = |samples: &[Case]| summary(samples).into_iter().map(|(metric, _)| metric).collect::<Vec<_>>();
        assert_eq!(metrics(&with), [Metric::WallNs, Metric::AllocatedBytes]);
        assert_eq!(metrics(&without), [Metric::WallNs]);
    }

    #[test]
    fn only_numbers_that_vary_make_models() {
        for params in [json!({}), json!({"n": 1}), json!({"order": "up"})] {
            assert_eq!(summary(&[record(&params, Some(1))]), []);
        }
    }

    #[test]
    fn says_why_there_is_none() {
        let negative: Vec<Case> = (-4..4).map(|n| record(&json!({"n": n}), None)).collect();
        let reason = models(&negative)[0].growth.clone().expect_err("a number below zero");
        assert!(reason.starts_with("a parameter is below zero"), "{reason}");
        let three: Vec<Case> = (0..8).map(|n| record(&json!({"a": n & 1, "b": n & 2, "c": n & 4}), None)).collect();
        let reason = models(&three)[0].growth.clone().expect_err("three parameters");
        assert!(reason.starts_with("3 parameters vary"), "{reason}");
    }

    #[test]
    fn samples_that_are_not_there_are_made_up_for() {
        let sample = |wall_ns| Sample { wall_ns, ..Sample::default() };
        let times = |n: u64| [999, 1_000, 1_001, 1_000, 1_900].map(|time| sample(time * n));
        let cases: Vec<Case> = [1, 2, 4, 8, 16, 32].iter().map(|&n| case(&json!({"n": n}), &times(n))).collect();
        let without: Vec<CaseProfile> = cases.iter().map(|(profile, _)| profile.clone()).collect();
        let (with, without) = (models(&cases), super::models(&without, &[]).expect("nothing is read"));
        assert_eq!((&with, with[0].shape().as_str()), (&without, "n"), "of an odd number, all that a model needs");
    }
}
