//! The second opinion on CPU time that has come out improved, regressed or undecided: what executions of both
//! versions cost when they are counted.

use std::path::Path;
use std::time::Duration;

use profiling_core::statistics::comparison::{Costs, Events, Opinion, Outcome, Reach, changed_of_itself, unseconded};

use super::contest::Contest;
use super::metric::Metric;
use super::share::Shares;
use super::statistic::Statistic;
use super::{ComparedCase, ComparedMetric};
use crate::cli::Comparing;
use crate::instructions::Valgrind;
use crate::plan::CasePlan;
use crate::supervisor::Supervisor;
use crate::supervisor::counting::{Counted, Uncounted};
use crate::supervisor::trial::Contestant;

/// The executions of each version that are counted.
const EXECUTIONS: u32 = 3;
/// How much longer an execution takes while it is counted.
const SLOWDOWN: u32 = 40;
/// How long it takes to start a worker that is counted.
const START: Duration = Duration::from_secs(2);

/// What counts executions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counter {
    Valgrind,
    /// There is none.
    Missing,
    /// Nobody wants one.
    Unwanted,
}

/// Gives second opinions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Witness {
    counter: Counter,
    comparing: Comparing,
}

/// What counting has shown of a case.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seconded {
    Counted(Costs),
    Not(NoOpinion),
}

/// Why there is no second opinion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoOpinion {
    NotInstalled,
    /// The costs of one version's executions differ by more than 1%.
    Varies,
    /// It takes more than is left of the time.
    TooLong {
        left: Duration,
    },
    Failed(String),
}

/// What became of an outcome after it was tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Revision {
    /// The code lies elsewhere, and costs the same.
    Moved,
    /// The code costs the same, but layout doesn't explain so much.
    Contradicted,
    /// The code costs more.
    Costlier,
    /// Without a second opinion it can't be told from layout.
    Unseconded,
}

impl Witness {
    pub(super) fn find(comparing: Comparing) -> Self {
        let counter = match Valgrind::find() {
            _ if !comparing.witness => Counter::Unwanted,
            Ok(_) => Counter::Valgrind,
            Err(_) => Counter::Missing,
        };
        Self { counter, comparing }
    }

    /// How long trials of a case may take, so that there is time to count it, too, if that is possible at all.
    pub(super) fn time_for_trials(&self, contest: &Contest) -> Duration {
        let (time, takes) = (self.comparing.time, takes(contest));
        if self.counter == Counter::Valgrind && takes <= time / 2 { time.saturating_sub(takes) } else { time }
    }

    /// Counts a case, and judges its CPU time once more, if that has seemed to change or is undecided. `harness`: the
    /// baseline's binary.
    pub(super) fn second(
        &self,
        supervisor: &mut Supervisor,
        harness: &Path,
        contest: &Contest,
        case: &mut ComparedCase,
        counting: &mut dyn FnMut(&CasePlan),
    ) {
        if self.counter == Counter::Unwanted || !case.metrics.iter().any(is_questionable) {
            return;
        }
        let (seconded, alone) = match self.counter {
            Counter::Valgrind => {
                counting(contest.plan());
                self.count(supervisor, harness, contest)
            }
            Counter::Missing | Counter::Unwanted => (Seconded::Not(NoOpinion::NotInstalled), true),
        };
        let costs = match &seconded {
            Seconded::Counted(costs) => Some(*costs),
            Seconded::Not(_) => None,
        };
        let judge = Judge {
            costs,
            shares: contest.shares(),
            alone,
            same_allocations: Allocations::of(&case.metrics),
            minimum_effect: self.comparing.minimum_effect,
        };
        judge.revise(&mut case.metrics);
        case.seconded = Some(seconded);
    }

    /// What both versions cost, and whether without child processes.
    fn count(&self, supervisor: &mut Supervisor, harness: &Path, contest: &Contest) -> (Seconded, bool) {
        let left = self.comparing.time.saturating_sub(contest.spent());
        let too_long = (Seconded::Not(NoOpinion::TooLong { left }), true);
        if takes(contest) > left {
            return too_long;
        }
        let counted = supervisor.binary().for_wrapper(supervisor.directory()).and_then(|current| {
            let contestants = [
                Contestant { executable: harness, case_index: contest.old_index() },
                Contestant { executable: &current.path, case_index: contest.plan().case.index },
            ];
            supervisor.count_events(contest.plan(), EXECUTIONS, contestants, left)
        });
        match counted {
            Ok(Ok([old, new])) => {
                let costs = |counted: &Counted| counted.executions.iter().map(Events::cost).collect::<Vec<u64>>();
                let alone = !old.started_processes && !new.started_processes;
                let costs = Costs::of(&costs(&old), &costs(&new));
                (costs.map_or(Seconded::Not(NoOpinion::Varies), Seconded::Counted), alone)
            }
            Ok(Err(Uncounted::TooLong)) => too_long,
            Ok(Err(Uncounted::Failed(why))) => (Seconded::Not(NoOpinion::Failed(why)), true),
            Err(error) => (Seconded::Not(NoOpinion::Failed(error.to_string())), true),
        }
    }
}

