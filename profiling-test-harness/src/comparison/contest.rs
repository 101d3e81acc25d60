//! One case in two versions: trials are held until every figure is decided.

use std::time::{Duration, Instant};

use profiling_core::profile::CaseProfile;
use profiling_core::sample::Sample;
use profiling_core::statistics::comparison::{Comparison, Outcome, Pair, Verdict, noise_floor};
use profiling_core::statistics::median;

use super::binaries::Binaries;
use super::metric::{Metric, mostly_waits};
use super::pairing;
use super::{ComparedCase, ComparedMetric, Method, failed_in_comparison, not_started};
use crate::outcome::CaseFailure;
use crate::plan::CasePlan;
use crate::supervisor::Supervisor;
use crate::supervisor::trial::{Contestant, Turns};

/// How long a turn should last: long enough that waking up is a small part of it.
const TURN: Duration = Duration::from_millis(1);
/// How long a worker should execute in all.
const WORKER: Duration = Duration::from_millis(30);
/// What a worker needs beside its executions.
const START: Duration = Duration::from_millis(5);
/// What a worker may always take for an execution, and to get ready.
const LEAST_PATIENCE: Duration = Duration::from_secs(10);
/// The pairs that are needed to tell anything.
const FEWEST: u32 = 10;

/// A case whose old and new versions compete.
#[derive(Debug)]
pub(crate) struct Contest {
    /// Its place among the reports.
    report: usize,
    plan: CasePlan,
    turns: Turns,
    old_index: usize,
    typical: Duration,
    figures: Vec<Figure>,
    trials: usize,
    spent: Duration,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Open,
    Closed,
    /// The old version can't be run; why.
    Broken(String),
}

/// A figure of the case.
#[derive(Debug)]
struct Figure {
    metric: Metric,
    /// Whether to go on for its sake.
    decides: bool,
    pairs: Vec<pairing::Pair>,
    /// What the pairs so far say, or those that decided it; `None` where it was not measured.
    tested: Option<Tested>,
    verdict: Option<Verdict>,
}

/// A figure of both versions, and how they compare.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tested {
    pub metric: Metric,
    pub figures: (f64, f64),
    pub comparison: Comparison,
}

impl Tested {
    /// From samples of either version; `None` where one lacks the figure.
    pub(crate) fn of_stored(metric: Metric, old: &[Sample], new: &[Sample]) -> Option<Self> {
        let figures = |samples: &[Sample]| samples.iter().map(|sample| metric.of(sample)).collect::<Option<Vec<u64>>>();
        let (old, new) = (figures(old)?, figures(new)?);
        let comparison = if metric.is_exact() {
            Comparison::of_stored_counts(&old, &new)
        } else {
            Comparison::of_stored(&old, &new)
        };
        let middle = |figures: &[u64]| median(figures.iter().map(|&figure| figure as f64).collect());
        Some(Self::new(metric, (middle(&old)?, middle(&new)?), comparison?))
    }

    /// `comparison`, but for what lies below the metric's resolution.
    fn new(metric: Metric, figures: (f64, f64), comparison: Comparison) -> Self {
        let noise = comparison.noise.max(metric.resolution() / figures.0.max(1.0));
        Self { metric, figures, comparison: comparison.with_noise(noise) }
    }

    pub(crate) fn judged(self, verdict: Verdict) -> ComparedMetric {
        let Self { metric, figures, comparison } = self;
        ComparedMetric { metric, figures, comparison, verdict }
    }
}

/// What to compare of a case.
pub(crate) fn metrics(profile: &CaseProfile) -> Vec<Metric> {
    Metric::SAMPLED.into_iter().filter(|&metric| metric != Metric::Wall || mostly_waits(profile)).collect()
}

impl Contest {
    pub(crate) fn new(report: usize, plan: &CasePlan, old_index: usize, profile: &CaseProfile) -> Self {
        let waits = mostly_waits(profile);
        let typical = Duration::from_nanos(profile.wall_ns.p50.max(1));
        let turns = turns(typical);
        let figure = |metric| Figure {
            metric,
            // The little CPU time of a job that waits is mostly that of waking up.
            decides: !(waits && metric == Metric::Cpu),
            pairs: Vec::new(),
            tested: None,
            verdict: None,
        };
        let figures = metrics(profile).into_iter().map(figure).collect();
        let (trials, spent) = (0, Duration::ZERO);
        Self { report, plan: *plan, turns, old_index, typical, figures, trials, spent, state: State::Open }
    }

