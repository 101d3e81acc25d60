//! A distribution in constant memory, whatever the number of values.

use super::{Intervals, Summary};

/// Buckets per doubling: a value is told from another that is 1.6 % larger.
const STEPS: usize = 1 << STEP_BITS;
const STEP_BITS: u32 = 6;
/// Values of this many bits and more share the last bucket.
const MOST_BITS: u32 = 48;
const BUCKETS: usize = STEPS + (MOST_BITS - STEP_BITS) as usize * STEPS;

/// Counts values in buckets whose width grows with them (as an HDR histogram does), and keeps their exact
/// extremes and sums.
///
/// All zeros when empty, so that a static one takes neither room in the program nor, until it is used,
/// memory.
#[derive(Debug, Clone)]
pub(crate) struct Distribution {
    count: u64,
    min: u64,
    max: u64,
    sum: f64,
    squares: f64,
    buckets: [u32; BUCKETS],
}

impl Distribution {
    pub(crate) const fn new() -> Self {
        Self { count: 0, min: 0, max: 0, sum: 0.0, squares: 0.0, buckets: [0; BUCKETS] }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    #[inline]
    pub(crate) fn add(&mut self, value: u64) {
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.count += 1;
        let exact = value as f64;
        self.sum += exact;
        self.squares += exact * exact;
        let bucket = &mut self.buckets[bucket_of(value)];
        *bucket = bucket.saturating_add(1);
    }

    /// Forgets every value.
    pub(crate) fn clear(&mut self) {
        if self.count > 0 {
            *self = Self::new();
        }
    }

    /// The summary, each figure times `unit`; `None` without values. Percentiles are by the nearest rank
    /// and at most 1.6 % above the value of that rank, never below it; all else is exact.
    pub(crate) fn summary(&self, unit: f64) -> Option<Summary> {
        summary(&[Stratum { of: self, weight: 1.0 }], unit)
    }

    /// The summary of values of which a part is there: of each stratum, those that stand for so many. Mean,
    /// deviation and percentiles are the stratified estimates (Cochran, *Sampling Techniques*, chapter 5),
    /// in which a value counts as often as there are values that it stands for; the extremes are those of
    /// the values that are there. A stratum of which there is none is left out.
    pub(crate) fn summary_of_strata(strata: &[(&Self, u64)]) -> Option<Summary> {
        let there = strata.iter().filter(|(of, _)| of.count > 0);
        // At least its own values, whatever else there is.
        let weight = |of: &Self, population: u64| population.max(of.count) as f64 / of.count as f64;
        let strata: Vec<_> = there.map(|&(of, population)| Stratum { of, weight: weight(of, population) }).collect();
        summary(&strata, 1.0)
    }
}

/// Values, and how many each of them stands for.
struct Stratum<'a> {
    of: &'a Distribution,
    weight: f64,
}

fn summary(strata: &[Stratum<'_>], unit: f64) -> Option<Summary> {
    let sum = |of: fn(&Distribution) -> f64| strata.iter().map(|stratum| of(stratum.of) * stratum.weight).sum::<f64>();
    let count = sum(|of| of.count as f64);
    if count < 1.0 {
        return None;
    }
    let (total, squares) = (sum(|of| of.sum), sum(|of| of.squares));
    let variance = (squares - total * total / count).max(0.0) / (count - 1.0).max(1.0);
    let min = strata.iter().filter(|stratum| stratum.of.count > 0).map(|stratum| stratum.of.min).min()?;
    let max = strata.iter().map(|stratum| stratum.of.max).max()?;
    // What lies outside of the extremes was never touched. To go through all of it for every percentile takes
    // longer than a worker takes to start, in a build that is not optimised.
    let in_bucket = |bucket: usize| {
        strata.iter().map(|stratum| f64::from(stratum.of.buckets[bucket]) * stratum.weight).sum::<f64>()
    };
    let buckets = (bucket_of(min)..=bucket_of(max)).map(|bucket| (bucket, in_bucket(bucket)));
    let buckets: Vec<(usize, f64)> = buckets.filter(|&(_, values)| values > 0.0).collect();
    let percentile = |permille: u64| scaled(percentile(&buckets, permille).clamp(min, max), unit);
    Some(Summary {
        min: scaled(min, unit),
        mean: total / count * unit,
        std_dev: variance.sqrt() * unit,
        p50: percentile(500),
        p90: percentile(900),
        p95: percentile(950),
        p99: percentile(990),
        p999: percentile(999),
        max: scaled(max, unit),
        mad: None,
        intervals: Intervals::default(),
        outliers: None,
    })
}

/// The largest value of the bucket that holds the value of this rank, of buckets in order with how many
/// values each of them stands for.
fn percentile(buckets: &[(usize, f64)], permille: u64) -> u64 {
    let total: f64 = buckets.iter().map(|(_, values)| values).sum();
    // Whole values but for the rounding of weights.
    let rank = (total * permille as f64 / 1000.0 - 1e-6).ceil().max(1.0) - 1e-6;
    let mut below = 0.0;
    let bucket = buckets.iter().find(|(_, values)| {
        below += values;
        below >= rank
    });
    bucket.map_or(u64::MAX, |&(bucket, _)| largest_of(bucket))
}

/// A value in another unit, rounded to the nearest.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and rounded")]
fn scaled(value: u64, unit: f64) -> u64 {
    if (unit - 1.0).abs() < f64::EPSILON { value } else { (value as f64 * unit).round() as u64 }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "below twice `STEPS`")]
