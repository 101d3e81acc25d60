//! Percentiles of samples, and how sure they are.

use std::io;

use serde::{Deserialize, Serialize, Serializer};

use super::select::ranked;
use super::values::Values;

/// What an interval covers, at least.
const CONFIDENCE: f64 = 0.95;
/// An interval that covers more is too wide to be called one of 95%.
const TOO_SURE: f64 = 0.99;
/// How far a sum of probabilities may be off.
const ROUNDING: f64 = 1e-12;
/// Probabilities below this share of the largest one don't count.
const NEGLIGIBLE: f64 = 1e-17;

/// A percentile that a [`Summary`](super::Summary) has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Percentile {
    /// The median.
    P50,
    /// The 90th.
    P90,
    /// The 95th.
    P95,
    /// The 99th.
    P99,
    /// The 99.9th.
    P999,
}

/// Two values that contain an unknown one with a confidence of 95%; `[low, high]` in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(from = "[T; 2]")]
pub struct Interval<T = u64> {
    /// The lower end.
    pub low: T,
    /// The upper end.
    pub high: T,
}

impl<T: Serialize> Serialize for Interval<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [&self.low, &self.high].serialize(serializer)
    }
}

impl<T> From<[T; 2]> for Interval<T> {
    fn from([low, high]: [T; 2]) -> Self {
        Self { low, high }
    }
}

impl<T> From<Interval<T>> for [T; 2] {
    fn from(Interval { low, high }: Interval<T>) -> Self {
        [low, high]
    }
}

impl Percentile {
    /// All of them, the smallest first.
    pub const ALL: [Self; 5] = [Self::P50, Self::P90, Self::P95, Self::P99, Self::P999];