    pub(crate) fn report(&self) -> usize {
        self.report
    }

    pub(crate) fn plan(&self) -> &CasePlan {
        &self.plan
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(crate) fn trials(&self) -> usize {
        self.trials
    }

    /// Why the old version can't be run.
    pub(crate) fn broken(&self) -> Option<&str> {
        match &self.state {
            State::Broken(why) => Some(why),
            _ => None,
        }
    }

    pub(crate) fn close(&mut self) {
        self.state = State::Closed;
    }

    /// How long the fewest pairs take, if that is longer than there is time.
    pub(crate) fn too_long(&self, time: Duration) -> Option<Duration> {
        let executions = self.plan.warmup.saturating_add(self.turns.samples());
        let worker = self.typical.saturating_mul(executions).saturating_add(START);
        let takes =
            worker.saturating_mul(FEWEST).saturating_mul(u32::try_from(pairing::ROLES.len()).unwrap_or(u32::MAX));
        (takes > time).then_some(takes)
    }

    /// Holds trials until there are so many, or time is up. An error where the new version fails.
    pub(crate) fn measure(
        &mut self,
        supervisor: &mut Supervisor,
        binaries: &Binaries,
        pairs: usize,
        time: Duration,
    ) -> Result<(), CaseFailure> {
        // What hangs now, and did not before, would hang for all of the job's timeout.
        self.plan.timeout = self.plan.timeout.min(time.max(self.typical.saturating_mul(20)).max(LEAST_PATIENCE));
        while self.is_open() && self.trials < pairs && self.spent < time {
            let held = self.hold(supervisor, binaries, time);
            if let Err(failure) = held {
                self.close();
                return Err(failed_in_comparison(failure));
            }
        }
        Ok(())
    }

    fn hold(&mut self, supervisor: &mut Supervisor, binaries: &Binaries, time: Duration) -> Result<(), CaseFailure> {
        // Who comes later gets other memory, which is much the same in every trial.
        let mut roles = pairing::ROLES;
        fastrand::shuffle(&mut roles);
        let begin = Instant::now();
        let binaries = binaries.for_trial(time.saturating_sub(self.spent)).map_err(|error| not_started(&error))?;
        let contestants = roles.map(|role| Contestant {
            executable: &binaries[role],
            case_index: if role == pairing::NEW { self.plan.case.index } else { self.old_index },
        });
        let held = supervisor.trial(&self.plan, self.turns, &contestants, &mut |order| fastrand::shuffle(order));
        // With what it takes to copy the binaries.
        self.spent += begin.elapsed();
        match held.map_err(|error| not_started(&error))? {
            Ok(samples) => {
                let mut samples: Vec<(usize, Vec<Sample>)> = roles.into_iter().zip(samples).collect();
                samples.sort_by_key(|&(role, _)| role);
                self.take(&samples.into_iter().map(|(_, samples)| samples).collect::<Vec<_>>());
            }
            Err(failed) if roles[failed.contestant] == pairing::NEW => return Err(failed.failure),
            Err(failed) => {
                let failure = failed.failure;
                self.state = State::Broken(format!("its binary failed {}: {}", failure.phase, failure.reason));
            }
        }
        Ok(())
    }

    fn take(&mut self, samples: &[Vec<Sample>]) {
        self.trials += 1;
        for figure in &mut self.figures {
            // What one trial lacks, all do.
            figure.pairs.extend(pairing::pair(figure.metric, samples, self.turns));
        }
    }

    /// Takes account of the trials so far.
    pub(crate) fn weigh(&mut self) {
        self.figures.iter_mut().for_each(Figure::weigh);
    }

    /// What there is to judge.
    pub(crate) fn comparisons(&self) -> impl Iterator<Item = Comparison> {
        self.figures.iter().filter_map(|figure| figure.tested).map(|tested| tested.comparison)
    }

    /// Takes the verdicts on all comparisons; the contest is over where everything is decided.
    pub(crate) fn settle(&mut self, verdicts: &[Verdict]) {
        let figures = self.figures.iter_mut().filter(|figure| figure.tested.is_some());
        for (figure, &verdict) in figures.zip(verdicts) {
            figure.settle(verdict);
        }
        if self.figures.iter().all(Figure::is_settled) {
            self.close();
        }
    }

    pub(crate) fn outcome(self) -> ComparedCase {
        let judged = |figure: Figure| Some(figure.tested?.judged(figure.verdict?));
        // Nobody goes on for the sake of what doesn't decide, so that it says nothing to be undecided.
        let says = |figure: &Figure| figure.decides || figure.is_decided();
        let metrics = self.figures.into_iter().filter(says).filter_map(judged).collect();
        ComparedCase { report: self.report, method: Method::Interleaved, metrics, advisory: None }
    }
}

impl Figure {
    /// Takes account of all pairs, unless fewer have decided it.
    fn weigh(&mut self) {
        if !self.is_decided() {
            self.tested = self.test();
        }
    }