/// About how long it takes to count both versions of a case side by side.
fn takes(contest: &Contest) -> Duration {
    let executions = contest.plan().warmup.max(1).saturating_add(EXECUTIONS);
    contest.typical().saturating_mul(SLOWDOWN).saturating_mul(executions).saturating_add(START)
}

/// Whether a figure asks for a second opinion.
fn is_questionable(metric: &ComparedMetric) -> bool {
    let outcome = metric.verdict.outcome;
    let typical = metric.statistic == Statistic::P50;
    metric.metric == Metric::Cpu && (is_change(outcome) || (typical && outcome == Outcome::Undecided))
}

fn is_change(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Improved | Outcome::Regressed)
}

/// How the allocations of both versions compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Allocations {
    Same,
    Unknown,
    Different,
}

impl Allocations {
    fn of(metrics: &[ComparedMetric]) -> Self {
        let counts =
            metrics.iter().filter(|metric| matches!(metric.metric, Metric::Allocations | Metric::AllocatedBytes));
        counts.map(|metric| metric.verdict.outcome).fold(Self::Same, |so_far, outcome| match outcome {
            _ if so_far == Self::Different || is_change(outcome) => Self::Different,
            Outcome::Undecided => Self::Unknown,
            _ => so_far,
        })
    }
}

/// All that the second judgement rests on.
struct Judge<'a> {
    /// `None` where there is no second opinion.
    costs: Option<Costs>,
    shares: &'a Shares,
    /// No child processes were started.
    alone: bool,
    same_allocations: Allocations,
    minimum_effect: f64,
}

impl Judge<'_> {
    fn revise(&self, metrics: &mut [ComparedMetric]) {
        let is_typical = |metric: &ComparedMetric| metric.statistic == Statistic::P50;
        let mut typical = None;
        for metric in metrics.iter_mut().filter(|metric| metric.metric == Metric::Cpu && is_typical(metric)) {
            self.settle(metric);
            typical = Some(metric.verdict.outcome);
        }
        for metric in metrics.iter_mut().filter(|metric| metric.metric == Metric::Cpu && !is_typical(metric)) {
            self.revise_tail(metric, typical);
        }
    }

    /// A mean or a percentile that has changed with the typical execution is judged as that is.
    fn revise_tail(&self, metric: &mut ComparedMetric, typical: Option<Outcome>) {
        let outcome = metric.verdict.outcome;
        let own = metric.shape.is_some_and(|shape| changed_of_itself(outcome, &shape, self.minimum_effect));
        if !is_change(outcome) || typical == Some(outcome) {
            return;
        }
        if own {
            // What a few executions have counted says nothing of the rare ones.
            if self.costs.is_none() {
                self.leave_open(metric);
            }
            return;
        }
        self.settle(metric);
        if metric.verdict.outcome == outcome {
            metric.revise(Revision::Unseconded, Outcome::Undecided);
        }
    }

    fn settle(&self, metric: &mut ComparedMetric) {
        let (outcome, effect) = (metric.verdict.outcome, metric.comparison.effect);
        let Some(costs) = &self.costs else { return self.leave_open(metric) };
        let opinion = Opinion::on(outcome, effect, costs, self.reach(outcome, effect), self.minimum_effect);
        let revision = match opinion {
            Opinion::Stands => return,
            Opinion::Moved => Revision::Moved,
            Opinion::Contradicted => Revision::Contradicted,
            Opinion::Costlier => Revision::Costlier,
        };
        metric.revise(revision, opinion.outcome(outcome));
    }

    fn leave_open(&self, metric: &mut ComparedMetric) {
        let outcome = metric.verdict.outcome;
        let same = self.same_allocations != Allocations::Different;
        let after = unseconded(outcome, metric.comparison.effect, same);
        if after != outcome {
            metric.revise(Revision::Unseconded, after);
        }
    }

    fn reach(&self, outcome: Outcome, effect: f64) -> Reach {
        if self.same_allocations != Allocations::Same {
            return Reach::Allocations;
        }
        if !self.alone {
            return Reach::Processes;
        }
        self.shares.reach(outcome, effect, self.minimum_effect)
    }
}

impl ComparedMetric {
    fn revise(&mut self, revision: Revision, outcome: Outcome) {
        self.verdict.outcome = outcome;
        self.revision = Some(revision);
    }
}

#[cfg(test)]
mod tests {
    use profiling_core::sample::Sample;
    use profiling_core::statistics::comparison::{Comparison, Pair, Rule, judge};

    use super::super::figure::Tested;
    use super::*;