    /// Its name in profiles.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::P999 => "p999",
        }
    }

    /// The share of values below it, in thousandths.
    #[must_use]
    pub fn permille(self) -> usize {
        match self {
            Self::P50 => 500,
            Self::P90 => 900,
            Self::P95 => 950,
            Self::P99 => 990,
            Self::P999 => 999,
        }
    }

    /// The fewest samples that support it, which is when two of them are a 95% interval of it: with fewer,
    /// the true percentile lies above the largest sample in more than 5 of 100 runs.
    ///
    /// ```
    /// use profiling_core::statistics::Percentile;
    ///
    /// let fewest = Percentile::ALL.map(Percentile::fewest_samples);
    /// assert_eq!(fewest, [6, 29, 59, 299, 2995]);
    /// ```
    #[must_use]
    pub fn fewest_samples(self) -> usize {
        match self {
            Self::P50 => 6,
            Self::P90 => 29,
            Self::P95 => 59,
            Self::P99 => 299,
            Self::P999 => 2995,
        }
    }

    /// Those that so many samples don't support.
    #[must_use]
    pub fn unsupported_by(samples: usize) -> Vec<Self> {
        Self::ALL.into_iter().filter(|percentile| samples < percentile.fewest_samples()).collect()
    }

    /// The percentile of sorted samples by the nearest rank; `None` without samples.
    #[must_use]
    pub fn of<T: Copy>(self, sorted: &[T]) -> Option<T> {
        sorted.get(self.rank(sorted.len())).copied()
    }

    /// Where it is among so many sorted samples, counted from 0.
    pub(crate) fn rank(self, samples: usize) -> usize {
        (samples * self.permille()).div_ceil(1000).saturating_sub(1)
    }

    /// The interval of sorted samples; `None` where they don't support the percentile.
    ///
    /// Both ends are samples, whatever distribution they are from: the number of samples below a percentile
    /// is binomial (David and Nagaraja, "Order Statistics", 2003, section 7.1). Of all pairs of ranks with
    /// at least 95%, these are the closest to each other. Equal samples make an interval cover more.
    ///
    /// ```
    /// use profiling_core::statistics::Percentile;
    ///
    /// let sorted = [11, 12, 13, 14, 15, 16, 17, 18, 19, 30];
    /// assert_eq!(Percentile::P50.interval(&sorted).map(<[i32; 2]>::from), Some([12, 19]));
    /// assert_eq!(Percentile::P95.interval(&sorted), None);
    /// ```
    #[must_use]
    pub fn interval<T: Copy>(self, sorted: &[T]) -> Option<Interval<T>> {
        Some(self.ranks(sorted.len())?.of(|rank| sorted[rank]))
    }

    /// The largest of the sorted samples that the percentile is not below, with a confidence of 95% in this
    /// end alone. Asking for one end, it takes fewer samples than an [`interval`](Self::interval); `None`
    /// where there are too few, [`fewest_from_below`](Self::fewest_from_below).
    ///
    /// ```
    /// use profiling_core::statistics::Percentile;
    ///
    /// let sorted = [11, 12, 13, 14, 15, 16, 17, 18, 19, 30];
    /// assert_eq!(Percentile::P50.at_least(&sorted), Some(12));
    /// assert_eq!(Percentile::P95.at_least(&sorted), Some(18));
    /// ```
    #[must_use]
    pub fn at_least<T: Copy>(self, sorted: &[T]) -> Option<T> {
        sorted.get(self.rank_at_least(sorted.len())?).copied()
    }

    /// Where it is among so many sorted samples, counted from 0.
    pub(crate) fn rank_at_least(self, samples: usize) -> Option<usize> {
        // The sample of a rank is not above the percentile where so many samples aren't.
        let below = self.binomial(samples);
        let mut covered = 0.0;
        let rank = (below.first..=below.last()).rev().find(|&rank| {
            covered += below.probability(rank);
            covered >= CONFIDENCE - ROUNDING
        })?;
        rank.checked_sub(1)
    }

    /// The smallest of the sorted samples that the percentile is not above, with a confidence of 95% in this
    /// end alone; `None` where there are too few.
    #[must_use]
    pub fn at_most<T: Copy>(self, sorted: &[T]) -> Option<T> {
        sorted.get(self.rank_at_most(sorted.len())?).copied()
    }

    /// Where it is among so many sorted samples, counted from 0; `None` where there are too few.
    pub(crate) fn rank_at_most(self, samples: usize) -> Option<usize> {
        let below = self.binomial(samples);
        let mut covered = 0.0;
        let rank = (below.first..=below.last()).find(|&rank| {
            covered += below.probability(rank);
            covered >= CONFIDENCE - ROUNDING
        });
        rank.filter(|&rank| rank < samples)
    }

    /// The fewest samples for which [`at_least`](Self::at_least) has an answer.
    #[must_use]
    pub fn fewest_from_below(self) -> usize {
        match self {
            Self::P50 => 5,
            Self::P90 => 2,
            Self::P95 | Self::P99 | Self::P999 => 1,
        }
    }

    /// The interval, and the percentile itself, of values of which there may be more than fit into memory; `None`
    /// where they don't support it.
    pub(crate) fn with_interval(self, values: &dyn Values<u64>) -> io::Result<Option<(Interval, u64)>> {
        let Some(ranks) = self.ranks(values.count()) else { return Ok(None) };
        let [low, high] = ranks.ends();
        let found = ranked(values, &[low, high, self.rank(values.count())])?;
        Ok(Some((Interval { low: found[0], high: found[1] }, found[2])))
    }

    fn binomial(self, samples: usize) -> Binomial {
        Binomial::new(samples, self.permille() as f64 / 1000.0)
    }

    /// Where the interval's ends lie among so many samples.
    pub(super) fn ranks(self, samples: usize) -> Option<Ranks> {
        if samples < self.fewest_samples() {
            return None;
        }
        let (ranks, covered) = narrowest(samples, self.permille() as f64 / 1000.0)?;
        (covered <= TOO_SURE).then_some(ranks)
    }
}

/// The ends of an interval among sorted samples, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ranks {
    low: usize,
    high: usize,
}

impl Ranks {
    /// The interval, where the sample of each rank is known.
    pub(super) fn of<T: Copy>(self, sample: impl Fn(usize) -> T) -> Interval<T> {
        Interval { low: sample(self.low), high: sample(self.high) }
    }

    pub(super) fn ends(self) -> [usize; 2] {
        [self.low, self.high]
    }
}