fn bucket_of(value: u64) -> usize {
    let bits = u64::BITS - value.leading_zeros();
    if bits <= STEP_BITS {
        return (value & (STEPS as u64 - 1)) as usize;
    }
    if bits > MOST_BITS {
        return BUCKETS - 1;
    }
    let shift = bits - STEP_BITS - 1;
    // Between `STEPS` and twice that.
    let step = (value >> shift) as usize;
    shift as usize * STEPS + step
}

/// The largest value that falls into a bucket.
fn largest_of(bucket: usize) -> u64 {
    if bucket < 2 * STEPS {
        return bucket as u64;
    }
    if bucket == BUCKETS - 1 {
        return u64::MAX;
    }
    let shift = bucket / STEPS - 1;
    let step = (bucket % STEPS + STEPS) as u64;
    ((step + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn distribution(values: &[u64]) -> Distribution {
        let mut distribution = Distribution::new();
        for &value in values {
            distribution.add(value);
        }
        distribution
    }

    #[test]
    fn nothing_has_no_summary() {
        let mut empty = distribution(&[]);
        assert_eq!(empty.summary(1.0), None);
        empty.add(5);
        empty.clear();
        assert_eq!((empty.summary(1.0), empty.count()), (None, 0));
    }

    #[test]
    fn one_value_is_every_percentile() {
        let one = distribution(&[1_000_003]).summary(1.0).expect("one value");
        assert_eq!((one.min, one.p50, one.p999, one.max), (1_000_003, 1_000_003, 1_000_003, 1_000_003));
        assert!(one.std_dev.abs() < f64::EPSILON);
    }

    #[test]
    fn a_unit_scales_every_figure() {
        let summary = distribution(&[10, 20]).summary(0.5).expect("values");
        assert_eq!((summary.min, summary.p50, summary.max), (5, 5, 10));
        assert!((summary.mean - 7.5).abs() < 1e-9);
    }

    #[test]
    fn the_largest_values_have_a_place() {
        let summary = distribution(&[u64::MAX, 1 << 60]).summary(1.0).expect("values");
        assert_eq!((summary.min, summary.max), (1 << 60, u64::MAX));
    }

    #[test]
    fn strata_that_are_all_there_weigh_the_same() {
        let (short, long, none) = (distribution(&[10, 30, 20]), distribution(&[1_000]), distribution(&[]));
        let strata = Distribution::summary_of_strata(&[(&short, 3), (&long, 1), (&none, 7)]);
        assert_eq!(strata, distribution(&[10, 20, 30, 1_000]).summary(1.0));
        assert_eq!(Distribution::summary_of_strata(&[(&none, 7)]), None);
    }

    proptest! {
        #[test]
        fn a_value_counts_as_often_as_there_are_that_it_stands_for(
            short in prop::collection::vec(0..1_000_u64, 1..30), times in 1..50_usize,
            long in prop::collection::vec(1_000..1_u64 << 40, 0..30),
        ) {
            let all: Vec<u64> = short.iter().flat_map(|&value| vec![value; times]).chain(long.clone()).collect();
            let population = (short.len() * times) as u64;
            let (sampled, complete) = (distribution(&short), distribution(&long));
            let strata = Distribution::summary_of_strata(&[(&sampled, population), (&complete, long.len() as u64)]);
            let (strata, exact) = (strata.expect("values"), distribution(&all).summary(1.0).expect("values"));
            prop_assert!((strata.mean - exact.mean).abs() <= exact.mean * 1e-9);
            prop_assert!((strata.std_dev - exact.std_dev).abs() <= exact.mean * 1e-5 + 1e-9);
            let figures = |of: &Summary| [of.min, of.p50, of.p90, of.p95, of.p99, of.p999, of.max];
            prop_assert_eq!(figures(&strata), figures(&exact));
        }

        #[test]
        fn buckets_are_in_order_and_narrow(value in 0..1_u64 << MOST_BITS) {
            let bucket = bucket_of(value);
            prop_assert!(bucket < BUCKETS);
            prop_assert!(bucket_of(value + 1) >= bucket);
            let largest = largest_of(bucket);
            prop_assert!(largest >= value);
            prop_assert!(bucket == BUCKETS - 1 || largest - value <= value / STEPS as u64);
        }

        #[test]
        fn agrees_with_the_summary_of_all_values(values in prop::collection::vec(0..1_u64 << 40, 1..300)) {
            let (near, exact) = (distribution(&values).summary(1.0), Summary::of(&values));
            let (near, exact) = (near.expect("values"), exact.expect("values"));
            prop_assert_eq!((near.min, near.max), (exact.min, exact.max));
            prop_assert!((near.mean - exact.mean).abs() <= exact.mean * 1e-9 + 1e-9);
            prop_assert!((near.std_dev - exact.std_dev).abs() <= exact.mean * 1e-5 + 1e-9);
            for (near, exact) in [(near.p50, exact.p50), (near.p95, exact.p95), (near.p999, exact.p999)] {
                prop_assert!(near >= exact && near - exact <= exact / STEPS as u64 + 1, "{near} {exact}");
            }
        }
    }
}
