//! Whether a figure has changed between two versions of a job.
//!
//! Old and new workers are interleaved, and each [`Pair`] has the figure of one fresh worker of either: the
//! samples of one worker have too much in common. The effect is the median of the ratios of every new
//! figure and every old one (Hodges and Lehmann, "Estimates of Location Based on Rank Tests", 1963). Its
//! p-value is that of the rank-sum test with chance alone deciding which of a pair is old (Lam and
//! Longnecker, "A Modified Wilcoxon Rank Sum Test for Paired Data", 1983, but counted out), and its interval
//! has the changes which that test doesn't reject. If nothing has changed, either order of a pair is equally
//! likely, so both are exact for 6 pairs as for 40, whatever the noise looks like, and whatever the workers of
//! a pair have in common. Ranks bound what a disturbed worker can do: where one in ten is, the signed-rank
//! test finds 5% in 7 of 10 cases where this one misses 1 in 100.
//!
//! ```
//! use profiling_core::statistics::comparison::{Comparison, Outcome, Pair, Rule, judge};
//!
//! let pairs: Vec<Pair> = (0..10).filter_map(|at| Pair::new(1000.0 + f64::from(at), 1100.0)).collect();
//! let comparison = Comparison::of_pairs(&pairs).expect("there are pairs");
//! assert!((comparison.effect - 0.095).abs() < 0.001);
//! assert_eq!(judge(&[comparison], &Rule::default())[0].outcome, Outcome::Regressed);
//! ```

mod false_discovery;
mod pairs;
mod plan;
mod rank_sum;
mod second_opinion;
#[cfg(test)]
mod simulation;

use serde::{Deserialize, Serialize};

use super::percentile::Percentile;
use super::{NOTHING, logarithm, normal};

pub use false_discovery::benjamini_hochberg;
pub use plan::{Look, Plan};
pub use second_opinion::{Costs, Events, Opinion, Reach, changed_of_itself, unseconded};

/// What an interval may miss on either side.
const TAIL: f64 = 0.025;
/// So many values have to be equal, of either version, before a figure is taken to repeat.
const REPEATS: usize = 5;
/// With fewer pairs there is no 95% interval.
const FEWEST: usize = 6;

/// A figure of one fresh worker of each version.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    old: f64,
    new: f64,
}

impl Pair {
    /// Of the old version and of the new one, in the same unit; `None` unless both are finite and at least 0.
    ///
    /// The figures themselves are wanted, no ratio beside a constant: chance has to be as likely to have given
    /// either to the old version.
    #[must_use]
    pub fn new(old: f64, new: f64) -> Option<Self> {
        let valid = |figure: f64| figure.is_finite() && figure >= 0.0;
        // No -0.0, which would be another value than 0.0 where counts are compared exactly.
        (valid(old) && valid(new)).then(|| Self { old: old.abs(), new: new.abs() })
    }
}

/// What became of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is smaller, for sure and by enough.
    Improved,
    /// If it has changed, by less than the minimum effect.
    Unchanged,
    /// It is larger, for sure and by enough.
    Regressed,
    /// The noise leaves room for a change that matters, and for none.
    Undecided,
}

/// What a comparison rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Counts that repeat.
    Exact,
    /// Pairs of fresh workers.
    Pairs,
    /// Samples of one worker each, that ran at different times.
    Stored,
}

/// What the figures of one job show, before it is judged among others.
///
/// Effects are shares of the old figure: 0.05 is 5% more. From nothing to something is infinite, which JSON
/// has as `null`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Comparison {
    /// What the comparison rests on.
    pub basis: Basis,
    /// The effect.
    pub effect: f64,
    /// The lower end of its 95% interval; −1 where there are too few pairs for one.
    pub low: f64,
    /// The upper end of its 95% interval; infinite where there are too few pairs for one.
    pub high: f64,
    /// How likely such figures are if nothing has changed. Not adjusted for other comparisons.
    pub p_value: f64,
    /// The number of pairs; of stored samples, that of the version with fewer.
    pub pairs: usize,
    /// The effect that identical code shows on this machine: [`noise_floor`]. 0 where it was not measured.
    pub noise: f64,
}

