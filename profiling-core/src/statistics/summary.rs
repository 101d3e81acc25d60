//! A figure's distribution in a few numbers.

use std::io;

use serde::{Deserialize, Serialize};

use super::moments::Moments;
use super::percentile::{Interval, Percentile, Ranks};
use super::select::{FEW, select};
use super::values::{Mapped, Values, key_of_positive, keys};

/// A figure that can be ordered and averaged.
pub trait Figure: Copy + Ord + Into<i128> {
    /// The nearest `f64`.
    fn as_f64(self) -> f64;

    /// A number that is as far along in the order of all numbers as the figure is in its own.
    fn key(self) -> u64;

    /// The figure of a [`key`](Self::key).
    fn of_key(key: u64) -> Self;
}

impl Figure for u64 {
    fn as_f64(self) -> f64 {
        self as f64
    }

    fn key(self) -> u64 {
        self
    }

    fn of_key(key: u64) -> Self {
        key
    }
}

/// What an `i64` is shifted by.
const SIGN: u64 = 1 << 63;

impl Figure for i64 {
    fn as_f64(self) -> f64 {
        self as f64
    }

    fn key(self) -> u64 {
        self.cast_unsigned() ^ SIGN
    }

    fn of_key(key: u64) -> Self {
        (key ^ SIGN).cast_signed()
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
    /// The median of the samples' distances from the median, by the same definition and not scaled by
    /// anything: half of the samples are at most so far from `p50`. Absent for what comes from a histogram.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mad: Option<f64>,
    /// How sure the figures above are.
    #[serde(default, skip_serializing_if = "Intervals::is_empty")]
    pub intervals: Intervals<T>,
    /// How many samples are far from the others. Absent for what comes from a histogram.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outliers: Option<Outliers>,
}

/// 95% intervals of what they are named after; absent where the samples don't
/// [support](Percentile::fewest_samples) one.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Intervals<T = u64> {
    /// That of the median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50: Option<Interval<T>>,
    /// That of the 90th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90: Option<Interval<T>>,
    /// That of the 95th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95: Option<Interval<T>>,
    /// That of the 99th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<Interval<T>>,
    /// That of the 99.9th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p999: Option<Interval<T>>,
    /// That of the mean, by the bootstrap. With few samples of a distribution with a heavy tail it covers
    /// less, as every interval of a mean does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<Interval<f64>>,
}

/// Samples outside of Tukey's fences ("Exploratory Data Analysis", 1977): mild ones are more than one and a
/// half times the distance of the quartiles beyond a quartile, severe ones more than three times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Outliers {
    /// Far below the others.
    pub low_severe: u32,
    /// Below the others.
    pub low_mild: u32,
    /// Above the others.
    pub high_mild: u32,
    /// Far above the others.
    pub high_severe: u32,
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
        Self::with(figures.to_vec(), &Supported::by(figures.len()))
    }

    /// The same, with what all figures of so many samples have in common.
    pub(super) fn with(mut figures: Vec<T>, supported: &Supported) -> Option<Self> {
        let moments = Moments::of(figures.as_slice())?;
        figures.sort_unstable();
        let sorted = figures.as_slice();
        let beyond = |fences: Fences| Outliers::in_sorted(sorted, fences);
        Some(Self::put_together(moments, |rank| sorted[rank], median_distance(sorted), beyond, supported))
    }

    /// The same of figures of which there may be more than fit into memory.
    pub(super) fn of_values(values: &dyn Values<T>, supported: &Supported) -> io::Result<Option<Self>> {
        if values.count() <= FEW {
            return Ok(Self::with(values.collect()?, supported));
        }
        let Some(moments) = Moments::of_values(values)? else { return Ok(None) };
        let mut ranks = supported.ranks(moments.count);
        ranks.sort_unstable();
        ranks.dedup();
        let found: Vec<T> = select(&keys(values), &ranks)?.into_iter().map(T::of_key).collect();
        let sample = |rank: usize| found[ranks.partition_point(|&known| known < rank)];
        let distance = distance_by_selection(values, sample(Percentile::P50.rank(moments.count)), &moments)?;
        let outliers = Outliers::in_values(values, Fences::of(moments.count, sample))?;
        Ok(Some(Self::put_together(moments, sample, distance, |_| outliers, supported)))
    }

    fn put_together(
        moments: Moments<T>,
        sample: impl Fn(usize) -> T,
        mad: f64,
        beyond: impl FnOnce(Fences) -> Outliers,
        supported: &Supported,
    ) -> Self {
        let percentile = |percentile: Percentile| sample(percentile.rank(moments.count));
        Self {
            min: moments.min,
            mean: moments.mean,
            std_dev: moments.standard_deviation(),
            p50: percentile(Percentile::P50),
            p90: percentile(Percentile::P90),
            p95: percentile(Percentile::P95),
            p99: percentile(Percentile::P99),
            p999: percentile(Percentile::P999),
            max: moments.max,
            mad: Some(mad),
            intervals: supported.intervals(&sample, &moments),
            outliers: Some(beyond(Fences::of(moments.count, &sample))),
        }
    }

    /// The percentile.
    #[must_use]
    pub fn percentile(&self, percentile: Percentile) -> T {
        match percentile {
            Percentile::P50 => self.p50,
            Percentile::P90 => self.p90,
            Percentile::P95 => self.p95,
            Percentile::P99 => self.p99,
            Percentile::P999 => self.p999,
        }
    }
}

