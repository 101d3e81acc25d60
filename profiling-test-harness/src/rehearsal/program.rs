//! In which sizes the cases of a job are rehearsed.

use profiling_core::advise::{Advice, Catalogue};
use profiling_core::profile::Rehearsal;
use profiling_core::samples::CaseSamples;

use super::{Size, is_too_fast};
use crate::outcome::Measured;
use crate::report::CaseReport;

/// How often the sizes that the advice has chosen are rehearsed: one that failed makes it choose others.
const ROUNDS: usize = 3;

/// A case with its samples, where it has passed.
type Run = (CaseReport, Option<Measured>);
/// Runs a case with these samples in a size.
type Rehearse<'a> = &'a mut dyn FnMut(&CaseReport, &Size, &CaseSamples) -> Option<Rehearsal>;

/// How the cases of a job are rehearsed.
pub(crate) struct Program<'a> {
    pub catalogue: &'a Catalogue,
    pub rehearse: Rehearse<'a>,
    /// What follows from the cases as they are.
    pub advise: &'a dyn Fn(&[Run]) -> Option<Advice>,
}

impl Program<'_> {
    /// Rehearses every case that has passed in `sizes`; with `all_chosen`, also in those that the advice
    /// recommends, until it recommends none that were not.
    pub(crate) fn run(&mut self, runs: &mut [Run], sizes: &[Size], all_chosen: bool) {
        let mut done: Vec<Size> = Vec::new();
        self.rehearse_in(runs, sizes, &mut done);
        for _ in 0..if all_chosen { ROUNDS } else { 0 } {
            let chosen = (self.advise)(runs).map(|advice| self.chosen(&advice)).unwrap_or_default();
            let chosen: Vec<Size> = chosen.into_iter().filter(|size| !done.contains(size)).collect();
            if chosen.is_empty() {
                break;
            }
            self.rehearse_in(runs, &chosen, &mut done);
        }
        if let (true, true, Some((report, _))) = (all_chosen, done.len() == sizes.len(), runs.first()) {
            complain!("note: {} is not rehearsed: its advice has chosen no size", report.case.job.name);
        }
    }

    fn rehearse_in(&mut self, runs: &mut [Run], sizes: &[Size], done: &mut Vec<Size>) {
        done.extend_from_slice(sizes);
        let (possible, too_fast): (Vec<&Size>, Vec<&Size>) = sizes.iter().partition(|size| !is_too_fast(size));
        for size in too_fast {
            let Some((report, _)) = runs.first() else { return };
            complain!("note: {} is not rehearsed at {}: this machine has fewer CPUs", report.case.job.name, size.name);
        }
        for (report, measured) in runs {
            let Some(measured) = measured else { continue };
            let rehearse = |size: &&Size| (self.rehearse)(report, size, &measured.samples);
            let rehearsed: Vec<Rehearsal> = possible.iter().filter_map(rehearse).collect();
            if let Ok(profile) = &mut report.result {
                profile.rehearsals.extend(rehearsed);
            }
        }
    }

    fn chosen(&self, advice: &Advice) -> Vec<Size> {
        let size = |chosen: &profiling_core::profile::OfferedSize| {
            Size::offered(self.catalogue, &chosen.platform, chosen.memory_mb, Some(chosen.vcpu)).ok()
        };
        advice.chosen_sizes().iter().filter_map(size).collect()
    }
}
