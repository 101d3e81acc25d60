//! The values of some ranks, of more values than can be sorted in memory.
//!
//! Radix selection: values are counted by their leading digits, which tells the leading digits of each rank;
//! then those that have these digits are counted by the next ones, and so on. It takes one pass for the extremes
//! and one per digit, and the memory of a histogram for each rank.

use std::io;

use super::values::Values;

/// The bits of a digit.
const DIGIT: u32 = 16;

/// So many values are sorted in memory; of more, ranks are selected.
pub(crate) const FEW: usize = 1 << 16;

/// The values of these ranks, counted from 0, all below the number of values; in the order of the ranks.
pub(crate) fn ranked(values: &dyn Values<u64>, ranks: &[usize]) -> io::Result<Vec<u64>> {
    if values.count() > FEW {
        return select(values, ranks);
    }
    let mut sorted = values.collect()?;
    sorted.sort_unstable();
    Ok(ranks.iter().map(|&rank| sorted[rank]).collect())
}

/// The same, without sorting.
pub(super) fn select(values: &dyn Values<u64>, ranks: &[usize]) -> io::Result<Vec<u64>> {
    let (min, max) = extremes(values)?;
    let mut wanted: Vec<Wanted> = (0..).zip(ranks).map(|(place, &rank)| Wanted { place, rank }).collect();
    wanted.sort_unstable_by_key(|wanted| wanted.rank);
    let mut groups = vec![Group { prefix: 0, wanted }];
    let mut shift = u64::BITS - (max - min).leading_zeros();
    // A histogram that is larger than what is counted in it costs more than another pass.
    let most = (usize::BITS - values.count().leading_zeros()).clamp(8, DIGIT);
    while shift > 0 {
        let digit = Digit { above: shift, bits: shift.min(most) };
        shift -= digit.bits;
        groups = digit.split(values, min, groups)?;
    }
    let mut found = vec![min; ranks.len()];
    for Group { prefix, wanted } in groups {
        for Wanted { place, .. } in wanted {
            found[place] = min + prefix;
        }
    }
    Ok(found)
}

fn extremes(values: &dyn Values<u64>) -> io::Result<(u64, u64)> {
    let (mut min, mut max) = (u64::MAX, 0);
    values.visit(&mut |piece| {
        for &value in piece {
            min = min.min(value);
            max = max.max(value);
        }
    })?;
    // Without values, nothing is between them.
    Ok((min.min(max), max))
}

/// A rank, counted within its group, and where its value goes.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    place: usize,
    rank: usize,
}

/// The ranks whose values have these leading digits, ascending.
#[derive(Debug)]
struct Group {
    prefix: u64,
    wanted: Vec<Wanted>,
}

/// The digit that is counted by.
#[derive(Debug, Clone, Copy)]
struct Digit {
    /// The bits up to its upper end.
    above: u32,
    bits: u32,
}

impl Digit {
    /// The groups by one more digit. `groups` are in the order of their prefixes.
    fn split(self, values: &dyn Values<u64>, min: u64, groups: Vec<Group>) -> io::Result<Vec<Group>> {
        let mut counts = vec![vec![0_u32; 1 << self.bits]; groups.len()];
        let prefixes: Vec<u64> = groups.iter().map(|group| group.prefix).collect();
        let (below, mask) = (self.above - self.bits, (1 << self.bits) - 1);
        values.visit(&mut |piece| {
            for &value in piece {
                let offset = value - min;
                let prefix = offset.checked_shr(self.above).unwrap_or(0);
                if let Some(group) = position(&prefixes, prefix) {
                    counts[group][place((offset >> below) & mask)] += 1;
                }
            }
        })?;
        Ok(groups.into_iter().zip(&counts).flat_map(|(group, counts)| self.divide(group, counts)).collect())
    }

    fn divide(self, group: Group, counts: &[u32]) -> Vec<Group> {
        let mut parts: Vec<Group> = Vec::new();
        let (mut before, mut bucket) = (0, 0);
        for Wanted { place, rank } in group.wanted {
            while before + counts[bucket] as usize <= rank {
                before += counts[bucket] as usize;
                bucket += 1;
            }
            let prefix = group.prefix << self.bits | bucket as u64;
            let wanted = Wanted { place, rank: rank - before };
            match parts.last_mut().filter(|part| part.prefix == prefix) {
                Some(part) => part.wanted.push(wanted),
                None => parts.push(Group { prefix, wanted: vec![wanted] }),
            }
        }
        parts
    }
}

/// Mostly there is one.
fn position(prefixes: &[u64], prefix: u64) -> Option<usize> {
    match prefixes {
        [only] => (*only == prefix).then_some(0),
        _ => prefixes.binary_search(&prefix).ok(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a digit")]
fn place(digit: u64) -> usize {
    digit as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn agrees_with_sorting(values: &[u64]) {
        let ranks: Vec<usize> = (0..values.len()).rev().collect();
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        sorted.reverse();
        assert_eq!(select(&values, &ranks).expect("they are in memory"), sorted);
    }

    #[test]
    fn extremes_and_equal_values() {
        agrees_with_sorting(&[0, u64::MAX]);
        agrees_with_sorting(&[u64::MAX; 3]);
        agrees_with_sorting(&[7, 7, 8, 7, u64::MAX - 1, 7, 0]);
        agrees_with_sorting(&(0..70_000).map(|value| value * 0x9E37_79B9 % 1_000_003).collect::<Vec<u64>>()[..3000]);
        assert_eq!(select(&&[5][..], &[0, 0, 0]).expect("it is in memory"), [5; 3]);
        assert_eq!(select(&&[][..], &[]).expect("it is in memory"), [0_u64; 0]);
    }

    proptest! {
        #[test]
        fn every_rank_is_that_of_the_sorted_values(
            values in prop::collection::vec(prop_oneof![any::<u64>(), 0..50_u64, 1_000_000..1_100_000_u64], 0..400),
        ) {
            agrees_with_sorting(&values);
        }
    }
}