/// The closest ranks that have the value above this share of the distribution between them with at least
/// 95%, and how likely they do.
fn narrowest(samples: usize, share: f64) -> Option<(Ranks, f64)> {
    let below = Binomial::new(samples, share);
    // The value is between two samples if 1 to `samples` - 1 of them are below it.
    let (least, most) = (below.first.max(1), below.last().min(samples - 1));
    let mut low = below.likeliest.clamp(least, most);
    let (mut high, mut covered) = (low, below.probability(low));
    while covered < CONFIDENCE {
        let down = if low > least { below.probability(low - 1) } else { 0.0 };
        let up = if high < most { below.probability(high + 1) } else { 0.0 };
        if down > up {
            low -= 1;
        } else if up > 0.0 {
            high += 1;
        } else {
            return None;
        }
        covered += down.max(up);
    }
    Some((Ranks { low: low - 1, high }, covered))
}

/// How likely each number of successes is, as far as it is likely at all.
struct Binomial {
    first: usize,
    likeliest: usize,
    probabilities: Vec<f64>,
}

impl Binomial {
    /// From the likeliest number outwards, so that no probability on the way is too small for a float.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and at most `trials`")]
    fn new(trials: usize, share: f64) -> Self {
        let likeliest = ((trials + 1) as f64 * share) as usize;
        let odds = share / (1.0 - share);
        let up = |at: usize| (trials - at) as f64 / (at + 1) as f64 * odds;
        let more = (likeliest..trials).scan(1.0, |weight, at| next(weight, up(at)));
        let fewer = (0..likeliest).rev().scan(1.0, |weight, at| next(weight, 1.0 / up(at)));
        let mut probabilities: Vec<f64> = fewer.collect();
        let first = likeliest - probabilities.len();
        probabilities.reverse();
        probabilities.push(1.0);
        probabilities.extend(more);
        let sum: f64 = probabilities.iter().sum();
        for probability in &mut probabilities {
            *probability /= sum;
        }
        Self { first, likeliest, probabilities }
    }

    fn last(&self) -> usize {
        self.first + self.probabilities.len() - 1
    }

    fn probability(&self, successes: usize) -> f64 {
        self.probabilities[successes - self.first]
    }
}

