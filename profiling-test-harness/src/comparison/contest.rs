//! One case in two versions: trials are held until every figure is decided.

use std::time::{Duration, Instant};

use profiling_core::profile::CaseProfile;
use profiling_core::sample::Sample;
use profiling_core::statistics::comparison::{Comparison, Verdict};

use super::binaries::Binaries;
use super::counts::Counts;
use super::figure::{Figure, Role};
use super::metric::{Metric, mostly_waits};
use super::pairing;
use super::share::Shares;
use super::statistic::{self, Statistic};
use super::turns::Division;
use super::{ComparedCase, Method, failed_in_comparison, not_started};
use crate::outcome::CaseFailure;
use crate::plan::CasePlan;
use crate::supervisor::Supervisor;
use crate::supervisor::trial::{Contestant, Spoiled};

/// What a worker needs beside its executions.
const START: Duration = Duration::from_millis(5);
/// What a worker may always take for an execution, and to get ready.
const LEAST_PATIENCE: Duration = Duration::from_secs(10);
/// Less than this around an execution may be the start of its worker, and readings.
const AROUND: Duration = Duration::from_millis(10);
/// The pairs that are needed to tell anything.
const FEWEST: u32 = 10;

/// A case whose old and new versions compete.
#[derive(Debug)]
pub(crate) struct Contest {
    /// Its place among the reports.
    report: usize,
    plan: CasePlan,
    division: Division,
    old_index: usize,
    typical: Duration,
    /// What an execution takes with all that is around it.
    whole: Duration,
    figures: Vec<Figure>,
    /// Of the metrics that may repeat.
    counts: Vec<(Metric, Counts)>,
    shares: Shares,
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

/// What to compare of a case.
pub(crate) fn metrics(profile: &CaseProfile) -> Vec<Metric> {
    Metric::SAMPLED.into_iter().filter(|&metric| metric != Metric::Wall || mostly_waits(profile)).collect()
}

/// The figures of a case whose trials have so many executions.
fn figures(profile: &CaseProfile, executions: u32) -> Vec<Figure> {
    let waits = mostly_waits(profile);
    let role = |metric: Metric, statistic| match statistic {
        _ if waits && metric == Metric::Cpu => Role::Aside,
        Statistic::P50 => Role::Decides,
        _ => Role::Tail,
    };
    let of_metric = |metric: Metric| {
        // The mean of a count says all that there is where it repeats.
        let statistics: &[Statistic] =
            if metric.is_exact() { &[Statistic::Mean, Statistic::P50] } else { &Statistic::ALL };
        let supported =
            statistics.iter().filter(move |statistic| metric.is_exact() || statistic.is_supported_by(executions));
        supported.map(move |&statistic| Figure::new(metric, statistic, role(metric, statistic))).collect::<Vec<_>>()
    };
    metrics(profile).into_iter().flat_map(of_metric).collect()
}

impl Contest {
    /// `whole`: what an execution has taken with all that is around it.
    pub(crate) fn new(
        report: usize,
        plan: &CasePlan,
        old_index: usize,
        profile: &CaseProfile,
        whole: Duration,
    ) -> Self {
        let typical = Duration::from_nanos(profile.wall_ns.p50.max(1));
        let whole = if whole < AROUND { typical } else { whole.max(typical) };
        let division = Division::of(whole, plan.warmup);
        let counts = metrics(profile).into_iter().filter(|metric| metric.is_exact());
        Self {
            report,
            plan: *plan,
            division,
            old_index,
            typical,
            whole,
            figures: figures(profile, division.turns.samples()),
            counts: counts.map(|metric| (metric, Counts::default())).collect(),
            shares: Shares::default(),
            trials: 0,
            spent: Duration::ZERO,
            state: State::Open,
        }
    }

    pub(crate) fn report(&self) -> usize {
        self.report
    }

    pub(crate) fn plan(&self) -> &CasePlan {
        &self.plan
    }

    pub(super) fn old_index(&self) -> usize {
        self.old_index
    }

    pub(super) fn typical(&self) -> Duration {
        self.typical
    }

    pub(super) fn spent(&self) -> Duration {
        self.spent
    }

    pub(super) fn shares(&self) -> &Shares {
        &self.shares
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
        let executions = self.plan.warmup.saturating_add(self.division.turns.samples());
        let worker = self.whole.saturating_mul(executions).saturating_add(START);
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
        let first = self.division.first(self.trials);
        let begin = Instant::now();
        let binaries = binaries.for_trial(time.saturating_sub(self.spent)).map_err(|error| not_started(&error))?;
        let contestants = roles.map(|role| Contestant {
            executable: &binaries[role],
            case_index: if role == pairing::NEW { self.plan.case.index } else { self.old_index },
        });
        let turns = self.division.turns;
        let left = time.saturating_sub(self.spent + begin.elapsed());
        let order = &mut |order: &mut [usize]| fastrand::shuffle(order);
        let held = supervisor.trial(&self.plan, first, turns, &contestants, left, order);
        // With what it takes to copy the binaries.
        self.spent += begin.elapsed();
        match held.map_err(|error| not_started(&error))? {
            Ok(samples) => {
                let mut samples: Vec<(usize, Vec<Sample>)> = roles.into_iter().zip(samples).collect();
                samples.sort_by_key(|&(role, _)| role);
                self.take(first, &samples.into_iter().map(|(_, samples)| samples).collect::<Vec<_>>());
            }
            Err(Spoiled::TimeUp) => self.close(),
            Err(Spoiled::Failed { contestant, failure }) if roles[contestant] == pairing::NEW => return Err(failure),
            Err(Spoiled::Failed { failure, .. }) => {
                self.state = State::Broken(format!("its binary failed {}: {}", failure.phase, failure.reason));
            }
        }
        Ok(())
    }

    fn take(&mut self, first: u64, samples: &[Vec<Sample>]) {
        self.trials += 1;
        for figure in &mut self.figures {
            figure.take(pairing::pair(figure.metric, figure.statistic, samples, self.division.turns));
        }
        for (metric, counts) in &mut self.counts {
            let figures =
                samples.iter().map(|samples| statistic::figures(*metric, samples)).collect::<Option<Vec<_>>>();
            if let Some(trial) = figures.and_then(|figures| figures.try_into().ok()) {
                counts.take(first, trial);
            }
        }
        if let [old, _, new] = samples {
            self.shares.take(old, new);
        }
    }

    /// Takes account of the trials so far.
    pub(crate) fn weigh(&mut self) {
        for figure in &mut self.figures {
            let counts = self.counts.iter().find(|(metric, _)| *metric == figure.metric);
            figure.weigh(counts.map(|(_, counts)| counts));
        }
    }

    /// What there is to judge.
    pub(crate) fn comparisons(&self) -> impl Iterator<Item = Comparison> {
        self.figures.iter().filter_map(Figure::comparison)
    }

    /// Takes the verdicts on all comparisons; the contest is over where everything is decided.
    pub(crate) fn settle(&mut self, verdicts: &[Verdict]) {
        let figures = self.figures.iter_mut().filter(|figure| figure.comparison().is_some());
        for (figure, &verdict) in figures.zip(verdicts) {
            figure.settle(verdict);
        }
        if self.figures.iter().all(Figure::is_settled) {
            self.close();
        }
    }

    pub(crate) fn outcome(&self) -> ComparedCase {
        let metrics = self.figures.iter().filter_map(Figure::outcome).collect();
        ComparedCase { report: self.report, method: Method::Interleaved, metrics, advisory: None, seconded: None }
    }
}