    fn test(&self) -> Option<Tested> {
        // From next to nothing to next to nothing can be any ratio.
        let least = if self.metric.is_exact() { 0.0 } else { self.metric.resolution() };
        let pair = |pair: &pairing::Pair| Pair::new(pair.old.max(least), pair.new.max(least));
        let pairs: Vec<Pair> = self.pairs.iter().filter_map(pair).collect();
        let itself = |pair: &pairing::Pair| Pair::new(pair.old.max(1.0), pair.old.max(1.0) * pair.noise.exp());
        let itself: Vec<Pair> = self.pairs.iter().filter_map(itself).collect();
        let comparison =
            if self.metric.is_exact() { Comparison::of_counts(&pairs) } else { Comparison::of_pairs(&pairs) };
        let middle = |side: fn(&pairing::Pair) -> f64| median(self.pairs.iter().map(side).collect());
        let noise = noise_floor(&itself, pairs.len()).unwrap_or(0.0);
        let (comparison, old) = (comparison?, middle(|pair| pair.old)?);
        // Of a time, the median of one version may be that of quieter moments than the other's.
        let new = if self.metric.is_time() { old * (1.0 + comparison.effect) } else { middle(|pair| pair.new)? };
        Some(Tested::new(self.metric, (old, new), comparison.with_noise(noise)))
    }

    fn settle(&mut self, verdict: Verdict) {
        if !self.is_decided() {
            self.verdict = Some(verdict);
        }
    }

    fn is_decided(&self) -> bool {
        self.verdict.is_some_and(|verdict| verdict.outcome != Outcome::Undecided)
    }

    /// Whether nothing is gained by going on for its sake.
    fn is_settled(&self) -> bool {
        self.is_decided() || !self.decides || self.tested.is_none()
    }
}

/// How to divide the executions of a case that typically takes so long.
fn turns(typical: Duration) -> Turns {
    let fit = |whole: Duration, part: Duration| whole.as_nanos().div_ceil(part.as_nanos().max(1));
    let length = u8::try_from(fit(TURN, typical).min(20)).unwrap_or(u8::MAX);
    let turn = typical.saturating_mul(length.into());
    let count = match fit(WORKER, turn) {
        // One execution alone is easily disturbed.
        1 if typical < Duration::from_millis(100) => 3,
        1 => 1,
        count => u32::try_from(count.clamp(3, 10)).unwrap_or(10),
    };
    Turns { count, length }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_executions_come_in_longer_turns() {
        let turns = |time| turns(time);
        assert_eq!(turns(Duration::from_nanos(1)), Turns { count: 10, length: 20 });
        assert_eq!(turns(Duration::from_micros(150)), Turns { count: 10, length: 7 });
        assert_eq!(turns(Duration::from_millis(5)), Turns { count: 6, length: 1 });
        assert_eq!(turns(Duration::from_millis(40)), Turns { count: 3, length: 1 });
        assert_eq!(turns(Duration::from_secs(2)), Turns { count: 1, length: 1 });
    }
}
