//! Where the level of a series has changed.

use serde::Serialize;

/// A level that lasts for fewer runs is taken for an accident.
const SHORTEST: usize = 3;
/// Runs on either side that say what is usual around one.
const NEIGHBOURS: usize = 3;
/// What is farther from that, in standard deviations of the noise, is a spike.
const SPIKE: f64 = 2.0;
/// The least noise, as a share: below it, counts that repeat would have none at all.
const LEAST_NOISE: f64 = 1e-6;
/// What a level has to save to be a candidate. Few that are there cost as much, and those that are not hardly
/// make the noise look smaller.
const CANDIDATE: f64 = 8.0;
/// The least variance, in squares of the first estimate of the noise.
const LEAST_VARIANCE: f64 = 0.05;
/// From the median of absolute values to the standard deviation, if they are normal.
const TO_DEVIATION: f64 = 1.4826;

/// A run from which on a figure has another level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ChangePoint {
    /// The first run at the new level, from 0.
    pub at: usize,
    /// The median before it, since the change point before.
    pub before: u64,
    /// The median from it on, up to the next change point.
    pub after: u64,
    /// The change as a share of the level before: 0.1 is 10% more. Infinite, `null` in JSON, from 0 on.
    pub effect: f64,
}

/// The change points of a figure over runs, the oldest run first.
///
/// It finds the levels that lie closest to the logarithms of the figures, by the squares of the distances,
/// where every further level has to pay for itself (Jackson et al., "An Algorithm for Optimal Partitioning of
/// Data on an Interval", 2005). It pays in variances of the noise, which is what cheaper levels leave over. A
/// run that is far from those around it is first moved closer, so that it doesn't pull the level (Hampel's
/// filter). A level has at least three runs: one or two that stand out are no change yet.
///
/// ```
/// use profiling_core::statistics::change_points;
///
/// let series = [100, 101, 160, 99, 100, 102, 98, 100, 120, 121, 119, 120, 122, 118];
/// let found = change_points(&series);
/// assert_eq!((found.len(), found[0].at, found[0].before, found[0].after), (1, 8, 100, 120));
/// ```
#[must_use]
pub fn change_points(series: &[u64]) -> Vec<ChangePoint> {
    if series.len() < 2 * SHORTEST {
        return Vec::new();
    }
    let logarithms: Vec<f64> = series.iter().map(|&figure| super::logarithm(figure as f64)).collect();
    let values = without_spikes(&logarithms, noise(&logarithms));
    let candidates = levels(&values, CANDIDATE);
    let levels = levels(&values, price(series.len()) * variance(&values, &candidates));
    let medians: Vec<u64> = levels.windows(2).map(|level| median(series[level[0]..level[1]].to_vec())).collect();
    let changes = medians.windows(2).zip(&levels[1..]).map(|(level, &at)| {
        let (before, after) = (level[0], level[1]);
        ChangePoint { at, before, after, effect: after as f64 / before as f64 - 1.0 }
    });
    changes.collect()
}

/// The standard deviation of the noise, from successive runs: few of those are at different levels.
fn noise(logarithms: &[f64]) -> f64 {
    let mut steps: Vec<f64> = logarithms.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    let middle = steps.len() / 2;
    let typical = *steps.select_nth_unstable_by(middle, f64::total_cmp).1;
    (TO_DEVIATION * typical / std::f64::consts::SQRT_2).max(LEAST_NOISE)
}

/// The values in units of the noise, those that are far from their neighbours' median brought closer.
fn without_spikes(logarithms: &[f64], noise: f64) -> Vec<f64> {
    let near = |at: usize| {
        let around = at.saturating_sub(NEIGHBOURS)..logarithms.len().min(at + NEIGHBOURS + 1);
        let mut around: Vec<f64> = logarithms[around].to_vec();
        around.sort_unstable_by(f64::total_cmp);
        let (low, high) = (around[(around.len() - 1) / 2], around[around.len() / 2]);
        logarithms[at].clamp(low - SPIKE * noise, high + SPIKE * noise) / noise
    };
    (0..logarithms.len()).map(near).collect()
}

/// What one more level costs, in variances of the noise: as much as chance saves by one in a hundredth of all
/// series without a change, as simulated. The fewer runs, the less is the variance known.
fn price(runs: usize) -> f64 {
    17.0 + 110.0 / runs as f64
}

/// The variance around these levels, of which the last one ends the values.
fn variance(values: &[f64], levels: &[usize]) -> f64 {
    let squares = |level: &[usize]| {
        let values = &values[level[0]..level[1]];
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.iter().map(|value| (value - mean).powi(2)).sum::<f64>()
    };
    let free = values.len() - (levels.len() - 1);
    (levels.windows(2).map(squares).sum::<f64>() / free as f64).max(LEAST_VARIANCE)
}

