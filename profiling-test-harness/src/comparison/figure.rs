//! A figure of a case in two versions, and what its trials say.

use profiling_core::sample::Sample;
use profiling_core::statistics::comparison::{Comparison, Outcome, Pair, Verdict, noise_floor};
use profiling_core::statistics::median;

use super::ComparedMetric;
use super::counts::Counts;
use super::metric::Metric;
use super::pairing;
use super::statistic::Statistic;

/// With a p-value above this, trials are not gone on with for the sake of a mean or a percentile.
const SUSPICIOUS: f64 = 0.05;

/// What a figure is compared for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Trials go on until it is decided.
    Decides,
    /// Trials go on while it looks changed.
    Tail,
    /// The little CPU time of a job that waits is mostly that of waking up: nothing goes on for its sake, so that it
    /// says nothing to be undecided.
    Aside,
}

/// A figure of the case.
#[derive(Debug)]
pub(super) struct Figure {
    pub metric: Metric,
    pub statistic: Statistic,
    role: Role,
    pairs: Vec<pairing::Pair>,
    /// What the pairs so far say, or those that decided it; `None` where it was not measured.
    tested: Option<Tested>,
    verdict: Option<Verdict>,
}

/// A figure of both versions, and how they compare.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tested {
    pub metric: Metric,
    pub statistic: Statistic,
    pub figures: (f64, f64),
    pub comparison: Comparison,
    /// Of a mean or a percentile, how its proportion to the median compares.
    pub shape: Option<Comparison>,
}

impl Tested {
    /// From samples of either version; `None` where one lacks the figure.
    pub(crate) fn of_stored(metric: Metric, old: &[Sample], new: &[Sample]) -> Option<Self> {
        let figures = |samples: &[Sample]| samples.iter().map(|sample| metric.of(sample)).collect::<Option<Vec<u64>>>();
        let (old, new) = (figures(old)?, figures(new)?);
        let comparison = if metric.is_exact() {
            Comparison::of_stored_counts(&old, &new)
        } else {
            Comparison::of_stored(&old, &new)
        };
        let middle = |figures: &[u64]| median(figures.iter().map(|&figure| figure as f64).collect());
        Some(Self::new(metric, Statistic::P50, (middle(&old)?, middle(&new)?), comparison?))
    }

    /// `comparison`, but for what lies below the metric's resolution, and that of the statistic.
    pub(super) fn new(metric: Metric, statistic: Statistic, figures: (f64, f64), comparison: Comparison) -> Self {
        let least = if metric.is_time() { statistic.least_effect() } else { 0.0 };
        let noise = comparison.noise.max(metric.resolution() / figures.0.max(1.0)).max(least);
        Self { metric, statistic, figures, comparison: comparison.with_noise(noise), shape: None }
    }

    pub(crate) fn judged(self, verdict: Verdict) -> ComparedMetric {
        let Self { metric, statistic, figures, comparison, shape } = self;
        ComparedMetric { metric, statistic, figures, comparison, shape, verdict, revision: None }
    }

    /// Whether a mean or a percentile may have changed.
    fn is_suspicious(&self, verdict: &Verdict) -> bool {
        let Comparison { effect, low, high, p_value, .. } = self.comparison;
        let one_sided = low > 0.0 || high < 0.0;
        p_value <= SUSPICIOUS && one_sided && effect.ln_1p().abs() >= verdict.minimum_effect.ln_1p()
    }
}

impl Figure {
    pub(super) fn new(metric: Metric, statistic: Statistic, role: Role) -> Self {
        Self { metric, statistic, role, pairs: Vec::new(), tested: None, verdict: None }
    }

    pub(super) fn take(&mut self, pair: Option<pairing::Pair>) {
        // What one trial lacks, all do.
        self.pairs.extend(pair);
    }

    /// Takes account of all pairs, unless fewer have decided it. `counts`: of a metric that may repeat.
    pub(super) fn weigh(&mut self, counts: Option<&Counts>) {
        if !self.is_decided() {
            let repeated = counts.and_then(|counts| Some((counts.repeated()?, counts.trials())));
            self.tested = match (repeated, self.statistic) {
                (Some((means, trials)), Statistic::Mean) => self.test_repeated(means, trials),
                // Then the mean says all that there is.
                (Some(_), _) => None,
                (None, _) => self.test(),
            };
        }
    }

    fn test_repeated(&self, (old, new): (f64, f64), trials: usize) -> Option<Tested> {
        let comparison = Comparison::of_counts(&vec![Pair::new(old, new)?; trials])?;
        Some(Tested::new(self.metric, self.statistic, (old, new), comparison))
    }

    fn test(&self) -> Option<Tested> {
        // From next to nothing to next to nothing can be any ratio.
        let least = if self.metric.is_exact() { 0.0 } else { self.metric.resolution() };
        let pair = |pair: &pairing::Pair| Pair::new(pair.old.max(least), pair.new.max(least));
        let pairs: Vec<Pair> = self.pairs.iter().filter_map(pair).collect();
        let itself = |pair: &pairing::Pair| Pair::new(pair.old.max(1.0), pair.old.max(1.0) * pair.noise.exp());
        let itself: Vec<Pair> = self.pairs.iter().filter_map(itself).collect();
        let comparison =
            if self.metric.is_exact() { Comparison::of_counts(&pairs) } else { Comparison::of_pairs(&pairs) };
        let middle = |side: fn(&pairing::Pair) -> f64| median(self.pairs.iter().map(side).collect());
        let noise = noise_floor(&itself, pairs.len()).unwrap_or(0.0);
        let (comparison, old) = (comparison?, middle(|pair| pair.old)?);
        // Of a time, the median of one version may be that of quieter moments than the other's.
        let new = if self.metric.is_time() { old * (1.0 + comparison.effect) } else { middle(|pair| pair.new)? };
        let tested = Tested::new(self.metric, self.statistic, (old, new), comparison.with_noise(noise));
        Some(Tested { shape: self.shape(), ..tested })
    }

