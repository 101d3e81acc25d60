//! How far off a sum of terms is beyond its range.

use serde::{Deserialize, Serialize};

use super::candidate::{fit, value};
use super::observations::Observations;
use super::ratios::relative;
use super::term::Term;

/// What came of fitting the same terms without the top level, and predicting that.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// How many times the level below it the top level is.
    pub ratio: f64,
    /// By how much of the figure the prediction was off.
    pub error: f64,
}

impl HeldOut {
    /// The worst over the parameters; `None` where for one of them too few levels are left to fit.
    pub(super) fn measure(terms: &[Term], seen: &Observations) -> Option<Self> {
        let measured = seen.ranges().into_iter().enumerate();
        let measured: Option<Vec<Self>> =
            measured.map(|(position, (_, top))| Self::without(position, top, terms, seen)).collect();
        measured?.into_iter().max_by(|a, b| a.error.total_cmp(&b.error))
    }

    fn without(position: usize, top: u64, terms: &[Term], seen: &Observations) -> Option<Self> {
        let rest = seen.only(|levels| levels[position] < top);
        let next = rest.levels.iter().map(|levels| levels[position]).max().filter(|&next| next > 0)?;
        if rest.len() <= terms.len() {
            return None;
        }
        let coefficients = fit(terms, &rest).coefficients;
        let held_out = (0..seen.len()).filter(|&at| seen.levels[at][position] == top);
        let off = held_out.map(|at| relative(value(terms, &coefficients, &seen.levels[at]), seen.centres[at]));
        Some(Self { ratio: top as f64 / next as f64, error: off.fold(0.0, f64::max) })
    }
}
