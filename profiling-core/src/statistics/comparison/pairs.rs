//! The rank-sum test for pairs, and the shift that belongs to it.

use super::super::normal;

/// Up to so many pairs the distribution is counted out; beyond, the normal one is near enough.
const EXACT: usize = 50;

/// The two values of each pair: old, new.
pub(super) type Values = [(f64, f64)];

/// How far the new values lie above the old ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shift {
    pub(super) centre: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// How likely the ranks of old and new values are at least as far apart as these, either way, if chance
/// alone has said which value of each pair is the old one.
///
/// Up to 50 pairs it is exact, with equal values too: all ways to swap are tried, in effect.
pub(super) fn p_value(pairs: &Values) -> f64 {
    let leads = Leads::of(pairs, 0.0);
    (2.0 * leads.at_least(leads.ahead.max(leads.all - leads.ahead))).min(1.0)
}

/// The p-value of so many pairs that all differ in the same direction.
pub(super) fn least_p_value(pairs: usize) -> f64 {
    0.5_f64.powf(pairs as f64 - 1.0)
}

/// The median of the differences of every new value and every old one, with the interval of the shifts after
/// which the test doesn't reject with an error of `tail` on either side. An end is infinite where there are
/// too few pairs for one.
pub(super) fn shift(pairs: &Values, tail: f64) -> Shift {
    let news = pairs.iter().map(|&(_, new)| new);
    let mut differences: Vec<f64> = news.flat_map(|new| pairs.iter().map(move |&(old, _)| new - old)).collect();
    differences.sort_unstable_by(f64::total_cmp);
    let centre = f64::midpoint(differences[(differences.len() - 1) / 2], differences[differences.len() / 2]);
    differences.dedup();
    let gaps = gaps(&differences);
    let too_small = gaps.partition_point(|&gap| Leads::of(pairs, gap).reject(tail));
    let too_large = gaps.partition_point(|&gap| !Leads::of(pairs, gap).swapped().reject(tail));
    let before = |gap: usize| match gap.checked_sub(1) {
        None => f64::NEG_INFINITY,
        Some(last) if last == differences.len() => f64::INFINITY,
        Some(difference) => differences[difference],
    };
    Shift { centre, low: before(too_small), high: before(too_large) }
}

/// A value before each of the sorted ones, between it and the one before it; and one after the last.
fn gaps(sorted: &[f64]) -> Vec<f64> {
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else { return vec![0.0] };
    let between = sorted.windows(2).map(|pair| f64::midpoint(pair[0], pair[1]));
    std::iter::once(first - 1.0).chain(between).chain([last + 1.0]).collect()
}

/// By how many ranks the new value of each pair is ahead of its old one or behind, among the values of all
/// pairs. Doubled, so that the mean rank of equal values is whole.
struct Leads {
    sizes: Vec<usize>,
    /// The sum of the sizes.
    all: usize,
    /// The sum of those with the new value ahead.
    ahead: usize,
}

impl Leads {
    /// After the new values were lowered by `shift`.
    fn of(pairs: &Values, shift: f64) -> Self {
        let mut values: Vec<(f64, usize, isize)> = Vec::with_capacity(2 * pairs.len());
        for (at, &(old, new)) in pairs.iter().enumerate() {
            values.extend([(old, at, -1), (new - shift, at, 1)]);
        }
        values.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
        let mut leads = vec![0; pairs.len()];
        let mut before = 0;
        for equal in values.chunk_by(|one, other| one.0.total_cmp(&other.0).is_eq()) {
            let rank = (2 * before + equal.len() + 1).cast_signed();
            for &(_, at, side) in equal {
                leads[at] += side * rank;
            }
            before += equal.len();
        }
        let ahead = leads.iter().filter(|&&lead| lead > 0).map(|lead| lead.unsigned_abs()).sum();
        let sizes: Vec<usize> = leads.into_iter().map(isize::unsigned_abs).collect();
        Self { all: sizes.iter().sum(), sizes, ahead }
    }

    /// With old and new in each other's place.
    fn swapped(self) -> Self {
        Self { ahead: self.all - self.ahead, ..self }
    }

    /// Whether the new values are so far ahead that it happens with at most this probability.
    fn reject(&self, tail: f64) -> bool {
        let off = self.ahead as f64 - self.all as f64 / 2.0;
        // Far out, a bound on the probability is enough, and quicker (Hoeffding 1963).
        off > 0.0 && (off * off >= -2.0 * tail.ln() * self.variance() || self.at_least(self.ahead) <= tail)
    }

    fn variance(&self) -> f64 {
        self.sizes.iter().map(|&size| (size as f64 / 2.0).powi(2)).sum()
    }

