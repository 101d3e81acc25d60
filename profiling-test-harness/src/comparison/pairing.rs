//! From the samples of a trial to one pair of figures.
//!
//! Each trial has three contestants: the baseline's binary, the baseline's binary again, and this one. The
//! unit of the comparison is the trial, since samples of one process are not independent. Medians of times are
//! compared within a turn, since its figures were measured at the same time; means and percentiles over the whole
//! trial. The baseline's
//! second worker shows what the noise is and nothing else: to compare with the mean of two would make the
//! pairs lopsided, as times are, and a test of pairs takes either order for equally likely.

use profiling_core::sample::Sample;
use profiling_core::statistics::median;

use super::metric::Metric;
use super::statistic::{self, Statistic};
use crate::supervisor::trial::Turns;

/// This binary's place in a trial, after the baseline's two.
pub(crate) const NEW: usize = 2;
/// The places in a trial: the baseline's binary, the same again, and this one.
pub(crate) const ROLES: [usize; 3] = [0, 1, NEW];

/// What one trial says about a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pair {
    pub old: f64,
    pub new: f64,
    /// The logarithm of the ratio of the baseline to itself.
    pub noise: f64,
    /// What both are in proportion to the medians of the same executions.
    pub shape: (f64, f64),
}

/// The pair of a trial; `None` where the metric was not measured.
pub(crate) fn pair(metric: Metric, statistic: Statistic, trial: &[Vec<Sample>], turns: Turns) -> Option<Pair> {
    let figures = trial.iter().map(|samples| statistic::figures(metric, samples)).collect::<Option<Vec<_>>>()?;
    let figures: [Vec<f64>; ROLES.len()] = figures.try_into().ok()?;
    let typical = if metric.is_time() { by_turns(&figures, turns)? } else { whole(Statistic::P50, &figures)? };
    if statistic == Statistic::P50 {
        return Some(typical);
    }
    let pair = whole(statistic, &figures)?;
    let proportion = |figure: f64, typical: f64| figure.max(1.0) / typical.max(1.0);
    Some(Pair { shape: (proportion(pair.old, typical.old), proportion(pair.new, typical.new)), ..pair })
}

/// The medians, by the ratios of the turns. Figures of 0 count as 1: nothing has a logarithm.
fn by_turns(figures: &[Vec<f64>; ROLES.len()], turns: Turns) -> Option<Pair> {
    let medians = |figures: &Vec<f64>| -> Option<Vec<f64>> {
        let turn = |turn: &[f64]| median(turn.iter().map(|figure| figure.max(1.0)).collect());
        figures.chunks(turns.length.into()).map(turn).collect()
    };
    let [old, again, new] = figures.each_ref().map(medians);
    let (old, again, new) = (old?, again?, new?);
    let change = |from: &[f64], to: &[f64]| median(from.iter().zip(to).map(|(from, to)| (to / from).ln()).collect());
    let (changed, noise) = (change(&old, &new)?, change(&old, &again)?);
    let old = median(old)?;
    Some(Pair { old, new: old * changed.exp(), noise, shape: (1.0, 1.0) })
}

/// A statistic of all executions.
fn whole(statistic: Statistic, figures: &[Vec<f64>; ROLES.len()]) -> Option<Pair> {
    let [old, again, new] = figures.each_ref().map(|figures| statistic.of(figures));
    let (old, again, new) = (old?, again?, new?);
    let noise = (again.max(1.0) / old.max(1.0)).ln();
    Some(Pair { old, new, noise, shape: (1.0, 1.0) })
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
        for statistic in [Statistic::P50, Statistic::Mean] {
            let pair = pair(Metric::Cpu, statistic, &trial, turns).expect("measured");
            assert!((pair.new / pair.old - 1.1).abs() < 1e-9, "{pair:?}");
            assert!(pair.noise.abs() < 1e-9, "{pair:?}");
            assert!((pair.shape.0 - pair.shape.1).abs() < 1e-9, "{pair:?}");
        }
    }

    #[test]
    fn a_turn_is_its_median_and_noise_is_the_baseline_against_itself() {
        let turns = Turns { count: 1, length: 3 };
        let trial = [samples(&[100, 100, 900]), samples(&[1, 121, 121]), samples(&[110, 110, 110])];
        let pair = pair(Metric::Cpu, Statistic::P50, &trial, turns).expect("measured");
        assert!((pair.old - 100.0).abs() < 1e-9 && (pair.new - 110.0).abs() < 1e-9, "{pair:?}");
        assert!((pair.noise - 1.21_f64.ln()).abs() < 1e-9, "{pair:?}");
    }

    #[test]
    fn a_tail_stretches_the_shape_and_a_slower_machine_does_not() {
        let turns = Turns { count: 16, length: 1 };
        let every_sixteenth = |usual: u64, slow: u64| samples(&[[usual; 15].as_slice(), &[slow]].concat());
        let [old, slower, tail] =
            [(100, 100), (105, 105), (100, 300)].map(|(usual, slow)| every_sixteenth(usual, slow));
        let mean = |new: &Vec<Sample>| {
            pair(Metric::Cpu, Statistic::Mean, &[old.clone(), old.clone(), new.clone()], turns).expect("measured")
        };
        assert!((mean(&slower).new - 105.0).abs() < 1e-9 && (mean(&slower).shape.1 - 1.0).abs() < 1e-9);
        assert!((mean(&tail).new - 112.5).abs() < 1e-9 && (mean(&tail).shape.1 - 1.125).abs() < 1e-9);
    }

    #[test]
    fn what_was_not_measured_has_no_pair() {
        let turns = Turns { count: 1, length: 1 };
        let trial = [samples(&[1]), samples(&[1]), vec![Sample::default()]];
        for statistic in Statistic::ALL {
            assert_eq!(pair(Metric::Cpu, statistic, &trial, turns), None);
            assert_eq!(pair(Metric::Allocations, statistic, &trial, turns), None);
        }
    }
}
