//! The bound that no figure of the range exceeds.

use serde::{Deserialize, Serialize};

use super::super::growth::student_t;
use super::candidate::Candidate;
use super::ratios::unit;

/// What is left to chance: so many standard deviations.
const DEVIATIONS: f64 = 3.0;
/// Steps of the search, each of which leaves 0.62 of the interval before.
const STEPS: usize = 60;
/// A bound without an offset is taken where it is so little looser.
const SIMPLER: f64 = 1.05;

/// `factor` times the model's value plus `offset` is the upper bound.
///
/// It covers every sample of every level, and, where the samples are close together, three standard
/// deviations of what separates a single sample from the model. Of all such bounds it is the one that
/// is closest to the model over all levels, relatively: a single slow sample of a small level makes the
/// offset larger rather than the factor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// 1 or more.
    pub factor: f64,
    /// 0 or more, in the metric's unit.
    pub offset: f64,
}

impl Envelope {
    /// The upper bound where the model has this value.
    #[must_use]
    pub fn above(&self, value: f64) -> f64 {
        self.factor * value + self.offset
    }

    pub(super) fn of(candidate: &Candidate<'_>) -> Self {
        let seen = candidate.seen;
        let (variance, degrees) = candidate.variance();
        let deviations = DEVIATIONS.max(1.5 * student_t(degrees));
        let margin = 1.0 + deviations * (seen.spread.powi(2) + 2.0 * variance).sqrt();
        let covered = seen.levels.iter().zip(&seen.worst);
        let points: Vec<Point> = covered
            .map(|(levels, &worst)| {
                let value = candidate.at(levels);
                Point { value, unit: unit(value), worst: worst.max(margin * value) }
            })
            .collect();
        Self::closest(&points)
    }

    /// The one that is closest to the points' values among those that cover their worst. The distance is
    /// a convex function of the factor, whose least value is searched for by golden sections.
    fn closest(points: &[Point]) -> Self {
        let ratios = points.iter().filter(|point| point.value > 0.0).map(|point| point.worst / point.value);
        let largest = ratios.fold(1.0, f64::max);
        let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
        let (mut low, mut high) = (1.0, largest);
        for _ in 0..STEPS {
            let [first, second] = [high - golden * (high - low), low + golden * (high - low)];
            if Self::with(first, points).distance(points) <= Self::with(second, points).distance(points) {
                high = second;
            } else {
                low = first;
            }
        }
        let [best, simple] = [f64::midpoint(low, high), largest].map(|factor| Self::with(factor, points));
        if simple.distance(points) <= SIMPLER * best.distance(points) { simple } else { best }
    }

    /// The least offset that covers all points.
    fn with(factor: f64, points: &[Point]) -> Self {
        // So that rounding doesn't leave the worst a little above.
        let factor = factor * (1.0 + 1e-12);
        let offset = points.iter().map(|point| point.worst - factor * point.value).fold(0.0, f64::max);
        Self { factor, offset: offset * (1.0 + 1e-12) }
    }

    fn distance(&self, points: &[Point]) -> f64 {
        points.iter().map(|point| (self.above(point.value) - point.value) / point.unit).sum()
    }
}

/// A level: the model's value there, what the bound's distance is told in, and what it has to cover.
struct Point {
    value: f64,
    unit: f64,
    worst: f64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn point(value: f64, worst: f64) -> Point {
        Point { value, unit: value.max(1.0), worst }
    }

    #[test]
    fn noise_that_grows_with_the_figure_is_a_factor() {
        let points: Vec<Point> = (1..=10).map(|n| point(f64::from(n) * 100.0, f64::from(n) * 110.0)).collect();
        let envelope = Envelope::closest(&points);
        assert!((envelope.factor - 1.1).abs() < 1e-6 && envelope.offset < 1e-6, "{envelope:?}");
    }

    #[test]
    fn one_slow_sample_of_a_small_level_is_an_offset() {
        let mut points: Vec<Point> = (1..=10).map(|n| point(10_f64.powi(n), 1.02 * 10_f64.powi(n))).collect();
        points[0].worst = 100_000.0;
        let envelope = Envelope::closest(&points);
        assert!(envelope.factor < 1.1, "{envelope:?}");
        assert!((99_000.0..101_000.0).contains(&envelope.offset), "{envelope:?}");
    }

    #[test]
    fn nothing_is_covered_by_nothing() {
        let envelope = Envelope::closest(&[point(0.0, 0.0), point(0.0, 0.0)]);
        assert!(envelope.above(0.0).abs() < f64::EPSILON);
    }

    proptest! {
        #[test]
        fn covers_everything(points in prop::collection::vec((0.0..1e12_f64, 0.0..1e12_f64), 1..30)) {
            let points: Vec<Point> = points.into_iter().map(|(value, worst)| point(value, worst)).collect();
            let envelope = Envelope::closest(&points);
            prop_assert!(envelope.factor >= 1.0 && envelope.offset >= 0.0);
            for point in &points {
                prop_assert!(envelope.above(point.value) >= point.worst, "{envelope:?}");
            }
        }
    }
}