    /// How likely so many ranks are ahead, or more, if each pair is as likely to be swapped as not.
    fn at_least(&self, ahead: usize) -> f64 {
        let behind = self.all - ahead;
        if self.sizes.len() <= EXACT {
            return self.ways(behind) / 2.0_f64.powf(self.sizes.len() as f64);
        }
        // Less a half for continuity, which is 1 of the doubled ranks.
        let off = (ahead as f64 - behind as f64) / 2.0 - 1.0;
        if self.all > 0 { normal::above(off / self.variance().sqrt()) } else { 1.0 }
    }

    /// How many ways there are to swap pairs that leave at most so many ranks behind.
    fn ways(&self, behind: usize) -> f64 {
        // Without equal values, all doubled ranks are even.
        let unit = if self.sizes.iter().all(|size| size % 2 == 0) { 2 } else { 1 };
        let most = behind / unit;
        let mut ways = vec![0.0; most + 1];
        ways[0] = 1.0;
        for size in self.sizes.iter().map(|size| size / unit) {
            for sum in (size..=most).rev() {
                ways[sum] += ways[sum - size];
            }
        }
        ways.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn against(old: &[f64], new: &[f64]) -> Vec<(f64, f64)> {
        old.iter().copied().zip(new.iter().copied()).collect()
    }

    /// Ranks counted as the definition says, and every way to swap tried.
    fn by_hand(pairs: &Values) -> f64 {
        let values: Vec<f64> = pairs.iter().flat_map(|&(old, new)| [old, new]).collect();
        let rank = |value: f64| {
            let below = values.iter().filter(|&&other| other < value).count();
            let equal = values.iter().filter(|&&other| other <= value).count() - below;
            (2 * below + equal + 1) as f64 / 2.0
        };
        let leads: Vec<f64> = pairs.iter().map(|&(old, new)| rank(new) - rank(old)).collect();
        let seen = leads.iter().sum::<f64>().abs();
        let as_far = (0_u32..1 << pairs.len()).filter(|swaps| {
            let swapped = leads.iter().enumerate().map(|(at, lead)| if swaps >> at & 1 == 1 { -lead } else { *lead });
            swapped.sum::<f64>().abs() >= seen - 1e-9
        });
        as_far.count() as f64 / f64::from(1_u32 << pairs.len())
    }

    #[test]
    fn five_pairs_show_nothing_and_six_do() {
        let [old, new] = [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [11.0, 12.0, 13.0, 14.0, 15.0, 16.0]];
        assert!((p_value(&against(&old[1..], &new[1..])) - 0.0625).abs() < 1e-12);
        assert!((p_value(&against(&old, &new)) - 0.031_25).abs() < 1e-12);
        assert!(shift(&against(&old[1..], &new[1..]), 0.025).low.is_infinite());
        let shift = shift(&against(&old, &new), 0.025);
        assert!((shift.centre - 10.0).abs() < 1e-9 && shift.low > 4.0 && shift.high < 16.0, "{shift:?}");
    }

    #[test]
    fn equal_values_are_no_trouble() {
        for count in [20, 80] {
            assert!((p_value(&vec![(7.0, 7.0); count]) - 1.0).abs() < 1e-12);
            let Shift { centre, low, high } = shift(&vec![(7.0, 9.0); count], 0.025);
            assert!([centre, low, high].iter().all(|end| (end - 2.0).abs() < 1e-12), "{centre} {low} {high}");
        }
    }

    #[test]
    fn the_approximation_joins_the_exact_values() {
        let pairs = |count: u32| -> Vec<(f64, f64)> {
            (0..count).map(|at| (f64::from(at * 37 % 50), f64::from(at * 23 % 50) + 8.3)).collect()
        };
        let [exact, near] = [50, 51].map(|count| p_value(&pairs(count)));
        assert!((exact / near - 1.0).abs() < 0.3, "{exact} {near}");
        let [exact, near] = [50, 51].map(|count| shift(&pairs(count), 0.025));
        assert!((exact.low - near.low).abs() < 1.0 && (exact.high - near.high).abs() < 1.0, "{exact:?} {near:?}");
    }

    proptest! {
        #[test]
        fn all_ways_to_swap_are_counted(pairs in prop::collection::vec((0_u8..20, 0_u8..20), 1..11)) {
            let pairs: Vec<(f64, f64)> = pairs.into_iter().map(|(old, new)| (old.into(), new.into())).collect();
            prop_assert!((p_value(&pairs) - by_hand(&pairs)).abs() < 1e-9, "{} {}", p_value(&pairs), by_hand(&pairs));
        }

        #[test]
        fn the_interval_has_what_the_test_does_not_reject(
            pairs in prop::collection::vec((0.0_f64..1.0, 0.0_f64..1.0), 6..15), offset in -1.0_f64..1.0
        ) {
            let Shift { centre, low, high } = shift(&pairs, 0.025);
            prop_assert!(low <= centre && centre <= high);
            let shifted: Vec<(f64, f64)> = pairs.iter().map(|&(old, new)| (old, new - offset)).collect();
            prop_assert_eq!(low <= offset && offset <= high, p_value(&shifted) > 0.05);
        }
    }
}
