//! A second opinion on CPU time: what counting says of a time that seems to have changed.
//!
//! Where the linker puts a function changes how fast it runs, by 2 to 8% and steadily, and the code is the same.
//! Counted instructions, cache misses and mispredicted branches don't know of it. They know nothing either of time
//! in the kernel, of waiting, and of threads that get into each other's way; there the time has the last word.

use super::{Comparison, Outcome};

/// The least tolerance: counts of the same code differ by a little of what the linker decides.
const LEAST_TOLERANCE: f64 = 0.002;
/// With more between the executions of one version, counting tells nothing.
const MOST_SPREAD: f64 = 0.01;
/// No layout makes so much of a difference.
const MOST_MOVED: f64 = 0.15;
/// What layout makes of a difference on most machines: without a second opinion, less than this is undecided.
const UNSEEN: f64 = 0.03;

/// The events of one execution, as a simulation of the CPU counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Events {
    /// Instructions.
    pub instructions: u64,
    /// Reads and writes that the first-level data cache didn't have.
    pub data_misses: u64,
    /// Those of them that the last-level cache didn't have either.
    pub last_level_misses: u64,
    /// Branches that were predicted wrongly.
    pub mispredictions: u64,
}

impl Events {
    /// Roughly in cycles: a miss of the first level or a wrong prediction costs ten, one of the last level a hundred.
    #[must_use]
    pub fn cost(&self) -> u64 {
        let tens = self.data_misses.saturating_add(self.mispredictions).saturating_mul(10);
        self.instructions.saturating_add(tens).saturating_add(self.last_level_misses.saturating_mul(100))
    }
}

/// What executions of both versions cost.
///
/// ```
/// use profiling_core::statistics::comparison::Costs;
///
/// let costs = Costs::of(&[1000, 1001, 1000], &[1050, 1050, 1050]).expect("they repeat");
/// assert!((costs.effect() - 0.05).abs() < 1e-9);
/// assert!(Costs::of(&[1000, 1020, 990], &[1000, 1000, 1000]).is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// The median of the old version's executions.
    pub old: f64,
    /// The median of the new version's.
    pub new: f64,
    /// How far the executions of one version lie apart, as a share: that of the version where it is more.
    pub spread: f64,
}

impl Costs {
    /// From the costs of several executions of each version; `None` where they vary by more than 1%, or there are none.
    #[must_use]
    pub fn of(old: &[u64], new: &[u64]) -> Option<Self> {
        let spread = spread(old)?.max(spread(new)?);
        if spread > MOST_SPREAD {
            return None;
        }
        let middle = |costs: &[u64]| super::super::median(costs.iter().map(|&cost| cost as f64).collect());
        Some(Self { old: middle(old)?, new: middle(new)?, spread })
    }

    /// By what share the new version costs more.
    #[must_use]
    pub fn effect(&self) -> f64 {
        if self.old > 0.0 { (self.new - self.old) / self.old } else { 0.0 }
    }

    /// Up to which effect the versions cost the same: 0.2%, or twice the spread where that is more.
    #[must_use]
    pub fn tolerance(&self) -> f64 {
        LEAST_TOLERANCE.max(2.0 * self.spread)
    }

    /// Whether both versions cost the same.
    #[must_use]
    pub fn are_equal(&self) -> bool {
        self.effect().abs() <= self.tolerance()
    }
}

/// How far these lie apart, as a share of the least.
fn spread(costs: &[u64]) -> Option<f64> {
    let (least, most) = (*costs.iter().min()?, *costs.iter().max()?);
    Some((most - least) as f64 / least.max(1) as f64)
}

/// Whether what was counted is all that the CPU time consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It is: user time of one thread, and the allocations are the same.
    Whole,
    /// The versions allocate differently.
    Allocations,
    /// The kernel's part of the time has changed as well, or is too large to leave open.
    SystemTime,
    /// The kernel's part of the time seems to have changed, which may be chance.
    Unclear,
    /// The job starts processes, which are not counted.
    Processes,
    /// Several threads run at the same time, and may get into each other's way.
    Threads,
}

/// What counting makes of an outcome of CPU time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opinion {
    /// The outcome stands.
    Stands,
    /// Both versions cost the same: the code lies elsewhere, and that is all.
    Moved,
    /// Both versions cost the same, but the time has changed by more than layout explains, or perhaps in the kernel.
    Contradicted,
    /// The new version costs more.
    Costlier,
}

