//! Which sum of terms a figure's growth is, if that can be said.

use super::candidate::{Candidate, criterion};
use super::observations::Observations;
use super::ratios::{Fit, deviation};
use super::term::{Term, growing, sums};
use super::{Unidentifiable, shape};

/// What is chosen has to be better by this much of the criterion than sums that grow otherwise. The
/// criterion's difference is twice the logarithm of how much likelier one is than the other: e² = 7 times.
const CLEARLY: f64 = 6.0;
/// A further term has to be worth this much, e⁴ = 55 times: there are many of them, and one of them follows
/// the noise.
const WORTH: f64 = 8.0;
/// What is better by this much is chosen even where it did worse at the levels that were left out.
const SURELY: f64 = 16.0;
/// A sum that is off by more than a factor of two, in the root of the mean square, describes nothing,
const MISFIT: f64 = std::f64::consts::LN_2;
/// unless the growth is so large that it still explains this share of its variance.
const EXPLAINED: f64 = 0.96;
/// What grows otherwise has to do so much worse at the levels that were left out.
const LEFT_OUT: f64 = 1.0;
/// A threshold is seen where it leaves so little of the misfit, and is clearly better.
const THRESHOLD: f64 = 0.7;
/// Where what rises above it is not what was chosen, a little better is doubt enough: so much of the misfit,
/// and so much of the criterion.
const DOUBT: (f64, f64) = (0.85, 2.0);

/// Chooses by both measures; what they don't agree on, or what several sums describe equally well, can't
/// be said.
pub(super) fn choose<'a>(seen: &'a Observations, names: &[&str]) -> Result<Candidate<'a>, Unidentifiable> {
    let parameters = names.len();
    let candidates: Vec<Candidate<'_>> =
        sums(parameters).iter().filter_map(|terms| Candidate::fit(terms, seen)).collect();
    let Some(least) = candidates.iter().map(|candidate| candidate.criterion).min_by(f64::total_cmp) else {
        return Err(Unidentifiable::TooFewLevels { levels: seen.len() });
    };
    let best = candidates.iter().find(|candidate| candidate.criterion <= least).expect("the least is one of them");
    // Of what can hardly be told from the best, the smallest: a term has to be worth it.
    let mut simpler: Vec<&Candidate<'_>> = candidates
        .iter()
        .filter(|candidate| best.extends(candidate) && candidate.criterion < best.criterion + WORTH)
        .collect();
    simpler.sort_by(|a, b| a.terms.len().cmp(&b.terms.len()).then(a.criterion.total_cmp(&b.criterion)));
    let chosen = simpler.first().copied().unwrap_or(best);
    if chosen.misfit() > MISFIT && chosen.r_squared() < EXPLAINED {
        return Err(Unidentifiable::NothingFits { off: chosen.misfit() });
    }
    if let Some(threshold) = Threshold::better_than(chosen) {
        return Err(threshold);
    }
    match rival(chosen, &candidates) {
        None => Ok(chosen.clone()),
        Some(rival) => {
            let [first, second] = [chosen, rival].map(|candidate| shape(&candidate.terms, names));
            Err(Unidentifiable::EquallyGood { first, second })
        }
    }
}

/// A sum that grows otherwise than the chosen one and does nearly as well.
fn rival<'c, 'a>(chosen: &Candidate<'_>, candidates: &'c [Candidate<'a>]) -> Option<&'c Candidate<'a>> {
    // With and without a constant.
    let (alike, others): (Vec<_>, Vec<_>) =
        candidates.iter().partition(|candidate| candidate.leading() == chosen.leading());
    let criterion = alike.iter().map(|candidate| candidate.criterion).fold(chosen.criterion, f64::min);
    let error = alike.iter().map(|candidate| candidate.left_out_error()).fold(f64::INFINITY, f64::min);
    let is_rival = |other: &&Candidate<'_>| {
        let behind = other.criterion - criterion;
        behind < CLEARLY || (behind < SURELY && other.left_out_error() < LEFT_OUT * error)
    };
    others.into_iter().filter(|other| !other.extends(chosen)).find(is_rival)
}

/// `max(c, b · term)` of one parameter: something that is constant at first and then grows.
struct Threshold {
    term: Term,
    /// The last level at which it is constant.
    level: u64,
    /// The sum of the squares of the deviations.
    squares: f64,
}

impl Threshold {
    /// The reason why the chosen sum is none, where a threshold describes the figures far better.
    fn better_than(chosen: &Candidate<'_>) -> Option<Unidentifiable> {
        let seen = chosen.seen;
        let [_] = seen.ranges()[..] else { return None };
        let terms = growing(1);
        let thresholds = terms.iter().flat_map(|term| (1..seen.len()).filter_map(|split| Self::fit(term, split, seen)));
        let best = thresholds.min_by(|a, b| a.squares.total_cmp(&b.squares))?;
        let misfit = (best.squares / seen.len() as f64).max(seen.least_variance).sqrt();
        let leading = chosen.leading()[0];
        let (share, better_by) =
            if *leading == best.term || leading.is_constant() { (THRESHOLD, CLEARLY) } else { DOUBT };
        let is_better = criterion(best.squares, 1, seen)? + better_by < chosen.criterion;
        (is_better && misfit < share * chosen.misfit()).then_some(Unidentifiable::Threshold { level: best.level })
    }

    /// Constant over the lowest `split` levels, and the term over the others. `None` with a single level on one
    /// side: anything can be a threshold then.
    fn fit(term: &Term, split: usize, seen: &Observations) -> Option<Self> {
        let mut order: Vec<usize> = (0..seen.len()).collect();
        order.sort_by_key(|&at| seen.levels[at][0]);
        let (flat, rising) = order.split_at(split);
        let solve = |members: &[usize], value: &dyn Fn(&[u64]) -> f64| {
            let column = members.iter().map(|&at| value(&seen.levels[at])).collect();
            let figures: Vec<f64> = members.iter().map(|&at| seen.centres[at]).collect();
            Fit::new(&[column], &figures).coefficients[0]
        };
        let (constant, slope) = (solve(flat, &|_| 1.0), solve(rising, &|levels| term.at(levels)));
        let off = |&at: &usize| deviation(constant.max(slope * term.at(&seen.levels[at])), seen.centres[at]);
        let squares: f64 = order.iter().map(|at| off(at).powi(2)).sum();
        let level = seen.levels[*flat.last()?][0];
        (flat.len() > 1 && rising.len() > 1).then(|| Self { term: term.clone(), level, squares })
    }
}