impl<T: Copy> Intervals<T> {
    /// That of the percentile.
    #[must_use]
    pub fn percentile(&self, percentile: Percentile) -> Option<Interval<T>> {
        match percentile {
            Percentile::P50 => self.p50,
            Percentile::P90 => self.p90,
            Percentile::P95 => self.p95,
            Percentile::P99 => self.p99,
            Percentile::P999 => self.p999,
        }
    }
}

impl<T> Intervals<T> {
    fn is_empty(&self) -> bool {
        let Self { p50, p90, p95, p99, p999, mean } = self;
        [p50, p90, p95, p99, p999].into_iter().all(Option::is_none) && mean.is_none()
    }
}

/// Where the intervals' ends lie among a number of samples: the same for all figures of a case.
pub(super) struct Supported([Option<Ranks>; Percentile::ALL.len()]);

impl Supported {
    pub(super) fn by(samples: usize) -> Self {
        Self(Percentile::ALL.map(|percentile| percentile.ranks(samples)))
    }

    fn intervals<T: Figure>(&self, sample: impl Fn(usize) -> T, moments: &Moments<T>) -> Intervals<T> {
        let [p50, p90, p95, p99, p999] = self.0.map(|ranks| ranks.map(|ranks| ranks.of(&sample)));
        Intervals { p50, p90, p95, p99, p999, mean: moments.interval_of_mean() }
    }

    /// Every rank that a summary of so many samples needs.
    fn ranks(&self, samples: usize) -> Vec<usize> {
        let ends = self.0.iter().flatten().flat_map(|ranks| ranks.ends());
        let percentiles = Percentile::ALL.map(|percentile| percentile.rank(samples));
        percentiles.into_iter().chain(ends).chain([quartile(samples, 1), quartile(samples, 3)]).collect()
    }
}

/// Where a quartile is among so many sorted samples, counted from 0.
fn quartile(samples: usize, quarters: usize) -> usize {
    (samples * quarters).div_ceil(4) - 1
}

/// What lies beyond which is an outlier: severe and mild, low and high.
#[derive(Debug, Clone, Copy)]
struct Fences {
    low_severe: f64,
    low_mild: f64,
    high_mild: f64,
    high_severe: f64,
}

impl Fences {
    fn of<T: Figure>(samples: usize, sample: impl Fn(usize) -> T) -> Self {
        let (low, high) = (sample(quartile(samples, 1)).as_f64(), sample(quartile(samples, 3)).as_f64());
        let [mild, severe] = [1.5, 3.0].map(|fence| fence * (high - low));
        Self { low_severe: low - severe, low_mild: low - mild, high_mild: high + mild, high_severe: high + severe }
    }
}

impl Outliers {
    fn in_sorted<T: Figure>(sorted: &[T], fences: Fences) -> Self {
        let below = |fence: f64| sorted.partition_point(|figure| figure.as_f64() < fence);
        let within = |fence: f64| sorted.partition_point(|figure| figure.as_f64() <= fence);
        let count = |samples: usize| u32::try_from(samples).unwrap_or(u32::MAX);
        Self {
            low_severe: count(below(fences.low_severe)),
            low_mild: count(below(fences.low_mild) - below(fences.low_severe)),
            high_mild: count(within(fences.high_severe) - within(fences.high_mild)),
            high_severe: count(sorted.len() - within(fences.high_severe)),
        }
    }

    fn in_values<T: Figure>(values: &dyn Values<T>, fences: Fences) -> io::Result<Self> {
        let mut outliers = Self::default();
        values.visit(&mut |piece| {
            for figure in piece {
                let figure = figure.as_f64();
                let kind = if figure < fences.low_severe {
                    &mut outliers.low_severe
                } else if figure < fences.low_mild {
                    &mut outliers.low_mild
                } else if figure > fences.high_severe {
                    &mut outliers.high_severe
                } else if figure > fences.high_mild {
                    &mut outliers.high_mild
                } else {
                    continue;
                };
                *kind = kind.saturating_add(1);
            }
        })?;
        Ok(outliers)
    }
}

