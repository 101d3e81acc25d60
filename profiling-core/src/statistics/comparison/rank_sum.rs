//! Mann and Whitney's test for samples that are no pairs.

use super::super::normal;

/// How likely two groups from the same distribution differ by at least so much, either way; by the normal
/// approximation with ties and continuity corrected for, which from 4 against 4 on is within a few
/// thousandths of the exact value.
pub(super) fn p_value(old: &[f64], new: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = old.iter().map(|&value| (value, false)).collect();
    all.extend(new.iter().map(|&value| (value, true)));
    all.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
    let (mut sum, mut before, mut ties) = (0.0, 0.0, 0.0);
    for equal in all.chunk_by(|one, other| one.0.total_cmp(&other.0).is_eq()) {
        let count = equal.len() as f64;
        let rank = before + f64::midpoint(count, 1.0);
        sum += rank * equal.iter().filter(|&&(_, new)| new).count() as f64;
        ties += count.powi(3) - count;
        before += count;
    }
    let (old, new, all) = (old.len() as f64, new.len() as f64, all.len() as f64);
    let variance = old * new / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
    // All values are equal, or there are too few for a variance.
    if variance.is_nan() || variance <= 0.0 {
        return 1.0;
    }
    let off = (sum - new * (all + 1.0) / 2.0).abs() - 0.5;
    (2.0 * normal::above(off.max(0.0) / variance.sqrt())).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_published_figures() {
        // R: wilcox.test(c(0.80,…), c(1.15,…), exact = FALSE), the membrane data of Hollander and Wolfe.
        let [old, new] =
            [&[0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46][..], &[1.15, 0.88, 0.90, 0.74, 1.21]];
        assert!((p_value(old, new) - 0.2447).abs() < 1e-3, "{}", p_value(old, new));
        assert!((p_value(old, new) - p_value(new, old)).abs() < 1e-12);
    }

    #[test]
    fn three_against_three_show_nothing() {
        assert!(p_value(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]) > 0.05);
        assert!(p_value(&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0]) < 0.05);
    }

    #[test]
    fn equal_samples_show_nothing() {
        assert!((p_value(&[7.0; 10], &[7.0; 10]) - 1.0).abs() < 1e-12);
    }
}