impl Opinion {
    /// On an outcome of the CPU time of a typical execution.
    #[must_use]
    pub fn on(outcome: Outcome, effect: f64, costs: &Costs, reach: Reach, minimum_effect: f64) -> Self {
        let costlier = costs.effect() >= minimum_effect.max(costs.tolerance());
        if costlier && matches!(outcome, Outcome::Regressed | Outcome::Undecided) {
            return Self::Costlier;
        }
        if outcome == Outcome::Unchanged || !costs.are_equal() {
            return Self::Stands;
        }
        match reach {
            Reach::Whole if effect.abs() < MOST_MOVED => Self::Moved,
            Reach::Whole | Reach::Unclear => Self::Contradicted,
            Reach::Allocations | Reach::SystemTime | Reach::Processes | Reach::Threads => Self::Stands,
        }
    }

    /// What the outcome becomes.
    #[must_use]
    pub fn outcome(self, before: Outcome) -> Outcome {
        match self {
            Self::Stands => before,
            Self::Moved => Outcome::Unchanged,
            Self::Contradicted => Outcome::Undecided,
            Self::Costlier => Outcome::Regressed,
        }
    }
}

/// What an outcome of CPU time becomes where there is no second opinion: an effect that layout can have, with
/// allocations that are the same, is undecided.
#[must_use]
pub fn unseconded(outcome: Outcome, effect: f64, same_allocations: bool) -> Outcome {
    let changed = matches!(outcome, Outcome::Improved | Outcome::Regressed);
    if changed && same_allocations && effect.abs() < UNSEEN { Outcome::Undecided } else { outcome }
}

