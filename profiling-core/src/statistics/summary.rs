//! A figure's distribution in nine numbers.

use serde::{Deserialize, Serialize};

/// A figure that can be ordered and averaged.
pub trait Figure: Copy + Ord {
    /// The nearest `f64`.
    fn as_f64(self) -> f64;
}

impl Figure for u64 {
    fn as_f64(self) -> f64 {
        self as f64
    }
}

impl Figure for i64 {
    fn as_f64(self) -> f64 {
        self as f64
    }
}

/// A figure's distribution over the samples of a case, in the figure's own unit.
///
/// A percentile is the smallest sample that at least that share of all samples does not exceed
/// (nearest rank; definition 1 of Hyndman and Fan, "Sample Quantiles in Statistical Packages", 1996).
/// It is always a value that was seen, and errs towards the larger one: with 10 samples p95 is the
/// maximum.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary<T = u64> {
    /// The smallest sample.
    pub min: T,
    /// The arithmetic mean.
    pub mean: f64,
    /// The standard deviation, with n − 1 in the denominator; 0 for a single sample.
    pub std_dev: f64,
    /// The median.
    pub p50: T,
    /// The 90th percentile.
    pub p90: T,
    /// The 95th percentile.
    pub p95: T,
    /// The 99th percentile.
    pub p99: T,
    /// The 99.9th percentile.
    pub p999: T,
    /// The largest sample.
    pub max: T,
}

impl<T: Figure> Summary<T> {
    /// Summarises figures in any order; `None` without figures.
    ///
    /// ```
    /// use profiling_core::statistics::Summary;
    ///
    /// let summary = Summary::of(&[30_u64, 10, 20, 40]).expect("there are figures");
    /// assert_eq!((summary.min, summary.p50, summary.p95, summary.max), (10, 20, 40, 40));
    /// assert!((summary.mean - 25.0).abs() < 1e-9);
    /// ```
    #[must_use]
    pub fn of(figures: &[T]) -> Option<Self> {
        let mut sorted = figures.to_vec();
        sorted.sort_unstable();
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let mean = mean(&sorted);
        Some(Self {
            min,
            mean,
            std_dev: standard_deviation(&sorted, mean),
            p50: nearest_rank(&sorted, 500),
            p90: nearest_rank(&sorted, 900),
            p95: nearest_rank(&sorted, 950),
            p99: nearest_rank(&sorted, 990),
            p999: nearest_rank(&sorted, 999),
            max,
        })
    }
}

/// The smallest of the sorted figures that at least `permille` thousandths do not exceed.
fn nearest_rank<T: Copy>(sorted: &[T], permille: usize) -> T {
    let rank = (sorted.len() * permille).div_ceil(1000).max(1);
    sorted[rank - 1]
}

fn mean<T: Figure>(figures: &[T]) -> f64 {
    let sum: f64 = figures.iter().map(|figure| figure.as_f64()).sum();
    sum / figures.len() as f64
}

fn standard_deviation<T: Figure>(figures: &[T], mean: f64) -> f64 {
    if figures.len() < 2 {
        return 0.0;
    }
    let squares: f64 = figures.iter().map(|figure| (figure.as_f64() - mean).powi(2)).sum();
    (squares / (figures.len() - 1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_sample_is_every_percentile() {
        let summary = Summary::of(&[7_u64]).expect("one figure");
        assert_eq!((summary.min, summary.p50, summary.p999, summary.max), (7, 7, 7, 7));
        assert!(summary.std_dev.abs() < f64::EPSILON);
    }

    #[test]
    fn ranks_follow_the_definition() {
        let figures: Vec<u64> = (1..=1000).rev().collect();
        let summary = Summary::of(&figures).expect("figures");
        assert_eq!((summary.p50, summary.p90, summary.p95, summary.p99, summary.p999), (500, 900, 950, 990, 999));
        let ten: Vec<i64> = (-9..=0).collect();
        let summary = Summary::of(&ten).expect("figures");
        assert_eq!((summary.p50, summary.p90, summary.p95), (-5, -1, 0));
    }

    #[test]
    fn no_samples_no_summary() {
        assert!(Summary::<u64>::of(&[]).is_none());
    }

    #[test]
    fn deviation_is_of_the_sample() {
        let summary = Summary::of(&[2_u64, 4, 4, 4, 5, 5, 7, 9]).expect("figures");
        assert!((summary.mean - 5.0).abs() < 1e-12);
        assert!((summary.std_dev - (32.0_f64 / 7.0).sqrt()).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn percentiles_are_samples_in_order(figures in prop::collection::vec(any::<u32>(), 1..200)) {
            let figures: Vec<u64> = figures.into_iter().map(u64::from).collect();
            let s = Summary::of(&figures).expect("figures");
            let ordered = [s.min, s.p50, s.p90, s.p95, s.p99, s.p999, s.max];
            prop_assert!(ordered.is_sorted());
            prop_assert!(ordered.iter().all(|p| figures.contains(p)));
            prop_assert!(s.mean >= s.min as f64 && s.mean <= s.max as f64);
            for (permille, p) in [(500, s.p50), (950, s.p95), (999, s.p999)] {
                let within = figures.iter().filter(|&&f| f <= p).count();
                prop_assert!(within * 1000 >= permille * figures.len());
            }
        }
    }
}