    fn shape(&self) -> Option<Comparison> {
        if self.statistic == Statistic::P50 || !self.metric.is_time() {
            return None;
        }
        let pairs: Vec<Pair> = self.pairs.iter().filter_map(|pair| Pair::new(pair.shape.0, pair.shape.1)).collect();
        Comparison::of_pairs(&pairs)
    }

    pub(super) fn comparison(&self) -> Option<Comparison> {
        self.tested.map(|tested| tested.comparison)
    }

    /// Takes the verdict on its comparison, unless an earlier one has decided it.
    pub(super) fn settle(&mut self, verdict: Verdict) {
        if !self.is_decided() {
            self.verdict = Some(verdict);
        }
    }

    fn is_decided(&self) -> bool {
        self.verdict.is_some_and(|verdict| verdict.outcome != Outcome::Undecided)
    }

    /// Whether nothing is gained by going on for its sake.
    pub(super) fn is_settled(&self) -> bool {
        let Some(tested) = &self.tested else { return true };
        let suspicious = || self.verdict.is_some_and(|verdict| tested.is_suspicious(&verdict));
        self.is_decided()
            || match self.role {
                Role::Decides => false,
                Role::Tail => !suspicious(),
                Role::Aside => true,
            }
    }

    /// What there is to say of it.
    pub(super) fn outcome(&self) -> Option<ComparedMetric> {
        let says = self.role != Role::Aside || self.is_decided();
        says.then(|| Some(self.tested?.judged(self.verdict?)))?
    }
}

#[cfg(test)]
mod tests {
    use profiling_core::statistics::comparison::{Rule, judge};

    use super::*;

    fn figure(metric: Metric, statistic: Statistic, role: Role, new: impl Fn(u32) -> f64) -> Figure {
        let mut figure = Figure::new(metric, statistic, role);
        for trial in 0..10 {
            let old = 1e6 + f64::from(trial);
            let noise = f64::from(trial % 2) * 0.001;
            figure.take(Some(pairing::Pair { old, new: new(trial), noise, shape: (1.0, new(trial) / old) }));
        }
        figure.weigh(None);
        let comparison = figure.comparison().expect("measured");
        figure.settle(judge(&[comparison], &Rule { level: 0.000_3, ..Rule::default() })[0]);
        figure
    }

    #[test]
    fn trials_go_on_for_a_tail_that_looks_longer() {
        let longer = |trial| 1.12e6 + f64::from(trial);
        let noisy = |trial| if trial % 2 == 0 { 0.9e6 } else { 1.15e6 };
        let settled = |role, new: &dyn Fn(u32) -> f64| {
            let figure = figure(Metric::Cpu, Statistic::Mean, role, new);
            assert_eq!(figure.verdict.map(|verdict| verdict.outcome), Some(Outcome::Undecided));
            figure.is_settled()
        };
        assert!(!settled(Role::Tail, &longer), "ten pairs are too few to be sure of it");
        assert!(settled(Role::Tail, &noisy));
        assert!(!settled(Role::Decides, &noisy));
        assert!(settled(Role::Aside, &longer));
    }

    #[test]
    fn a_percentile_has_to_differ_by_more_than_the_median() {
        let least = |statistic| {
            let same = figure(Metric::Cpu, statistic, Role::Decides, |trial| 1e6 + f64::from(9 - trial));
            same.verdict.map(|verdict| verdict.minimum_effect)
        };
        assert!(least(Statistic::P99).is_some_and(|least| least >= 0.1));
        assert!(least(Statistic::Mean).is_some_and(|least| least < 0.1));
    }

    #[test]
    fn what_was_set_aside_is_said_where_it_is_decided() {
        let noisy = |trial| if trial % 2 == 0 { 0.9e6 } else { 1.15e6 };
        assert!(figure(Metric::Cpu, Statistic::P50, Role::Aside, noisy).outcome().is_none());
        assert!(figure(Metric::Cpu, Statistic::P50, Role::Decides, noisy).outcome().is_some());
        let same = figure(Metric::Cpu, Statistic::P50, Role::Aside, |trial| 1e6 + f64::from(9 - trial));
        assert_eq!(same.outcome().map(|metric| metric.verdict.outcome), Some(Outcome::Unchanged));
    }

    #[test]
    fn counts_that_repeat_are_compared_by_their_mean_alone() {
        let mut counts = Counts::default();
        for _ in 0..10 {
            counts.take(0, [vec![100.0; 16], vec![100.0; 16], [vec![100.0; 15], vec![101.0]].concat()]);
        }
        let [mut mean, mut median] = [Statistic::Mean, Statistic::P50]
            .map(|statistic| Figure::new(Metric::Allocations, statistic, Role::Decides));
        mean.weigh(Some(&counts));
        median.weigh(Some(&counts));
        assert!(median.comparison().is_none() && median.is_settled());
        mean.settle(judge(&[mean.comparison().expect("counted")], &Rule::default())[0]);
        let judged = mean.outcome().expect("counted");
        assert_eq!((judged.verdict.outcome, judged.figures), (Outcome::Regressed, (100.0, 100.0625)));
    }
}