/// The nearest-rank median of the distances from the median: as far as one has to go, to the nearest sample
/// each time, until half of them are passed.
fn median_distance<T: Figure>(sorted: &[T]) -> f64 {
    let half = sorted.len().div_ceil(2);
    let median = sorted[half - 1].as_f64();
    let (mut low, mut high) = (half - 1, half - 1);
    let mut distance = 0.0;
    while high - low + 1 < half {
        let down = if low > 0 { median - sorted[low - 1].as_f64() } else { f64::INFINITY };
        let up = if high + 1 < sorted.len() { sorted[high + 1].as_f64() - median } else { f64::INFINITY };
        if down < up {
            low -= 1;
        } else {
            high += 1;
        }
        distance = down.min(up);
    }
    distance
}

/// The same, of figures that are not sorted.
fn distance_by_selection<T: Figure>(values: &dyn Values<T>, median: T, moments: &Moments<T>) -> io::Result<f64> {
    /// Up to here, a whole number is the same as a float.
    const EXACT: f64 = (1_u64 << 53) as f64;
    let rank = Percentile::P50.rank(moments.count);
    let middle = median.as_f64();
    if -EXACT < moments.min.as_f64() && moments.max.as_f64() < EXACT {
        // As whole numbers, distances have fewer digits.
        let found = select(&Mapped { values, map: |figure: T| figure.key().abs_diff(median.key()) }, &[rank])?;
        return Ok(found[0] as f64);
    }
    let distances = Mapped { values, map: |figure: T| key_of_positive(figure.as_f64() - middle) };
    Ok(f64::from_bits(select(&distances, &[rank])?[0]))
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
    fn intervals_are_those_that_the_samples_support() {
        let figures: Vec<u64> = (1..=59).collect();
        let Summary { intervals, .. } = Summary::of(&figures).expect("figures");
        assert_eq!((intervals.p50, intervals.p95), (Some([22, 38].into()), Some([50, 59].into())));
        assert!(intervals.p90.is_some() && intervals.p99.is_none() && intervals.p999.is_none());
        let mean = intervals.mean.expect("enough samples");
        assert!((mean.low - 25.5).abs() < 1.0 && (mean.high - 34.5).abs() < 1.0, "{mean:?}");
        assert_eq!(Summary::of(&[1_u64, 2, 3, 4, 5]).expect("figures").intervals, Intervals::default());
    }

    #[test]
    fn the_distance_from_the_median_is_not_scaled() {
        let mad = |figures: &[i64]| Summary::of(figures).expect("figures").mad;
        assert_eq!(mad(&[1, 1, 2, 2, 4, 6, 9]), Some(1.0));
        assert_eq!(mad(&[-5]), Some(0.0));
        assert_eq!(mad(&[-10, 0, 10, 20]), Some(10.0));
    }

    #[test]
    fn outliers_lie_beyond_the_fences() {
        let mut figures: Vec<i64> = (0..=20).collect();
        // The quartiles of what follows are 4 and 18, so the fences are at -38, -17, 39 and 60.
        figures.extend([-40, -30, 39, 40, 60, 61]);
        let outliers = Summary::of(&figures).expect("figures").outliers;
        assert_eq!(outliers, Some(Outliers { low_severe: 1, low_mild: 1, high_mild: 2, high_severe: 1 }));
        assert_eq!(Summary::of(&[5_u64; 10]).expect("figures").outliers, Some(Outliers::default()));
    }

    #[test]
    fn a_summary_of_an_older_version_is_still_read() {
        let old = r#"{"min":1,"mean":2.0,"std_dev":1.0,"p50":2,"p90":3,"p95":3,"p99":3,"p999":3,"max":3}"#;
        let summary: Summary = serde_json::from_str(old).expect("valid");
        assert_eq!((summary.mad, summary.intervals.p50, summary.outliers), (None, None, None));
        assert_eq!(serde_json::to_string(&summary).expect("serialises"), old);
    }

    #[test]
    fn intervals_are_in_the_json() {
        let json = serde_json::to_value(Summary::of(&[1_u64, 2, 3, 4, 5, 6, 7, 8, 9, 10])).expect("serialises");
        assert_eq!(json["intervals"]["p50"], serde_json::json!([2, 9]));
        assert_eq!(json["intervals"].get("p90"), None);
        assert_eq!(json["outliers"]["high_severe"], 0);
        let summary: Summary = serde_json::from_value(json.clone()).expect("valid");
        assert_eq!(serde_json::to_value(summary).expect("serialises"), json);
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
            let mut distances: Vec<u64> = figures.iter().map(|figure| figure.abs_diff(s.p50)).collect();
            distances.sort_unstable();
            prop_assert_eq!(s.mad, Some(distances[(figures.len() - 1) / 2] as f64));
            for (permille, p) in [(500, s.p50), (950, s.p95), (999, s.p999)] {
                let within = figures.iter().filter(|&&f| f <= p).count();
                prop_assert!(within * 1000 >= permille * figures.len());
            }
        }
    }
}