/// The next weight, while it counts.
fn next(weight: &mut f64, ratio: f64) -> Option<f64> {
    *weight *= ratio;
    (*weight > NEGLIGIBLE).then_some(*weight)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use fastrand::Rng;
    use proptest::prelude::*;

    use super::super::normal;
    use super::*;

    #[test]
    fn every_supported_interval_covers_from_95_to_99_percent() {
        for percentile in Percentile::ALL {
            let share = percentile.permille() as f64 / 1000.0;
            for samples in 2..=3500 {
                let covered = narrowest(samples, share).map(|(_, covered)| covered);
                let supported = samples >= percentile.fewest_samples();
                assert_eq!(covered.is_some(), supported, "{percentile:?} of {samples}");
                assert_eq!(percentile.ranks(samples).is_some(), supported, "{percentile:?} of {samples}: {covered:?}");
            }
        }
    }

    /// A random value, and the truth for a share.
    type Distribution = (fn(&mut Rng) -> f64, fn(f64) -> f64);

    fn random_normal(random: &mut Rng) -> f64 {
        (-2.0 * (1.0 - random.f64()).ln()).sqrt() * (TAU * random.f64()).cos()
    }

    fn normal_percentile(share: f64) -> f64 {
        normal::exceeded_with(1.0 - share)
    }

    /// Two in three values are about 0, the others about 10, which no percentile is between.
    fn bimodal_percentile(share: f64) -> f64 {
        if share < 2.0 / 3.0 { normal_percentile(1.5 * share) } else { 10.0 + normal_percentile(3.0 * share - 2.0) }
    }

    const DISTRIBUTIONS: [Distribution; 4] = [
        (random_normal, normal_percentile),
        (|random| random_normal(random).exp(), |share| normal_percentile(share).exp()),
        (|random| random_normal(random) + if random.f64() < 2.0 / 3.0 { 0.0 } else { 10.0 }, bimodal_percentile),
        // Pareto's, with an infinite variance.
        (|random| (1.0 - random.f64()).powf(-1.0 / 1.5), |share| (1.0 - share).powf(-1.0 / 1.5)),
    ];

    #[test]
    fn intervals_cover_the_percentile_of_any_distribution() {
        let mut random = Rng::with_seed(1);
        for (draw, truth) in DISTRIBUTIONS {
            for samples in [6, 10, 60, 300] {
                let mut covered = [0; Percentile::ALL.len()];
                for _ in 0..1000 {
                    let mut drawn: Vec<f64> = (0..samples).map(|_| draw(&mut random)).collect();
                    drawn.sort_unstable_by(f64::total_cmp);
                    for (covered, percentile) in covered.iter_mut().zip(Percentile::ALL) {
                        let truth = truth(percentile.permille() as f64 / 1000.0);
                        let interval = percentile.interval(&drawn);
                        *covered += u32::from(interval.is_some_and(|i| i.low <= truth && truth <= i.high));
                    }
                }
                for (covered, percentile) in covered.into_iter().zip(Percentile::ALL) {
                    let supported = samples >= percentile.fewest_samples();
                    let expected = if supported { 930..=990 } else { 0..=0 };
                    assert!(expected.contains(&covered), "{percentile:?} of {samples}: {covered} of 1,000");
                }
            }
        }
    }

    #[test]
    fn ranks_agree_with_tables() {
        // Of the median: any table of the sign test.
        for (samples, low, high) in [(6, 1, 6), (9, 2, 8), (10, 2, 9), (20, 6, 15), (100, 40, 60)] {
            let ranks = Percentile::P50.ranks(samples).expect("supported");
            assert!(ranks.low + 1 >= low && ranks.high < high + 1, "{samples}: {ranks:?}");
        }
        assert_eq!(Percentile::P50.ranks(10), Some(Ranks { low: 1, high: 8 }));
        assert_eq!(Percentile::P95.ranks(59).map(|ranks| ranks.high), Some(58));
    }

    #[test]
    fn one_end_is_right_in_95_of_100_runs_and_takes_fewer_samples() {
        for percentile in Percentile::ALL {
            for samples in 0..400_usize {
                let ranks: Vec<usize> = (1..=samples).collect();
                let binomial = percentile.binomial(samples);
                let reach = |rank: usize| (rank..=samples).map(|count| chance(&binomial, count)).sum::<f64>();
                let low = percentile.at_least(&ranks);
                assert_eq!(low.is_some(), samples >= percentile.fewest_from_below(), "{percentile:?} of {samples}");
                if let Some(low) = low {
                    assert!(reach(low) >= CONFIDENCE - 1e-9, "{percentile:?} of {samples}: {low}");
                    assert!(low == samples || reach(low + 1) < CONFIDENCE + 1e-9, "{percentile:?} of {samples}: {low}");
                }
                if let Some(high) = percentile.at_most(&ranks) {
                    assert!(1.0 - reach(high) >= CONFIDENCE - 1e-9, "{percentile:?} of {samples}: {high}");
                }
            }
        }
        // Where no sample is above the 95th percentile in 5 of 100 runs, 59 are needed.
        let known = |samples| Percentile::P95.at_most(&vec![0; samples]).is_some();
        assert!(known(59) && !known(58));
    }

    fn chance(binomial: &Binomial, count: usize) -> f64 {
        let known = binomial.first..=binomial.last();
        if known.contains(&count) { binomial.probability(count) } else { 0.0 }
    }

    #[test]
    fn many_samples_are_no_trouble() {
        let ranks = Percentile::P999.ranks(1_000_000).expect("supported");
        let deviation = (1e6 * 0.999 * 0.001_f64).sqrt();
        assert!((ranks.low as f64 - (999_000.0 - 1.96 * deviation)).abs() < 3.0, "{ranks:?}");
        assert!((ranks.high as f64 - (999_000.0 + 1.96 * deviation)).abs() < 3.0, "{ranks:?}");
    }

    #[test]
    fn an_interval_is_two_numbers_in_json() {
        let interval = Interval { low: 1_u64, high: 3 };
        let json = serde_json::to_string(&interval).expect("serialises");
        assert_eq!(json, "[1,3]");
        assert_eq!(serde_json::from_str::<Interval>(&json).expect("valid"), interval);
    }

    proptest! {
        #[test]
        fn the_percentile_lies_in_its_interval(mut figures in prop::collection::vec(any::<u32>(), 1..400)) {
            figures.sort_unstable();
            for percentile in Percentile::ALL {
                let figure = percentile.of(&figures).expect("figures");
                if let Some(Interval { low, high }) = percentile.interval(&figures) {
                    prop_assert!(low <= figure && figure <= high && figures.contains(&low));
                }
            }
        }
    }
}
