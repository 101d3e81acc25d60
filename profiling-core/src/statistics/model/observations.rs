//! What a model is fitted to: one centre per level, and how sure it is.

use super::ratios::unit;
use super::{Level, Unidentifiable};
use crate::statistics::median;

/// Centres are taken to be no surer than this, whatever the samples say.
const SUREST: f64 = 1e-3;
/// The fewest levels that say how a figure grows: two unknowns, and something that could contradict them.
pub(super) const FEWEST: usize = 4;

/// The levels with what is known of a figure there.
#[derive(Debug, Clone)]
pub(super) struct Observations {
    pub(super) levels: Vec<Vec<u64>>,
    /// The median of the samples at each level.
    pub(super) centres: Vec<f64>,
    /// The largest sample at each level.
    pub(super) worst: Vec<f64>,
    /// The relative standard deviation of a single sample within its level.
    pub(super) spread: f64,
    /// The relative variance of the centres that the samples' spread explains: no fit can be better.
    pub(super) least_variance: f64,
}

/// What is known of the figures at a level.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Centred {
    pub(super) at: Vec<u64>,
    /// How many there are; 1 or more.
    pub(super) samples: usize,
    /// Their median.
    pub(super) centre: f64,
    /// The largest.
    pub(super) worst: f64,
    /// The median of their distances from the centre.
    pub(super) distance: f64,
}

impl Centred {
    /// `None` where there are no figures.
    fn of(level: &Level) -> Option<Self> {
        let centre = median(level.figures.clone())?;
        Some(Self {
            at: level.at.clone(),
            samples: level.figures.len(),
            centre,
            worst: level.figures.iter().copied().fold(0.0, f64::max),
            distance: median(level.figures.iter().map(|figure| (figure - centre).abs()).collect())?,
        })
    }

    /// The relative variances of a sample and of the centre.
    fn variances(&self) -> (f64, f64) {
        let variance = (standard_deviations(self.samples) * self.distance / unit(self.centre)).powi(2);
        (variance, variance_of_median(variance, self.samples))
    }
}

impl Observations {
    pub(super) fn new(levels: &[Level]) -> Result<Self, Unidentifiable> {
        if levels.iter().any(|level| level.figures.iter().any(|figure| !figure.is_finite() || *figure < 0.0)) {
            return Err(Unidentifiable::NoFigures);
        }
        let centred = levels.iter().map(Centred::of).collect::<Option<Vec<Centred>>>();
        Self::of(&centred.ok_or(Unidentifiable::NoFigures)?)
    }

    /// From what is known of the figures at each level.
    pub(super) fn of(levels: &[Centred]) -> Result<Self, Unidentifiable> {
        if levels.len() < FEWEST {
            return Err(Unidentifiable::TooFewLevels { levels: levels.len() });
        }
        let variances: Vec<(f64, f64)> = levels.iter().map(Centred::variances).collect();
        let middle = |variance: fn(&(f64, f64)) -> f64| {
            median(variances.iter().map(variance).collect()).ok_or(Unidentifiable::NoFigures)
        };
        Ok(Self {
            levels: levels.iter().map(|level| level.at.clone()).collect(),
            worst: levels.iter().map(|level| level.worst).collect(),
            spread: middle(|&(samples, _)| samples)?.sqrt(),
            least_variance: middle(|&(_, centre)| centre)?.max(SUREST * SUREST),
            centres: levels.iter().map(|level| level.centre).collect(),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.levels.len()
    }

    /// The smallest and the largest level of each parameter.
    pub(super) fn ranges(&self) -> Vec<(u64, u64)> {
        let parameters = self.levels.first().map_or(0, Vec::len);
        let range = |position: usize| {
            let values = self.levels.iter().map(|levels| levels[position]);
            values.fold((u64::MAX, 0), |(low, high), value| (low.min(value), high.max(value)))
        };
        (0..parameters).map(range).collect()
    }

    /// What remains of the levels that meet a condition.
    pub(super) fn only(&self, keep: impl Fn(&[u64]) -> bool) -> Self {
        let kept: Vec<usize> = (0..self.len()).filter(|&at| keep(&self.levels[at])).collect();
        let pick = |values: &[f64]| kept.iter().map(|&at| values[at]).collect();
        Self {
            levels: kept.iter().map(|&at| self.levels[at].clone()).collect(),
            centres: pick(&self.centres),
            worst: pick(&self.worst),
            ..*self
        }
    }
}

/// The standard deviation of so many normally distributed values in median absolute deviations, with the
/// correction for few of them (Croux and Rousseeuw, "Time-Efficient Algorithms for Two Highly Robust
/// Estimators of Scale", 1992).
fn standard_deviations(values: usize) -> f64 {
    const FEW: [f64; 10] = [1.0, 1.0, 1.196, 1.495, 1.363, 1.206, 1.200, 1.140, 1.129, 1.107];
    1.4826 * FEW.get(values).copied().unwrap_or_else(|| values as f64 / (values as f64 - 0.8))
}

/// The variance of the median of so many normally distributed values (asymptotically π/2 times that of the
/// mean; of one or two values, the median is the mean).
fn variance_of_median(variance: f64, values: usize) -> f64 {
    let efficiency = if values < 3 { 1.0 } else { std::f64::consts::FRAC_PI_2 };
    variance * efficiency / values as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_moves_neither_centre_nor_spread() {
        let level = |at: u64| Level { at: vec![at], figures: vec![99.0, 100.0, 101.0, 100.0, 5_000.0] };
        let seen = Observations::new(&[level(1), level(2), level(3), level(4)]).expect("four levels");
        assert!((seen.centres[0] - 100.0).abs() < 1e-9 && (seen.worst[0] - 5_000.0).abs() < 1e-9);
        assert!(seen.spread < 0.02, "{seen:?}");
        assert_eq!(seen.ranges(), [(1, 4)]);
    }
}
