//! Counts, such as that of allocations, run by run.
//!
//! Both versions execute the same runs. If every run counts the same whenever it is executed, then the sums over
//! all runs say exactly what has changed, even if it is one allocation in every sixteenth execution: a median
//! doesn't show that.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::pairing::{NEW, ROLES};

/// The counts of all trials of a metric.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// What every run counted, by the number of the trial's first execution; the baseline's and this version's.
    blocks: BTreeMap<u64, [Vec<f64>; 2]>,
    trials: usize,
    varied: bool,
}

impl Counts {
    /// Takes the counts of a trial that began with this execution.
    pub(super) fn take(&mut self, first: u64, trial: [Vec<f64>; ROLES.len()]) {
        self.trials += 1;
        let [old, again, new] = trial;
        self.varied |= old != again;
        match self.blocks.entry(first) {
            Entry::Vacant(entry) => {
                entry.insert([old, new]);
            }
            Entry::Occupied(entry) => self.varied |= *entry.get() != [old, new],
        }
    }

    /// The mean of either version over all runs; `None` where a run has counted differently, or was not seen.
    pub(super) fn repeated(&self) -> Option<(f64, f64)> {
        if self.varied || self.trials == 0 {
            return None;
        }
        let mean = |side: usize| {
            let runs = || self.blocks.values().flat_map(move |block| &block[side]);
            runs().sum::<f64>() / runs().count().max(1) as f64
        };
        Some((mean(0), mean(NEW - 1)))
    }

    pub(super) fn trials(&self) -> usize {
        self.trials
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_sixteenth(more: f64) -> Vec<f64> {
        (0..32).map(|run| if run % 16 == 3 { 100.0 + more } else { 100.0 }).collect()
    }

    #[test]
    fn one_more_in_every_sixteenth_run_is_in_the_mean() {
        let mut counts = Counts::default();
        for _ in 0..10 {
            counts.take(0, [every_sixteenth(0.0), every_sixteenth(0.0), every_sixteenth(1.0)]);
        }
        assert_eq!(counts.repeated(), Some((100.0, 100.0625)));
        assert_eq!(counts.trials(), 10);
    }

    #[test]
    fn the_parts_of_a_cycle_add_up() {
        let mut counts = Counts::default();
        for trial in 0..8 {
            let new = if trial % 4 == 3 { vec![8.0, 7.0] } else { vec![7.0, 7.0] };
            counts.take(trial % 4 * 2, [vec![7.0; 2], vec![7.0; 2], new]);
        }
        assert_eq!(counts.repeated(), Some((7.0, 7.125)));
    }

    #[test]
    fn what_counts_differently_in_the_same_run_does_not_repeat() {
        assert_eq!(Counts::default().repeated(), None);
        let mut counts = Counts::default();
        counts.take(0, [vec![1.0, 2.0], vec![1.0, 2.0], vec![1.0, 2.0]]);
        assert_eq!(counts.repeated(), Some((1.5, 1.5)), "runs may differ from each other");
        let mut of_the_new = Counts::default();
        of_the_new.take(0, [vec![1.0], vec![1.0], vec![1.0]]);
        of_the_new.take(0, [vec![1.0], vec![1.0], vec![2.0]]);
        assert_eq!(of_the_new.repeated(), None);
        counts.take(0, [vec![1.0, 2.0], vec![2.0, 1.0], vec![1.0, 2.0]]);
        assert_eq!(counts.repeated(), None, "the baseline differs from itself");
    }
}
