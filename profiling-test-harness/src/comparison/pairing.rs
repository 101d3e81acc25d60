//! From the samples of a trial to one pair of figures.
//!
//! Each trial has three contestants: the baseline's binary, the baseline's binary again, and this one. The
//! unit of the comparison is the trial, since samples of one process are not independent. Within a
//! trial, figures of the same turn are compared, since they were measured at the same time. The baseline's
//! second worker shows what the noise is and nothing else: to compare with the mean of two would make the
//! pairs lopsided, as times are, and a test of pairs takes either order for equally likely.

use profiling_core::sample::Sample;
use profiling_core::statistics::median;

use super::metric::Metric;
use crate::supervisor::trial::Turns;

/// This binary's place in a trial, after the baseline's two.
pub(crate) const NEW: usize = 2;
/// The places in a trial: the baseline's binary, the same again, and this one.
pub(crate) const ROLES: [usize; 3] = [0, 1, NEW];

/// What one trial says about a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pair {
    pub old: f64,
    pub new: f64,
    /// The logarithm of the ratio of the baseline to itself.
    pub noise: f64,
}

/// The pair of a trial; `None` where the metric was not measured.
pub(crate) fn pair(metric: Metric, trial: &[Vec<Sample>], turns: Turns) -> Option<Pair> {
    if !metric.is_time() {
        return counts(metric, trial);
    }
    let medians = trial.iter().map(|samples| turn_medians(metric, samples, turns)).collect::<Option<Vec<_>>>()?;
    let [old, again, new] = medians.try_into().ok()?;
    let change = |from: &[f64], to: &[f64]| median(from.iter().zip(to).map(|(from, to)| (to / from).ln()).collect());
    let (changed, noise) = (change(&old, &new)?, change(&old, &again)?);
    let old = median(old)?;
    Some(Pair { old, new: old * changed.exp(), noise })
}

/// A count is what it is, whenever it was counted.
fn counts(metric: Metric, trial: &[Vec<Sample>]) -> Option<Pair> {
    let count = |samples: &Vec<Sample>| {
        let counts = samples.iter().map(|sample| Some(metric.of(sample)? as f64)).collect::<Option<_>>()?;
        median(counts)
    };
    let counts = trial.iter().map(count).collect::<Option<Vec<_>>>()?;
    let [old, again, new] = counts.try_into().ok()?;
    let noise = (again.max(1.0) / old.max(1.0)).ln();
    Some(Pair { old, new, noise })
}

/// The median of each turn. Figures of 0 count as 1: nothing has a logarithm.
fn turn_medians(metric: Metric, samples: &[Sample], turns: Turns) -> Option<Vec<f64>> {
    let figures = samples.iter().map(|sample| Some(metric.of(sample)?.max(1) as f64)).collect::<Option<Vec<_>>>()?;
    figures.chunks(turns.length.into()).map(|turn| median(turn.to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(cpu_ns: &[u64]) -> Vec<Sample> {
        cpu_ns.iter().map(|&cpu_ns| Sample { cpu_ns: Some(cpu_ns), ..Sample::default() }).collect()
    }

    #[test]
    fn load_that_comes_and_goes_cancels_out() {
        let turns = Turns { count: 4, length: 1 };
        // The machine is twice as slow in the second and third turn; the new one needs 10% more.
        let trial = [samples(&[100, 200, 200, 100]), samples(&[100, 200, 200, 100]), samples(&[110, 220, 220, 110])];
        let pair = pair(Metric::Cpu, &trial, turns).expect("measured");
        assert!((pair.new / pair.old - 1.1).abs() < 1e-9, "{pair:?}");
        assert!(pair.noise.abs() < 1e-9, "{pair:?}");
    }

    #[test]
    fn a_turn_is_its_median_and_noise_is_the_baseline_against_itself() {
        let turns = Turns { count: 1, length: 3 };
        let trial = [samples(&[100, 100, 900]), samples(&[1, 121, 121]), samples(&[110, 110, 110])];
        let pair = pair(Metric::Cpu, &trial, turns).expect("measured");
        assert!((pair.old - 100.0).abs() < 1e-9 && (pair.new - 110.0).abs() < 1e-9, "{pair:?}");
        assert!((pair.noise - 1.21_f64.ln()).abs() < 1e-9, "{pair:?}");
    }

    #[test]
    fn what_was_not_measured_has_no_pair() {
        let turns = Turns { count: 1, length: 1 };
        let trial = [samples(&[1]), samples(&[1]), vec![Sample::default()]];
        assert_eq!(pair(Metric::Cpu, &trial, turns), None);
        assert_eq!(pair(Metric::Allocations, &trial, turns), None);
    }
}
