//! `<target>/profiling/comparison.json`: the last comparison of each package, for machines.

use std::fs;
use std::io;
use std::path::Path;

use profiling_core::profile::Params;
use profiling_core::statistics::comparison::Outcome;
use profiling_core::store::replace_file;
use serde::{Deserialize, Serialize};

use super::metric::Metric;
use super::statistic::Statistic;
use super::witness::Seconded;
use super::{Compared, ComparedCase};
use crate::plan::params;
use crate::report::CaseReport;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ComparisonFile {
    /// The baseline's name.
    pub baseline: String,
    pub comparisons: Vec<Entry>,
    /// Jobs that the baseline doesn't have.
    #[serde(default)]
    pub added: Vec<JobName>,
    /// Jobs that only the baseline has.
    #[serde(default)]
    pub removed: Vec<JobName>,
}

/// A job of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JobName {
    pub package: String,
    pub job: String,
}

/// One metric of one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub package: String,
    pub job: String,
    pub params: Params,
    pub metric: String,
    /// What of it: `p50`, `mean`, `p90`, `p95` or `p99`.
    #[serde(default = "typical")]
    pub statistic: String,
    pub outcome: Outcome,
    /// 0.05 is 5% more than the baseline. Absent where the baseline's figure was 0 and this one isn't.
    pub effect: Option<f64>,
    /// The lower end of the effect's interval.
    pub low: Option<f64>,
    /// The upper end of the effect's interval.
    pub high: Option<f64>,
    /// How many pairs of fresh worker processes it rests on; 0 where stored figures were compared.
    pub pairs: usize,
    /// The baseline's figure, in the metric's unit.
    pub old: f64,
    /// This run's.
    pub new: f64,
    /// The smallest effect that could have been seen.
    pub smallest_effect: Option<f64>,
    /// By how much it seems to have changed though an execution costs the same, where it is `unchanged` for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<f64>,
    /// What an execution costs, where CPU time was given a second opinion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// When, in RFC 3339: entries of jobs that the last run left out are of an earlier one.
    #[serde(default)]
    pub compared_at: String,
    /// `interleaved` or `stored`.
    pub method: String,
    /// Why a regression does not fail the run; absent where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advisory: Option<String>,
}

/// What an execution costs: instructions, and what misses and wrong predictions come to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// The baseline's.
    pub old: f64,
    /// This binary's.
    pub new: f64,
}

/// What entries of older files are about.
fn typical() -> String {
    Statistic::P50.name().to_owned()
}

impl Entry {
    /// An entry for each figure of a case.
    pub(crate) fn of<'a>(
        package: &'a str,
        case: &'a ComparedCase,
        compared: &'a Compared,
        reports: &'a [CaseReport],
        compared_at: &'a str,
    ) -> impl Iterator<Item = Self> + 'a {
        let measured = reports[case.report].case;
        let advisory = compared.advisory.as_ref().or(case.advisory.as_ref());
        let finite = |figure: f64| Some(figure).filter(|figure| figure.is_finite());
        let cost = match &case.seconded {
            Some(Seconded::Counted(costs)) => Some(Cost { old: costs.old, new: costs.new }),
            _ => None,
        };
        case.metrics.iter().map(move |metric| Self {
            package: package.to_owned(),
            job: measured.job.name.to_owned(),
            params: params(measured),
            metric: metric.metric.name().to_owned(),
            statistic: metric.statistic.name().to_owned(),
            outcome: metric.verdict.outcome,
            effect: finite(metric.comparison.effect),
            low: finite(metric.comparison.low),
            high: finite(metric.comparison.high),
            pairs: metric.pairs(&case.method),
            old: metric.figures.0,
            new: metric.figures.1,
            smallest_effect: finite(metric.verdict.smallest_detectable),
            moved: metric.moved(),
            cost: cost.filter(|_| metric.metric == Metric::Cpu),
            compared_at: compared_at.to_owned(),
            method: case.method.name().to_owned(),
            advisory: advisory.cloned(),
        })
    }
}

impl ComparisonFile {
    /// Adds what the file says of other packages, and of jobs that this run has not compared with the same
    /// baseline.
    pub(crate) fn complete_from(&mut self, path: &Path, package: &str, compared: &[&str]) {
        let text = fs::read(path).unwrap_or_default();
        let Ok(before) = serde_json::from_slice::<Self>(&text) else { return };
        if before.baseline != self.baseline {
            return;
        }
        let kept = |of: &str, job: &str| of != package || !compared.contains(&job);
        let comparisons = before.comparisons.into_iter().filter(|entry| kept(&entry.package, &entry.job));
        self.comparisons.extend(comparisons);
        self.comparisons.sort_by(|a, b| (&a.package, &a.job).cmp(&(&b.package, &b.job)));
        self.added.extend(before.added.into_iter().filter(|name| kept(&name.package, &name.job)));
        self.removed.extend(before.removed.into_iter().filter(|name| name.package != package));
    }

    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        replace_file(path, &json)
    }
}
