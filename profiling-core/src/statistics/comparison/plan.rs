//! How many pairs to measure, and when to look.

/// When to compare, while more pairs are measured for what is still undecided.
///
/// Every look is a chance of a false alarm. So each gets a share of the `level` that all of them have
/// together, and the shares add up to it: whatever the looks have in common, there are no more false alarms
/// than with one look at that level. Up to a look at `n` of `most` pairs, `level · (n / most)³` is spent
/// (the family of Kim and `DeMets`, "Design and Analysis of Group Sequential Tests Based on the Type I Error
/// Spending Rate Function", 1987; with the cube it is near to O'Brien and Fleming's): a glaring difference
/// is found early, and the last look loses little for it.
///
/// ```
/// use profiling_core::statistics::comparison::Plan;
///
/// let plan = Plan::default();
/// let mut look = Some(plan.first());
/// let mut pairs = Vec::new();
/// while let Some(now) = look {
///     pairs.push(now.pairs); // measure up to so many, `judge` at `now.level`, stop when all is decided
///     look = plan.after(now);
/// }
/// assert_eq!(pairs, [10, 14, 20, 28, 40]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// The share of false ones among the differences that are found.
    pub level: f64,
    /// The most pairs.
    pub most: usize,
}

/// One look at the pairs so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// The number of pairs.
    pub pairs: usize,
    /// The level to judge at: [`Rule::level`](super::Rule::level).
    pub level: f64,
}

/// The pairs at the first look; with fewer, no single one of 40 comparisons could be told.
const FIRST: usize = 10;

impl Default for Plan {
    /// 2%, since who is warned of nothing switches the warning off, and up to 40 pairs.
    fn default() -> Self {
        Self { level: 0.02, most: 40 }
    }
}

impl Plan {
    /// The first look.
    #[must_use]
    pub fn first(&self) -> Look {
        self.look(0, FIRST.min(self.most))
    }

    /// The look after this one, at two fifths more pairs; `None` after the last.
    #[must_use]
    pub fn after(&self, look: Look) -> Option<Look> {
        let next = (look.pairs * 7).div_ceil(5).min(self.most);
        // A last step of a few pairs would not be worth a look of its own.
        let next = if next * 6 / 5 >= self.most { self.most } else { next };
        (look.pairs < self.most).then(|| self.look(look.pairs, next))
    }

    /// The look that ends it with so many pairs, after this one, because time is up: it gets all that is left
    /// to spend.
    #[must_use]
    pub fn last(&self, before: Option<Look>, pairs: usize) -> Look {
        Look { pairs, level: self.level - self.spent(before.map_or(0, |look| look.pairs)) }
    }

    fn look(&self, before: usize, pairs: usize) -> Look {
        Look { pairs, level: self.spent(pairs) - self.spent(before) }
    }

    fn spent(&self, pairs: usize) -> f64 {
        self.level * (pairs as f64 / self.most.max(1) as f64).min(1.0).powi(3)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_looks_spend_the_level_and_no_more(most in 1_usize..500, given_up in 0_usize..5) {
            let plan = Plan { level: 0.05, most };
            let looks: Vec<Look> = std::iter::successors(Some(plan.first()), |&look| plan.after(look)).collect();
            let spent = |looks: &[Look]| looks.iter().map(|look| look.level).sum::<f64>();
            prop_assert!((spent(&looks) - 0.05).abs() < 1e-12);
            prop_assert!(looks.is_sorted_by(|one, other| one.pairs < other.pairs));
            prop_assert_eq!(looks.last().map(|look| look.pairs), Some(most));
            let done = &looks[..given_up.min(looks.len() - 1)];
            let last = plan.last(done.last().copied(), done.last().map_or(0, |look| look.pairs) + 1);
            prop_assert!((spent(done) + last.level - 0.05).abs() < 1e-12);
        }
    }
}
