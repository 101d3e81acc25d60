//! What of a figure is compared: its median, its mean, or what the worst executions come to.

use profiling_core::sample::Sample;
use profiling_core::statistics::{Percentile, median};

use super::metric::Metric;

/// What stands for all executions of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Statistic {
    P50,
    Mean,
    P90,
    P95,
    P99,
}

impl Statistic {
    pub(crate) const ALL: [Self; 5] = [Self::P50, Self::Mean, Self::P90, Self::P95, Self::P99];

    /// As in files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::Mean => "mean",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
        }
    }

    /// Whether a trial of so many executions tells something of it that the median doesn't: two executions at
    /// the least lie beyond a percentile.
    pub(crate) fn is_supported_by(self, executions: u32) -> bool {
        executions
            >= match self {
                Self::P50 => 1,
                Self::Mean => 3,
                Self::P90 => 20,
                Self::P95 => 40,
                Self::P99 => 200,
            }
    }

    /// The least share by which it has to differ, of a time: the few executions beyond a percentile are those that
    /// the machine has disturbed, more in one build than in another by where its code lies.
    pub(crate) fn least_effect(self) -> f64 {
        match self {
            Self::P50 | Self::Mean => 0.0,
            Self::P90 | Self::P95 | Self::P99 => 0.1,
        }
    }

    /// Of the figures of a trial; `None` where there are none.
    pub(crate) fn of(self, figures: &[f64]) -> Option<f64> {
        let percentile = |percentile: Percentile| {
            let mut sorted = figures.to_vec();
            sorted.sort_unstable_by(f64::total_cmp);
            percentile.of(&sorted)
        };
        match self {
            Self::P50 => median(figures.to_vec()),
            Self::Mean => (!figures.is_empty()).then(|| figures.iter().sum::<f64>() / figures.len() as f64),
            Self::P90 => percentile(Percentile::P90),
            Self::P95 => percentile(Percentile::P95),
            Self::P99 => percentile(Percentile::P99),
        }
    }
}

/// The figures of a worker; `None` where one was not measured.
pub(super) fn figures(metric: Metric, samples: &[Sample]) -> Option<Vec<f64>> {
    samples.iter().map(|sample| Some(metric.of(sample)? as f64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_execution_in_sixteen_is_in_the_mean_and_in_the_p95() {
        let of = |statistic: Statistic, slow: f64| {
            let figures: Vec<f64> = (0..48).map(|number| if number % 16 == 5 { slow } else { 100.0 }).collect();
            statistic.of(&figures).expect("there are figures")
        };
        assert!((of(Statistic::Mean, 300.0) - 112.5).abs() < 1e-9);
        for (statistic, expected) in [(Statistic::P50, 100.0), (Statistic::P90, 100.0), (Statistic::P95, 300.0)] {
            assert!((of(statistic, 300.0) - expected).abs() < 1e-9, "{statistic:?}");
        }
        assert!(Statistic::ALL.iter().all(|statistic| statistic.of(&[]).is_none()));
    }

    #[test]
    fn few_executions_have_no_percentiles() {
        let supported = |executions| Statistic::ALL.map(|statistic| statistic.is_supported_by(executions));
        assert_eq!(supported(1), [true, false, false, false, false]);
        assert_eq!(supported(16), [true, true, false, false, false]);
        assert_eq!(supported(48), [true, true, true, true, false]);
        assert_eq!(supported(208), [true; 5]);
    }
}
