//! What the CPU time of both versions consists of.

use profiling_core::sample::Sample;
use profiling_core::statistics::comparison::{Outcome, Reach};

/// The least share of system time at which an undecided CPU time may be undecided for its sake.
const MUCH_SYSTEM_TIME: f64 = 0.25;
/// Where CPU time is so much more than wall time, several threads have run at once.
const IN_PARALLEL: f64 = 1.02;
/// What the readings themselves make of a difference.
const READINGS_NS: f64 = 2_000.0;

/// How many standard errors a difference of the kernel's part must be from 0 to be sure: it is estimated from what the
/// clock's ticks happen to fall on, and an execution sees few of them.
const SURE: f64 = 3.0;

/// Times of all trials, in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Shares {
    old: Times,
    new: Times,
    /// Of each trial, how much more the new version was in the kernel, as a share of the old one's CPU time.
    more_system: Vec<f64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Times {
    executions: f64,
    wall: f64,
    cpu: f64,
    /// In the kernel.
    system: f64,
}

impl Times {
    fn of(samples: &[Sample]) -> Self {
        let sum =
            |figure: fn(&Sample) -> Option<u64>| samples.iter().filter_map(figure).map(|figure| figure as f64).sum();
        Self {
            executions: samples.len() as f64,
            wall: sum(|sample| Some(sample.wall_ns)),
            cpu: sum(|sample| sample.cpu_ns),
            system: sum(|sample| sample.cpu_system_ns),
        }
    }

    fn add(&mut self, more: Self) {
        self.executions += more.executions;
        self.wall += more.wall;
        self.cpu += more.cpu;
        self.system += more.system;
    }

    fn is_parallel(&self) -> bool {
        self.cpu > self.wall * IN_PARALLEL + self.executions * READINGS_NS
    }
}

impl Shares {
    /// Takes the samples of a trial.
    pub(super) fn take(&mut self, old: &[Sample], new: &[Sample]) {
        let [old, new] = [old, new].map(Times::of);
        self.more_system.push((new.system - old.system) / old.cpu.max(1.0));
        self.old.add(old);
        self.new.add(new);
    }

    /// Whether the kernel's part surely differs.
    fn is_sure(&self) -> bool {
        let count = self.more_system.len() as f64;
        let mean = self.more_system.iter().sum::<f64>() / count.max(1.0);
        let squares: f64 = self.more_system.iter().map(|more| (more - mean).powi(2)).sum();
        let error = (squares / (count - 1.0).max(1.0) / count.max(1.0)).sqrt();
        count > 1.0 && mean.abs() > SURE * error
    }

    /// Whether counting sees all of an effect on the CPU time.
    pub(super) fn reach(&self, outcome: Outcome, effect: f64, minimum_effect: f64) -> Reach {
        if self.old.is_parallel() || self.new.is_parallel() {
            return Reach::Threads;
        }
        let [cpu, system] = [self.old.cpu.max(1.0), (self.new.system - self.old.system).abs()];
        let large = self.old.system.max(self.new.system) / cpu >= MUCH_SYSTEM_TIME;
        // Half of what would matter may come from the kernel's clock, which ticks.
        let carries = system / cpu > effect.abs().max(minimum_effect) / 2.0;
        match (carries, outcome == Outcome::Undecided && large) {
            (_, true) => Reach::SystemTime,
            (true, false) if self.is_sure() => Reach::SystemTime,
            (true, false) => Reach::Unclear,
            (false, false) => Reach::Whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(wall_us: u64, user_us: u64, system_us: u64) -> Vec<Sample> {
        let sample = Sample {
            wall_ns: wall_us * 1000,
            cpu_ns: Some((user_us + system_us) * 1000),
            cpu_user_ns: Some(user_us * 1000),
            cpu_system_ns: Some(system_us * 1000),
            ..Sample::default()
        };
        vec![sample; 10]
    }

    fn reach(old: &[Sample], new: &[Sample], outcome: Outcome, effect: f64) -> Reach {
        let mut shares = Shares::default();
        (0..10).for_each(|_| shares.take(old, new));
        shares.reach(outcome, effect, 0.02)
    }

    /// As where ticks are rare: of ten trials, the kernel has all the time in one or two, whatever is executed.
    #[test]
    fn a_difference_that_may_be_chance_is_none_to_rely_on() {
        let [user, kernel] = [samples(1010, 1000, 0), samples(1010, 500, 500)];
        let mut shares = Shares::default();
        for trial in 0..10 {
            shares.take(if trial == 3 { &kernel } else { &user }, if trial % 5 == 1 { &kernel } else { &user });
        }
        assert_eq!(shares.reach(Outcome::Regressed, 0.03, 0.02), Reach::Unclear);
        assert_eq!(shares.reach(Outcome::Regressed, 0.12, 0.02), Reach::Whole);
    }

    #[test]
    fn user_time_carries_an_effect_unless_the_kernel_has_more_to_do() {
        let old = samples(1010, 980, 20);
        let of = |new: &[Sample]| reach(&old, new, Outcome::Regressed, 0.05);
        assert_eq!(of(&samples(1060, 1030, 20)), Reach::Whole);
        assert_eq!(of(&samples(1060, 1015, 35)), Reach::Whole);
        assert_eq!(of(&samples(1060, 980, 70)), Reach::SystemTime);
    }

    #[test]
    fn what_is_undecided_may_be_so_for_the_kernels_sake() {
        let [little, much] = [20, 400].map(|system| samples(1010, 1000 - system, system));
        assert_eq!(reach(&little, &little, Outcome::Undecided, 0.001), Reach::Whole);
        assert_eq!(reach(&much, &much, Outcome::Undecided, 0.001), Reach::SystemTime);
        assert_eq!(reach(&much, &much, Outcome::Regressed, 0.05), Reach::Whole);
    }

    #[test]
    fn threads_that_run_at_once_may_get_into_each_others_way() {
        let [alone, together] = [1001, 700].map(|wall| samples(wall, 1000, 0));
        assert_eq!(reach(&alone, &alone, Outcome::Regressed, 0.05), Reach::Whole);
        assert_eq!(reach(&alone, &together, Outcome::Regressed, 0.05), Reach::Threads);
        assert_eq!(reach(&together, &alone, Outcome::Regressed, 0.05), Reach::Threads);
    }
}