impl Comparison {
    /// Compares a figure that is a little different every time, by pairs; `None` without any.
    #[must_use]
    pub fn of_pairs(pairs: &[Pair]) -> Option<Self> {
        if pairs.is_empty() {
            return None;
        }
        let logarithms = logarithms(pairs);
        let shift = pairs::shift(&logarithms, TAIL);
        Some(Self {
            basis: Basis::Pairs,
            effect: share(shift.centre),
            low: share(shift.low),
            high: share(shift.high),
            p_value: pairs::p_value(&logarithms),
            pairs: pairs.len(),
            noise: 0.0,
        })
    }

    /// Compares a count, such as that of allocations: exactly, if there are at least five pairs, and the
    /// count is the same in all workers of the old version and the same in all of the new one; else as
    /// [`of_pairs`](Self::of_pairs) does.
    #[must_use]
    pub fn of_counts(pairs: &[Pair]) -> Option<Self> {
        let old: Vec<f64> = pairs.iter().map(|pair| pair.old).collect();
        let new: Vec<f64> = pairs.iter().map(|pair| pair.new).collect();
        Self::exact(&old, &new).or_else(|| Self::of_pairs(pairs))
    }

    /// Compares samples of one worker of each version, which ran at different times: by the ratio of the
    /// medians, with an interval from those of both medians (it is a little wide), and by Mann and Whitney's
    /// test. `None` without samples.
    ///
    /// Neither the interval nor the p-value knows what sets one worker apart from the next, so
    /// [`STORED_MINIMUM_EFFECT`] applies.
    #[must_use]
    pub fn of_stored(old: &[u64], new: &[u64]) -> Option<Self> {
        let [old, new] = [old, new].map(as_sorted_floats);
        let (from, to) = (Percentile::P50.of(&old)?, Percentile::P50.of(&new)?);
        let (low, high) = match (Percentile::P50.interval(&old), Percentile::P50.interval(&new)) {
            (Some(from), Some(to)) => {
                (logarithm(to.low) - logarithm(from.high), logarithm(to.high) - logarithm(from.low))
            }
            _ => (f64::NEG_INFINITY, f64::INFINITY),
        };
        Some(Self {
            basis: Basis::Stored,
            effect: share(logarithm(to) - logarithm(from)),
            low: share(low),
            high: share(high),
            p_value: rank_sum::p_value(&old, &new),
            pairs: old.len().min(new.len()),
            noise: 0.0,
        })
    }

    /// Compares samples of a count: exactly, if it repeats in either version as [`of_counts`](Self::of_counts)
    /// demands; else as [`of_stored`](Self::of_stored) does.
    #[must_use]
    pub fn of_stored_counts(old: &[u64], new: &[u64]) -> Option<Self> {
        Self::exact(&as_sorted_floats(old), &as_sorted_floats(new)).or_else(|| Self::of_stored(old, new))
    }

    /// With the effect that identical code shows on this machine.
    #[must_use]
    pub fn with_noise(self, noise: f64) -> Self {
        Self { noise, ..self }
    }

    fn exact(old: &[f64], new: &[f64]) -> Option<Self> {
        let (from, to) = (repeated(old)?, repeated(new)?);
        let effect = share(logarithm(to) - logarithm(from));
        let p_value = if from.total_cmp(&to).is_eq() { 1.0 } else { 0.0 };
        let pairs = old.len().min(new.len());
        Some(Self { basis: Basis::Exact, effect, low: effect, high: effect, p_value, pairs, noise: 0.0 })
    }

    fn verdict(&self, adjusted_p: f64, family: usize, rule: &Rule) -> Verdict {
        let matters = self.matters(rule);
        let minimum_effect = if self.basis == Basis::Exact { matters } else { matters.max(self.noise) };
        Verdict {
            outcome: self.outcome(adjusted_p <= rule.level, minimum_effect, matters),
            adjusted_p,
            minimum_effect,
            smallest_detectable: self.smallest_detectable(rule.level / family.max(1) as f64, minimum_effect),
        }
    }

    /// The smallest effect that matters.
    fn matters(&self, rule: &Rule) -> f64 {
        match self.basis {
            Basis::Exact => 0.0,
            Basis::Pairs => rule.minimum_effect,
            Basis::Stored => rule.minimum_effect.max(STORED_MINIMUM_EFFECT),
        }
    }

    /// A fall counts like the rise that makes up for it, so that old and new can change places. That noise
    /// hides an effect doesn't make it one that doesn't matter.
    fn outcome(&self, significant: bool, minimum_effect: f64, matters: f64) -> Outcome {
        let [least, matters] = [minimum_effect, matters].map(f64::ln_1p);
        let [effect, low, high] = [self.effect, self.low, self.high].map(f64::ln_1p);
        if significant && low > 0.0 && effect >= least {
            Outcome::Regressed
        } else if significant && high < 0.0 && effect <= -least {
            Outcome::Improved
        } else if -matters <= low && high <= matters {
            Outcome::Unchanged
        } else {
            Outcome::Undecided
        }
    }

