//! One sum of terms, fitted: how well it does, by two measures.

use super::observations::{FEWEST, Observations};
use super::ratios::{Fit, deviation, relative};
use super::term::Term;

/// What is left may be so many times what the spread of the samples explains, to be explained by it.
const EXPLAINED: f64 = 4.0;

/// A sum of terms with the coefficients that fit best.
#[derive(Debug, Clone)]
pub(super) struct Candidate<'a> {
    pub(super) terms: Vec<Term>,
    pub(super) seen: &'a Observations,
    fit: Fit,
    /// Akaike's criterion; the least is the best.
    pub(super) criterion: f64,
}

impl<'a> Candidate<'a> {
    /// `None` where a term has no part in the best fit (it is then that of a smaller sum), or where
    /// nothing could contradict it, because there are as many unknowns as levels.
    pub(super) fn fit(terms: &[Term], seen: &'a Observations) -> Option<Self> {
        if seen.len() <= terms.len() {
            return None;
        }
        let fit = fit(terms, seen);
        let is_zero = terms.iter().all(Term::is_constant) && seen.worst.iter().all(|&worst| worst <= 0.0);
        let is_whole = is_zero || fit.coefficients.iter().all(|&coefficient| coefficient > 0.0);
        let growing = terms.iter().filter(|term| !term.is_constant()).count();
        let criterion = criterion(fit.squares, growing, seen)?;
        let candidate = Self { terms: terms.to_vec(), seen, fit, criterion };
        (is_whole && candidate.is_positive_where_seen()).then_some(candidate)
    }

    /// Whether it is above zero wherever the figure is, so that it can be scaled to cover that.
    fn is_positive_where_seen(&self) -> bool {
        self.seen.levels.iter().zip(&self.seen.worst).all(|(levels, &worst)| worst <= 0.0 || self.at(levels) > 0.0)
    }

    pub(super) fn coefficients(&self) -> &[f64] {
        &self.fit.coefficients
    }

    pub(super) fn at(&self, levels: &[u64]) -> f64 {
        value(&self.terms, &self.fit.coefficients, levels)
    }

    /// The variance of the deviations, by their degrees of freedom, and these.
    pub(super) fn variance(&self) -> (f64, usize) {
        let degrees = self.seen.len() - self.terms.len();
        ((self.fit.squares / degrees as f64).max(self.seen.least_variance), degrees)
    }

    /// Each coefficient's variance; `None` where they can't be told apart.
    pub(super) fn variances(&self) -> Option<Vec<f64>> {
        let (variance, _) = self.variance();
        Some(self.fit.variances()?.into_iter().map(|factor| factor * variance).collect())
    }

    /// The root of the mean square of the deviations.
    pub(super) fn misfit(&self) -> f64 {
        (self.fit.squares / self.seen.len() as f64).sqrt()
    }

    /// By how much of the figure the fit is off at the level where that is the most.
    pub(super) fn max_relative_residual(&self) -> f64 {
        let off =
            self.seen.levels.iter().zip(&self.seen.centres).map(|(levels, centre)| relative(self.at(levels), *centre));
        off.fold(0.0, f64::max)
    }

    /// The share of the variance of the figures' logarithms that the fit explains; 1 where there is none.
    pub(super) fn r_squared(&self) -> f64 {
        let logarithms: Vec<f64> = self.seen.centres.iter().map(|&centre| deviation(centre, 0.0)).collect();
        let mean = logarithms.iter().sum::<f64>() / logarithms.len() as f64;
        let between: f64 = logarithms.iter().map(|logarithm| (logarithm - mean).powi(2)).sum();
        // Rounding leaves something of nothing.
        if between <= 1e-12 { 1.0 } else { (1.0 - self.fit.squares / between).clamp(0.0, 1.0) }
    }

    /// The root of the mean square of the deviations at levels that were left out of the fit, one at a time.
    pub(super) fn left_out_error(&self) -> f64 {
        let off = (0..self.seen.len()).map(|at| {
            let predicted = value(&self.terms, &self.fit.without(at), &self.seen.levels[at]);
            deviation(predicted, self.seen.centres[at])
        });
        (off.map(|off| off.powi(2)).sum::<f64>() / self.seen.len() as f64).sqrt()
    }

    /// Whether the terms of the other are among its own, which are more.
    pub(super) fn extends(&self, other: &Self) -> bool {
        self.terms.len() > other.terms.len() && other.terms.iter().all(|term| self.terms.contains(term))
    }

    /// The terms that no other one grows as fast as.
    pub(super) fn leading(&self) -> Vec<&Term> {
        leading(&self.terms)
    }
}

/// The terms that no other one grows as fast as.
pub(super) fn leading(terms: &[Term]) -> Vec<&Term> {
    let leads = |term: &&Term| terms.iter().all(|other| other == *term || !other.dominates(term));
    terms.iter().filter(leads).collect()
}

/// Fits the terms; some coefficients may be 0.
pub(super) fn fit(terms: &[Term], seen: &Observations) -> Fit {
    let column = |term: &Term| seen.levels.iter().map(|levels| term.at(levels)).collect();
    Fit::new(&terms.iter().map(column).collect::<Vec<_>>(), &seen.centres)
}

/// The value of a sum of terms.
pub(super) fn value(terms: &[Term], coefficients: &[f64], levels: &[u64]) -> f64 {
    terms.iter().zip(coefficients).map(|(term, coefficient)| coefficient * term.at(levels)).sum()
}

/// Akaike's information criterion with the correction for few observations (Hurvich and Tsai, "Regression
/// and Time Series Model Selection in Small Samples", 1989). The observations are the levels: what the
/// samples of one level have in common is no evidence.
///
/// What the fit leaves is either what the spread of the samples explains, whose variance is known, with
/// nothing to correct; or has one more unknown, its variance. The likelier of the two counts.
///
/// The constant is an unknown of every sum, whether it is zero in the best fit or not: every execution costs
/// something.
///
/// `None` where there are so few levels that only the spread of the samples could tell, and doesn't.
pub(super) fn criterion(squares: f64, growing: usize, seen: &Observations) -> Option<f64> {
    let (count, unknowns) = (seen.len() as f64, growing as f64 + 1.0);
    let known = count * seen.least_variance.ln() + squares / seen.least_variance + 2.0 * unknowns;
    let freedom = count - unknowns - 2.0;
    if squares <= count * seen.least_variance {
        return Some(known);
    }
    // Of so few levels the correction would be infinite for all that grow: then it is left out for all.
    let few = seen.len() <= FEWEST;
    if freedom < f64::from(!few) {
        return (squares <= EXPLAINED * count * seen.least_variance).then_some(known);
    }
    let unknowns = unknowns + 1.0;
    let correction = if few { 0.0 } else { 2.0 * unknowns * (unknowns + 1.0) / freedom };
    Some(known.min(count * (squares / count).ln() + count + 2.0 * unknowns + correction))
}
