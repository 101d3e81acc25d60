//! Which samples bound a percentile.
//!
//! Of n independent samples, the number below the p-quantile is binomial with n and p, whatever their
//! distribution; so two of the sorted samples enclose the quantile with a certainty that can be computed
//! (Hahn and Meeker, "Statistical Intervals", 1991, section 5.2).

/// What each end may miss: two of them make 95%.
const MISS: f64 = 0.025;

/// The rank, from 1, of the sample that the quantile is at most, with 97.5% certainty; `None` where there
/// are too few samples.
pub(super) fn upper(count: usize, quantile: f64) -> Option<usize> {
    // As many as not all are below the quantile, but for MISS: the smallest k with P(B ≥ k) ≤ MISS.
    tail(count, quantile).map(|included| count - included + 1)
}

/// The rank, from 1, of the sample that the quantile is at least, with 97.5% certainty.
pub(super) fn lower(count: usize, quantile: f64) -> Option<usize> {
    tail(count, 1.0 - quantile)
}

/// How many of the values n, n − 1, … of a binomial variable have at most the probability MISS together.
fn tail(count: usize, probability: f64) -> Option<usize> {
    let odds = ((1.0 - probability) / probability).ln();
    // ln P(B = n), and on from there: P(n) underflows for many samples.
    let mut log = count as f64 * probability.ln();
    let (mut sum, mut included) = (0.0, 0);
    while included < count {
        sum += f64::exp(log);
        if sum > MISS {
            break;
        }
        let value = count - included;
        included += 1;
        log += (value as f64 / included as f64).ln() + odds;
    }
    (included > 0).then_some(included)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_agree_with_tables() {
        // Median of 10: the 2nd and the 9th (97.9 %); of 5 there is no such interval, of 6 the 1st and 6th.
        assert_eq!((lower(10, 0.5), upper(10, 0.5)), (Some(2), Some(9)));
        assert_eq!((lower(5, 0.5), upper(5, 0.5)), (None, None));
        assert_eq!((lower(6, 0.5), upper(6, 0.5)), (Some(1), Some(6)));
        // 0.99^n ≤ 0.025 from n = 368 on.
        assert_eq!((upper(367, 0.99), upper(368, 0.99)), (None, Some(368)));
        // Of 100,000, P(B ≥ 99,063) is the first below 2.5 %: 99,000 + 1.96 · √990 = 99,061.7.
        assert!((99_061..=99_064).contains(&upper(100_000, 0.99).expect("enough")));
        assert_eq!(upper(0, 0.5), None);
    }
}