    /// The test has to reject at its level, and the effect to reach the minimum, 95 times of 100.
    fn smallest_detectable(&self, level: f64, minimum_effect: f64) -> f64 {
        if self.basis == Basis::Exact {
            return 0.0;
        }
        if self.basis == Basis::Pairs && level < pairs::least_p_value(self.pairs) {
            return f64::INFINITY;
        }
        let error = (self.high.ln_1p() - self.low.ln_1p()) / 2.0 / normal::exceeded_with(TAIL);
        let found = normal::exceeded_with(level / 2.0) * error;
        share(found.max(minimum_effect.ln_1p()) + normal::exceeded_with(0.05) * error)
    }
}

/// The least effect that a comparison of stored samples can decide: 15%. Workers differ from each other by
/// several per cent without any change of code, and one that something disturbed by more; here there is one
/// of either version, and nothing tells what it was.
pub const STORED_MINIMUM_EFFECT: f64 = 0.15;

/// When a difference is called one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// The share of false ones among the differences that are found: [`Look::level`].
    pub level: f64,
    /// The smallest effect that matters, as a share: 0.02 is 2%.
    pub minimum_effect: f64,
}

impl Default for Rule {
    /// 5% and 2%.
    fn default() -> Self {
        Self { level: 0.05, minimum_effect: 0.02 }
    }
}

/// What a comparison comes to among others. Effects are shares, as in [`Comparison`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Verdict {
    /// What became of the figure.
    pub outcome: Outcome,
    /// The p-value, adjusted for the number of comparisons.
    pub adjusted_p: f64,
    /// The smallest effect that was called one: that of the rule, of the machine's noise, or of stored
    /// samples, whichever is largest. 0 for counts that repeat.
    pub minimum_effect: f64,
    /// The smallest rise that this noise and this number of pairs would have let us call one in 95 of 100
    /// cases, with no other difference anywhere. 0 for counts that repeat; infinite with too few pairs.
    pub smallest_detectable: f64,
}

/// Judges all comparisons of a run together, in their order: those of every job and figure belong here,
/// those that an earlier look has decided too.
///
/// A figure has regressed if its p-value, after [`benjamini_hochberg`], is at most the level, its interval
/// lies above 0, and the effect is at least the minimum; it has improved in the same way. It is unchanged
/// if its interval lies within the rule's minimum effect, either way. All else is undecided. Counts that repeat
/// are decided by any difference, and don't make the others less certain.
#[must_use]
pub fn judge(comparisons: &[Comparison], rule: &Rule) -> Vec<Verdict> {
    let tested: Vec<f64> = tested(comparisons).map(|comparison| comparison.p_value).collect();
    let mut adjusted = benjamini_hochberg(&tested).into_iter();
    let verdicts = comparisons.iter().map(|comparison| {
        let exact = comparison.basis == Basis::Exact;
        let adjusted_p = if exact { None } else { adjusted.next() };
        comparison.verdict(adjusted_p.unwrap_or(comparison.p_value), tested.len(), rule)
    });
    verdicts.collect()
}

fn tested(comparisons: &[Comparison]) -> impl Iterator<Item = &Comparison> {
    comparisons.iter().filter(|comparison| comparison.basis != Basis::Exact)
}

/// The effect that identical code shows on this machine, in 95 of 100 comparisons of so many pairs, from
/// pairs of the baseline with itself; `None` with fewer than six of those.
///
/// It is reckoned from the middle half of the noise, which a few disturbed workers don't change. If the
/// effect of these pairs is not 0 for sure, something sets the first of a pair apart from the second: then
/// it is that effect, if larger.
#[must_use]
pub fn noise_floor(baseline_with_itself: &[Pair], pairs: usize) -> Option<f64> {
    if baseline_with_itself.len() < FEWEST {
        return None;
    }
    let logarithms = logarithms(baseline_with_itself);
    let [middle, whole] = [0.25, TAIL].map(|tail| pairs::shift(&logarithms, tail));
    let error = (middle.high - middle.low) / 2.0 / normal::exceeded_with(0.25);
    let more_pairs = (logarithms.len() as f64 / pairs.max(1) as f64).sqrt();
    let excluded = whole.low > 0.0 || whole.high < 0.0;
    let lopsided = if excluded { whole.centre.abs() } else { 0.0 };
    Some(share(lopsided.max(normal::exceeded_with(TAIL) * error * more_pairs)))
}