/// Where the cheapest levels begin; 0 and the number of values are among them.
fn levels(values: &[f64], price: f64) -> Vec<usize> {
    // For each number of values from the start: what its levels cost, and where the last one begins.
    let mut cheapest = vec![(0.0, 0); values.len() + 1];
    for end in 1..=values.len() {
        let mut best = (f64::INFINITY, 0);
        let (mut mean, mut squares) = (0.0, 0.0);
        for start in (0..end).rev() {
            // Welford's way, which loses no digits.
            let length = (end - start) as f64;
            let off = values[start] - mean;
            mean += off / length;
            squares += off * (values[start] - mean);
            let reachable = start == 0 || start >= SHORTEST;
            let cost = squares + if start == 0 { 0.0 } else { cheapest[start].0 + price };
            if end - start >= SHORTEST && reachable && cost < best.0 {
                best = (cost, start);
            }
        }
        cheapest[end] = best;
    }
    let mut starts = vec![values.len()];
    while let Some(&end) = starts.last().filter(|&&end| end > 0) {
        starts.push(cheapest[end].1);
    }
    starts.reverse();
    starts
}

/// By the nearest rank.
fn median(mut figures: Vec<u64>) -> u64 {
    let middle = (figures.len() - 1) / 2;
    *figures.select_nth_unstable(middle).1
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use fastrand::Rng;
    use proptest::prelude::*;

    use super::*;

    fn normal(random: &mut Rng) -> f64 {
        (-2.0 * (1.0 - random.f64()).ln()).sqrt() * (TAU * random.f64()).cos()
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "nanoseconds")]
    fn figure(level: f64, off: f64) -> u64 {
        (1e7 * level * off.exp()) as u64
    }

    /// Around 1 with a noise of 3%, and 10% above it in some runs.
    fn series(runs: usize, higher: std::ops::Range<usize>, random: &mut Rng) -> Vec<u64> {
        let level = |at: usize| if higher.contains(&at) { 1.1 } else { 1.0 };
        (0..runs).map(|at| figure(level(at), 0.03 * normal(random))).collect()
    }

    #[test]
    fn noise_is_no_change() {
        let mut random = Rng::with_seed(1);
        for runs in [6, 10, 20, 60] {
            let found = (0..1000).filter(|_| !change_points(&series(runs, 0..0, &mut random)).is_empty()).count();
            assert!(found <= 10, "{found} of 1,000 series of {runs}");
        }
    }

    #[test]
    fn a_step_is_found_where_it_is() {
        let mut random = Rng::with_seed(2);
        for (runs, higher, fewest) in [(20, 10..20, 180), (30, 25..30, 180), (60, 20..40, 190)] {
            let changes = [higher.start, higher.end].into_iter().filter(|&at| at < runs);
            let changes: Vec<usize> = changes.collect();
            let found = (0..200).filter(|_| {
                let found = change_points(&series(runs, higher.clone(), &mut random));
                found.len() == changes.len() && found.iter().zip(&changes).all(|(f, &at)| f.at.abs_diff(at) <= 1)
            });
            let found = found.count();
            assert!(found >= fewest, "{found} of 200 with {runs} runs, of which {higher:?} are higher");
        }
    }

    #[test]
    fn counts_change_by_one() {
        let mut counts = vec![100_000; 8];
        counts[3] = 100_007;
        assert_eq!(change_points(&counts), []);
        counts.extend([100_001; 5]);
        let found = change_points(&counts);
        assert_eq!((found.len(), found[0].at, found[0].after), (1, 8, 100_001));
        assert!((found[0].effect - 1e-5).abs() < 1e-9);
    }

    #[test]
    fn nothing_and_something_are_levels() {
        let found = change_points(&[0, 0, 0, 0, 5, 5, 5, 5, 0, 0, 0, 0]);
        assert_eq!(found.iter().map(|change| change.at).collect::<Vec<usize>>(), [4, 8]);
        assert!(found[0].effect.is_infinite() && (found[1].effect + 1.0).abs() < 1e-9);
        assert_eq!(change_points(&[0; 20]), []);
    }

    #[test]
    fn fewer_than_two_levels_of_runs_have_none() {
        assert_eq!(change_points(&[]), []);
        assert_eq!(change_points(&[1, 1, 1, 9, 9]), []);
        assert_eq!(change_points(&[1, 1, 1, 9, 9, 9]).len(), 1);
    }

    proptest! {
        #[test]
        fn levels_are_long_enough_and_in_order(series in prop::collection::vec(0_u64..1000, 0..60)) {
            let mut starts: Vec<usize> = change_points(&series).iter().map(|change| change.at).collect();
            starts.insert(0, 0);
            starts.push(series.len());
            prop_assert!(starts.windows(2).all(|level| series.len() < 6 || level[0] + SHORTEST <= level[1]));
        }
    }
}
