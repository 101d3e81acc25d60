//! How the executions of a case are divided among trials.

use std::time::Duration;

use crate::supervisor::trial::Turns;

/// How long a turn should last: long enough that waking up is a small part of it.
const TURN: Duration = Duration::from_millis(1);
/// How long a worker should execute for the sake of the mean and the percentiles.
const WORKER: Duration = Duration::from_millis(50);
/// How long it may at most, warm-ups included, for the sake of a whole cycle.
const MOST: Duration = Duration::from_millis(200);
/// The executions of a cycle. What only one execution in so many does, every cycle shows.
const CYCLE: u32 = 16;
/// The most executions of a worker: enough for the p99.
const LONGEST: u32 = 13 * CYCLE;
/// The fewest, unless one takes longer than [`MOST`].
const FEWEST: u32 = 4;
/// The most parts of a cycle: each has to come more than once before the first look.
const PARTS: u32 = 5;

/// How the executions of a case are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Division {
    pub turns: Turns,
    /// Where a worker doesn't get through a cycle, trials begin at so many different places of one.
    parts: u32,
}

impl Division {
    /// Of a case that typically takes so long, and has so many warm-ups.
    pub(super) fn of(typical: Duration, warmup: u32) -> Self {
        let executions = executions(typical, warmup);
        let length = fit(TURN, typical).next_power_of_two().min(CYCLE).min(executions);
        let count = executions.div_ceil(length);
        let turns = Turns { count, length: u8::try_from(length).unwrap_or(u8::MAX) };
        Self { turns, parts: CYCLE.div_ceil(executions).min(PARTS) }
    }

    /// The number of the first execution of a trial.
    pub(super) fn first(self, trial: usize) -> u64 {
        let part = trial as u64 % u64::from(self.parts);
        part * u64::from(self.turns.samples())
    }
}

/// How many executions each worker of a trial measures.
fn executions(typical: Duration, warmup: u32) -> u32 {
    let cycles = |cycles: u32| typical.saturating_mul(cycles.saturating_mul(CYCLE).saturating_add(warmup));
    if cycles(1) <= MOST {
        let wanted = u32::midpoint(fit(WORKER, typical), CYCLE / 2) / (CYCLE / 2) * CYCLE;
        return wanted.clamp(CYCLE, LONGEST);
    }
    if typical >= MOST {
        return 1;
    }
    // Of those that don't count there may be many.
    fit(MOST, typical).saturating_sub(warmup).clamp(FEWEST, CYCLE - 1)
}

/// How many times `part` fits into `whole`, rounded up.
fn fit(whole: Duration, part: Duration) -> u32 {
    u32::try_from(whole.as_nanos().div_ceil(part.as_nanos().max(1))).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn division(typical: Duration) -> (u32, u8, u32) {
        let Division { turns, parts } = Division::of(typical, 2);
        (turns.count, turns.length, parts)
    }

    #[test]
    fn short_executions_come_in_longer_turns() {
        assert_eq!(division(Duration::from_nanos(1)), (13, 16, 1));
        assert_eq!(division(Duration::from_micros(165)), (26, 8, 1));
        assert_eq!(division(Duration::from_micros(1080)), (48, 1, 1));
        assert_eq!(division(Duration::from_millis(2)), (32, 1, 1));
        assert_eq!(division(Duration::from_millis(5)), (16, 1, 1));
        assert_eq!(division(Duration::from_millis(11)), (16, 1, 1));
    }

    #[test]
    fn long_executions_begin_at_another_place_of_the_cycle_in_each_trial() {
        assert_eq!(division(Duration::from_millis(20)), (8, 1, 2));
        assert_eq!(division(Duration::from_millis(30)), (5, 1, 4));
        assert_eq!(division(Duration::from_secs(2)), (1, 1, 5));
        let long = Division::of(Duration::from_millis(30), 2);
        let firsts: Vec<u64> = (0..6).map(|trial| long.first(trial)).collect();
        assert_eq!(firsts, [0, 5, 10, 15, 0, 5]);
        assert_eq!(Division::of(Duration::from_millis(1), 2).first(7), 0);
    }

    #[test]
    fn warm_ups_take_the_place_of_executions() {
        assert_eq!(Division::of(Duration::from_millis(5), 1000).turns.samples(), 4);
        assert_eq!(Division::of(Duration::from_millis(5), 0).turns.samples(), 16);
        assert_eq!(Division::of(Duration::ZERO, 2).turns.samples(), 208);
    }
}