/// The value that all have, if they are enough to say that it repeats.
fn repeated(values: &[f64]) -> Option<f64> {
    let first = *values.first()?;
    (values.len() >= REPEATS && values.iter().all(|value| value.total_cmp(&first).is_eq())).then_some(first)
}

fn logarithms(pairs: &[Pair]) -> Vec<(f64, f64)> {
    pairs.iter().map(|pair| (logarithm(pair.old), logarithm(pair.new))).collect()
}

/// The share by which a figure changes if its logarithm changes by this. What comes from 0 is infinite.
fn share(change: f64) -> f64 {
    if change > -NOTHING / 2.0 { f64::INFINITY } else { change.exp_m1() }
}

fn as_sorted_floats(samples: &[u64]) -> Vec<f64> {
    let mut samples: Vec<f64> = samples.iter().map(|&sample| sample as f64).collect();
    samples.sort_unstable_by(f64::total_cmp);
    samples
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(old: &[f64], new: &[f64]) -> Vec<Pair> {
        old.iter().zip(new).map(|(&old, &new)| Pair::new(old, new).expect("figures")).collect()
    }

    fn outcome(comparison: Option<Comparison>) -> Outcome {
        judge(&[comparison.expect("there are figures")], &Rule::default())[0].outcome
    }

    #[test]
    fn one_allocation_more_is_a_regression() {
        let comparison = Comparison::of_counts(&pairs(&[100_000.0; 10], &[100_001.0; 10])).expect("pairs");
        assert_eq!((comparison.basis, outcome(Some(comparison))), (Basis::Exact, Outcome::Regressed));
        assert!((comparison.effect - 1e-5).abs() < 1e-9);
        assert_eq!(outcome(Comparison::of_stored_counts(&[7; 10], &[8; 10])), Outcome::Regressed);
        assert_eq!(outcome(Comparison::of_stored_counts(&[8; 10], &[7; 10])), Outcome::Improved);
        assert_eq!(outcome(Comparison::of_counts(&pairs(&[7.0; 10], &[7.0; 10]))), Outcome::Unchanged);
    }

    #[test]
    fn counts_among_noisy_figures_are_still_decided() {
        let noisy = Comparison::of_pairs(&pairs(&[1.0, 2.0, 3.0], &[2.0, 1.0, 3.0])).expect("pairs");
        let mut all = vec![noisy; 100];
        all.push(Comparison::of_counts(&pairs(&[7.0; 10], &[8.0; 10])).expect("pairs"));
        let verdicts = judge(&all, &Rule::default());
        assert_eq!(verdicts[100].outcome, Outcome::Regressed);
        assert!(verdicts[100].smallest_detectable.abs() < f64::EPSILON);
        assert!(verdicts[..100].iter().all(|verdict| verdict.outcome == Outcome::Undecided));
        assert!(verdicts[0].smallest_detectable.is_infinite());
    }

    #[test]
    fn from_nothing_to_something_is_infinite() {
        let appeared = Comparison::of_counts(&pairs(&[0.0; 10], &[3.0; 10]));
        assert_eq!(outcome(appeared), Outcome::Regressed);
        let json = serde_json::to_value(appeared).expect("serialises");
        assert_eq!((&json["effect"], &json["basis"]), (&serde_json::Value::Null, &"exact".into()));
        let gone = Comparison::of_counts(&pairs(&[3.0; 10], &[0.0; 10])).expect("pairs");
        assert!((gone.effect + 1.0).abs() < f64::EPSILON);
        assert_eq!(outcome(Some(gone)), Outcome::Improved);
        assert_eq!(outcome(Comparison::of_counts(&pairs(&[0.0; 10], &[0.0; 10]))), Outcome::Unchanged);
        assert_eq!(outcome(Comparison::of_pairs(&pairs(&[0.0; 10], &[0.0; 10]))), Outcome::Unchanged);
    }

    #[test]
    fn ticks_that_are_sometimes_0_decide_nothing() {
        let old = [0.0, 1e7, 0.0, 1e7, 0.0, 1e7, 1e7, 0.0, 1e7, 0.0];
        let new = [1e7, 0.0, 0.0, 1e7, 1e7, 0.0, 1e7, 1e7, 0.0, 0.0];
        let comparison = Comparison::of_pairs(&pairs(&old, &new)).expect("pairs");
        assert!(comparison.effect.abs() < f64::EPSILON, "{comparison:?}");
        assert_eq!(outcome(Some(comparison)), Outcome::Undecided);
    }

    #[test]
    fn too_few_pairs_are_undecided() {
        let comparison = Comparison::of_pairs(&pairs(&[1.0; 5], &[2.0; 5]));
        assert_eq!(outcome(comparison), Outcome::Undecided);
        assert!(comparison.is_some_and(|comparison| comparison.high.is_infinite() && comparison.low <= -1.0));
        assert_eq!(Comparison::of_pairs(&[]), None);
        assert_eq!(Comparison::of_counts(&[]), None);
        assert_eq!(Comparison::of_stored_counts(&[], &[1]), None);
        assert_eq!(outcome(Comparison::of_stored(&[1; 3], &[2; 3])), Outcome::Undecided);
    }

    #[test]
    fn a_change_below_the_minimum_is_none() {
        let old: Vec<f64> = (0..20).map(|at| 1000.0 + f64::from(at)).collect();
        let new: Vec<f64> = old.iter().map(|figure| figure * 1.01).collect();
        assert_eq!(outcome(Comparison::of_pairs(&pairs(&old, &new))), Outcome::Unchanged);
        let sharper = Rule { minimum_effect: 0.005, ..Rule::default() };
        let comparison = Comparison::of_pairs(&pairs(&old, &new)).expect("pairs");
        assert_eq!(judge(&[comparison], &sharper)[0].outcome, Outcome::Regressed);
        let noisy = judge(&[comparison.with_noise(0.03)], &sharper)[0];
        assert_eq!((noisy.outcome, noisy.minimum_effect), (Outcome::Undecided, 0.03));
    }

    #[test]
    fn stored_samples_need_a_larger_effect() {
        let samples = |from: u64| (from..from + 20).collect::<Vec<u64>>();
        assert_eq!(outcome(Comparison::of_stored(&samples(1000), &samples(1120))), Outcome::Unchanged);
        assert_eq!(outcome(Comparison::of_stored(&samples(1000), &samples(1150))), Outcome::Undecided);
        assert_eq!(outcome(Comparison::of_stored(&samples(1000), &samples(1200))), Outcome::Regressed);
        assert_eq!(outcome(Comparison::of_stored(&samples(1200), &samples(1000))), Outcome::Improved);
        assert_eq!(outcome(Comparison::of_stored(&samples(1000), &samples(1005))), Outcome::Unchanged);
    }

    #[test]
    fn figures_that_are_none_make_no_pair() {
        assert_eq!(Pair::new(f64::NAN, 1.0), None);
        assert_eq!(Pair::new(1.0, f64::INFINITY), None);
        assert_eq!(Pair::new(-1.0, 1.0), None);
        assert!(Pair::new(-0.0, 0.0).is_some_and(|pair| pair.old.is_sign_positive()));
    }

    #[test]
    fn the_noise_floor_shrinks_with_the_pairs() {
        let noisy: Vec<Pair> =
            (0..16).filter_map(|at| Pair::new(1000.0, 950.0 + f64::from(at % 8) * 100.0 / 7.0)).collect();
        let [few, many] = [4, 16].map(|pairs| noise_floor(&noisy, pairs).expect("enough").ln_1p());
        assert!((few / many - 2.0).abs() < 1e-9 && many > 0.01 && many < 0.04, "{few} {many}");
        assert_eq!(noise_floor(&noisy[..5], 10), None);
        let lopsided = pairs(&[100.0; 10], &[104.0; 10]);
        assert!((noise_floor(&lopsided, 30).expect("enough") - 0.04).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn old_and_new_can_change_places(
            figures in prop::collection::vec((0_u32..1000, 0_u32..1000), 1..40)
        ) {
            let (old, new): (Vec<f64>, Vec<f64>) = figures.into_iter().map(|(old, new)| (f64::from(old), f64::from(new))).unzip();
            let swapped = |outcome| match outcome {
                Outcome::Improved => Outcome::Regressed,
                Outcome::Regressed => Outcome::Improved,
                same => same,
            };
            let there = outcome(Comparison::of_counts(&pairs(&old, &new)));
            prop_assert_eq!(there, swapped(outcome(Comparison::of_counts(&pairs(&new, &old)))));
        }
    }
}