/// Whether a mean or a percentile has changed of itself, rather than with the typical execution.
///
/// `shape` compares its ratio to the median of the same executions, which layout leaves as it is.
#[must_use]
pub fn changed_of_itself(outcome: Outcome, shape: &Comparison, minimum_effect: f64) -> bool {
    let [effect, least] = [shape.effect, minimum_effect].map(f64::ln_1p);
    match outcome {
        Outcome::Regressed => shape.low > 0.0 && effect >= least,
        Outcome::Improved => shape.high < 0.0 && effect <= -least,
        Outcome::Unchanged | Outcome::Undecided => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Pair;
    use super::*;

    const MINIMUM: f64 = 0.02;
    const ALL: [Outcome; 4] = [Outcome::Improved, Outcome::Unchanged, Outcome::Regressed, Outcome::Undecided];

    fn costs(new: u64) -> Costs {
        Costs::of(&[1_000_000; 3], &[new; 3]).expect("they repeat")
    }

    #[test]
    fn misses_and_wrong_predictions_cost_more_than_instructions() {
        let events = Events { instructions: 1000, data_misses: 7, last_level_misses: 2, mispredictions: 3 };
        assert_eq!(events.cost(), 1000 + 100 + 200);
        assert_eq!(Events { instructions: u64::MAX, data_misses: 1, ..Events::default() }.cost(), u64::MAX);
    }

    #[test]
    fn a_wider_spread_makes_for_more_tolerance_up_to_none_at_all() {
        let spread = |most| Costs::of(&[100_000, 100_000, most], &[100_000; 3]);
        assert!(spread(100_050).is_some_and(|costs| (costs.tolerance() - 0.002).abs() < 1e-12));
        assert!(spread(100_500).is_some_and(|costs| (costs.tolerance() - 0.01).abs() < 1e-12));
        assert!(spread(101_000).is_some(), "1% is no more than 1%");
        assert_eq!(spread(101_001), None);
        assert_eq!(Costs::of(&[100_000; 3], &[100_000, 102_000, 100_000]), None, "of either version");
        assert_eq!(Costs::of(&[], &[1]), None);
        assert!(Costs::of(&[0; 3], &[0; 3]).is_some_and(|costs| costs.are_equal()));
    }

    #[test]
    fn what_costs_the_same_has_moved() {
        // As it was seen: 3,921,233 instructions in both builds, and up to 8.2% more time.
        let same = Costs::of(&[3_921_233; 3], &[3_921_233; 3]).expect("they repeat");
        for (outcome, effect) in [
            (Outcome::Regressed, 0.021),
            (Outcome::Regressed, 0.082),
            (Outcome::Improved, -0.06),
            (Outcome::Undecided, 0.012),
            (Outcome::Regressed, 0.1499),
        ] {
            let opinion = Opinion::on(outcome, effect, &same, Reach::Whole, MINIMUM);
            assert_eq!(
                (opinion, opinion.outcome(outcome)),
                (Opinion::Moved, Outcome::Unchanged),
                "{outcome:?} {effect}"
            );
        }
        for (outcome, effect) in [(Outcome::Regressed, 0.15), (Outcome::Improved, -0.15), (Outcome::Undecided, 0.4)] {
            let opinion = Opinion::on(outcome, effect, &same, Reach::Whole, MINIMUM);
            assert_eq!((opinion, opinion.outcome(outcome)), (Opinion::Contradicted, Outcome::Undecided), "{effect}");
        }
        // Neither an accusation nor an acquittal.
        let unclear = Opinion::on(Outcome::Regressed, 0.03, &same, Reach::Unclear, MINIMUM);
        assert_eq!((unclear, unclear.outcome(Outcome::Regressed)), (Opinion::Contradicted, Outcome::Undecided));
    }

    #[test]
    fn the_tolerance_is_the_end_of_the_same() {
        let opinion = |new| Opinion::on(Outcome::Regressed, 0.05, &costs(new), Reach::Whole, MINIMUM);
        assert_eq!(opinion(1_002_000), Opinion::Moved);
        assert_eq!(opinion(998_000), Opinion::Moved);
        assert_eq!(opinion(1_002_001), Opinion::Stands);
        assert_eq!(opinion(997_000), Opinion::Stands);
    }

    #[test]
    fn what_costs_more_has_regressed_unless_it_is_quicker() {
        let more = costs(1_020_000);
        for reach in [Reach::Whole, Reach::Allocations, Reach::SystemTime, Reach::Processes, Reach::Threads] {
            let opinion = |outcome| Opinion::on(outcome, 0.01, &more, reach, MINIMUM).outcome(outcome);
            assert_eq!(opinion(Outcome::Undecided), Outcome::Regressed);
            assert_eq!(opinion(Outcome::Regressed), Outcome::Regressed);
            assert_eq!(opinion(Outcome::Improved), Outcome::Improved);
            assert_eq!(opinion(Outcome::Unchanged), Outcome::Unchanged);
        }
        let less_than_matters = Opinion::on(Outcome::Undecided, 0.01, &costs(1_019_999), Reach::Whole, MINIMUM);
        assert_eq!(less_than_matters, Opinion::Stands);
        let within_the_spread = Costs::of(&[1_000_000, 1_009_000], &[1_020_000, 1_020_000]).expect("they repeat");
        assert_eq!(Opinion::on(Outcome::Undecided, 0.0, &within_the_spread, Reach::Whole, 0.01), Opinion::Moved);
    }

    #[test]
    fn what_is_invisible_to_counting_is_never_overruled() {
        for reach in [Reach::Allocations, Reach::SystemTime, Reach::Processes, Reach::Threads] {
            for outcome in ALL {
                let opinion = Opinion::on(outcome, 0.05, &costs(1_000_000), reach, MINIMUM);
                assert_eq!(opinion.outcome(outcome), outcome, "{reach:?}");
            }
        }
        assert_eq!(
            Opinion::on(Outcome::Unchanged, 0.0, &costs(1_000_000), Reach::Whole, MINIMUM),
            Opinion::Stands,
            "what is unchanged has not moved"
        );
    }

    #[test]
    fn without_a_second_opinion_little_is_undecided() {
        for outcome in [Outcome::Regressed, Outcome::Improved] {
            assert_eq!(unseconded(outcome, 0.0299, true), Outcome::Undecided);
            assert_eq!(unseconded(outcome, -0.0299, true), Outcome::Undecided);
            assert_eq!(unseconded(outcome, 0.03, true), outcome);
            assert_eq!(unseconded(outcome, 0.021, false), outcome, "the code allocates differently");
        }
        assert_eq!(unseconded(Outcome::Unchanged, 0.01, true), Outcome::Unchanged);
        assert_eq!(unseconded(Outcome::Undecided, 0.01, true), Outcome::Undecided);
    }

    #[test]
    fn a_tail_of_its_own_stretches_the_shape() {
        let shape = |new: f64| {
            let pairs: Vec<Pair> = (0..10).filter_map(|at| Pair::new(1.0 + f64::from(at) / 1e4, new)).collect();
            Comparison::of_pairs(&pairs).expect("pairs")
        };
        assert!(changed_of_itself(Outcome::Regressed, &shape(1.125), MINIMUM));
        assert!(!changed_of_itself(Outcome::Improved, &shape(1.125), MINIMUM));
        assert!(changed_of_itself(Outcome::Improved, &shape(0.9), MINIMUM));
        assert!(!changed_of_itself(Outcome::Regressed, &shape(1.01), MINIMUM), "less than matters");
        assert!(!changed_of_itself(Outcome::Unchanged, &shape(1.125), MINIMUM));
    }
}