    /// A figure of which the new version needs so much more, and a shape that is so much longer.
    fn metric(metric: Metric, statistic: Statistic, more: f64, longer: f64) -> ComparedMetric {
        let compared = |more: f64| {
            let pair = |at: u32| Pair::new(1e6 + f64::from(at), (1e6 + f64::from(7 * at % 20)) * (1.0 + more));
            Comparison::of_pairs(&(0..20).filter_map(pair).collect::<Vec<_>>()).expect("pairs")
        };
        let comparison = compared(more);
        let tested = Tested::new(metric, statistic, (1e6, 1e6 * (1.0 + more)), comparison);
        let tested = Tested { shape: (statistic != Statistic::P50).then(|| compared(longer)), ..tested };
        tested.judged(judge(&[comparison], &Rule::default())[0])
    }

    fn shares() -> Shares {
        let sample = |cpu_ns| Sample { wall_ns: cpu_ns, cpu_ns: Some(cpu_ns), ..Sample::default() };
        let mut shares = Shares::default();
        shares.take(&[sample(1_000_000)], &[sample(1_050_000)]);
        shares
    }

    fn revised(costs: Option<(u64, u64)>, metrics: &mut [ComparedMetric]) -> Vec<Outcome> {
        let costs = costs.map(|(old, new)| Costs::of(&[old; 3], &[new; 3]).expect("they repeat"));
        let same_allocations = Allocations::of(metrics);
        let shares = shares();
        Judge { costs, shares: &shares, alone: true, same_allocations, minimum_effect: 0.02 }.revise(metrics);
        metrics.iter().map(|metric| metric.verdict.outcome).collect()
    }

    #[test]
    fn code_that_lies_elsewhere_has_not_regressed() {
        let figures = || {
            [Statistic::P50, Statistic::Mean, Statistic::P95]
                .map(|statistic| metric(Metric::Cpu, statistic, 0.05, 0.001))
        };
        assert!(figures().iter().all(|figure| figure.verdict.outcome == Outcome::Regressed));
        let mut moved = figures();
        assert_eq!(revised(Some((3_921_233, 3_921_233)), &mut moved), [Outcome::Unchanged; 3]);
        assert!(moved.iter().all(|figure| figure.revision == Some(Revision::Moved)));
        let mut slower = figures();
        assert_eq!(revised(Some((3_921_233, 4_117_295)), &mut slower), [Outcome::Regressed; 3]);
    }

    #[test]
    fn a_longer_tail_stays_one_whatever_the_typical_execution_costs() {
        let mut figures =
            [metric(Metric::Cpu, Statistic::P50, 0.05, 0.0), metric(Metric::Cpu, Statistic::Mean, 0.18, 0.125)];
        assert_eq!(revised(Some((1000, 1000)), &mut figures), [Outcome::Unchanged, Outcome::Regressed]);
        let mut alone =
            [metric(Metric::Cpu, Statistic::P50, 0.0, 0.0), metric(Metric::Cpu, Statistic::Mean, 0.125, 0.125)];
        assert_eq!(revised(Some((1000, 1000)), &mut alone), [Outcome::Unchanged, Outcome::Regressed]);
        assert_eq!(revised(None, &mut alone), [Outcome::Unchanged, Outcome::Regressed]);
    }

    #[test]
    fn a_mean_that_follows_the_typical_execution_is_judged_as_that_is() {
        let figures =
            || [metric(Metric::Cpu, Statistic::P50, 0.019, 0.0), metric(Metric::Cpu, Statistic::Mean, 0.04, 0.001)];
        assert_eq!(figures()[1].verdict.outcome, Outcome::Regressed);
        assert_eq!(revised(Some((1000, 1000)), &mut figures())[1], Outcome::Unchanged);
        assert_eq!(revised(None, &mut figures())[1], Outcome::Undecided, "nobody can tell");
    }

    #[test]
    fn without_counts_a_small_effect_is_undecided() {
        let mut small = [metric(Metric::Cpu, Statistic::P50, 0.025, 0.0)];
        assert_eq!(revised(None, &mut small), [Outcome::Undecided]);
        assert_eq!(small[0].revision, Some(Revision::Unseconded));
        let mut large = [metric(Metric::Cpu, Statistic::P50, 0.05, 0.0)];
        assert_eq!(revised(None, &mut large), [Outcome::Regressed]);
        let mut allocates =
            [metric(Metric::Cpu, Statistic::P50, 0.025, 0.0), metric(Metric::Allocations, Statistic::P50, 0.1, 0.0)];
        assert_eq!(revised(None, &mut allocates), [Outcome::Regressed; 2]);
    }

    #[test]
    fn other_figures_are_none_of_its_business() {
        let mut figures =
            [metric(Metric::Wall, Statistic::P50, 0.05, 0.0), metric(Metric::PeakHeap, Statistic::P50, 0.05, 0.0)];
        assert_eq!(revised(Some((1000, 1000)), &mut figures), [Outcome::Regressed; 2]);
        assert!(!figures.iter().any(is_questionable));
        let mut allocates =
            [metric(Metric::Cpu, Statistic::P50, 0.05, 0.0), metric(Metric::AllocatedBytes, Statistic::P50, 0.1, 0.0)];
        assert_eq!(revised(Some((1000, 1000)), &mut allocates), [Outcome::Regressed; 2], "the code has changed");
    }
}
