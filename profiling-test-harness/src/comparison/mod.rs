//! Compares the jobs of a run with a kept baseline.
//!
//! Where the baseline's binary can run here, its workers and this binary's are interleaved, see
//! [`contest`]. Elsewhere the figures that are stored with the baseline are compared with those of this run.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use profiling_core::job::JobDescriptor;
use profiling_core::profile::Environment;
use profiling_core::sample::Sample;
use profiling_core::statistics::comparison::{Comparison, Outcome, Plan, Rule, Verdict, judge};

use self::binaries::Binaries;
use self::contest::Contest;
use self::figure::Tested;
use self::metric::Metric;
use self::old::OldJobs;
use self::statistic::Statistic;
use self::witness::{Revision, Seconded, Witness};
use crate::baseline::{Baseline, BaselineError};
use crate::cli::Comparing;
use crate::outcome::{CaseFailure, Phase};
use crate::plan::CasePlan;
use crate::plan::params;
use crate::report::CaseReport;
use crate::supervisor::Supervisor;
use crate::supervisor::trial::Contestant;
use crate::wire::PROTOCOL;

/// So many samples of a case at most are compared where samples are: more would say no more.
pub(crate) const COMPARED: usize = 2_000;

mod binaries;
mod contest;
mod counts;
mod figure;
pub(crate) mod file;
pub(crate) mod metric;
mod old;
mod pairing;
mod share;
pub(crate) mod statistic;
mod turns;
pub(crate) mod witness;

/// All that a comparison with a baseline says.
#[derive(Debug)]
pub(crate) struct Compared {
    pub cases: Vec<ComparedCase>,
    /// Jobs of this run that the baseline doesn't have.
    pub added: Vec<String>,
    /// Jobs of the baseline that this binary doesn't have.
    pub removed: Vec<String>,
    /// What makes any outcome advisory.
    pub advisory: Option<String>,
}

/// What a comparison says of a case.
#[derive(Debug)]
pub(crate) struct ComparedCase {
    /// Its place among the reports.
    pub report: usize,
    pub method: Method,
    pub metrics: Vec<ComparedMetric>,
    /// What makes its outcomes advisory.
    pub advisory: Option<String>,
    /// What counting has shown, where it was asked.
    pub seconded: Option<Seconded>,
}

/// What was compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Method {
    /// Fresh workers of both binaries.
    Interleaved,
    /// Stored figures; why.
    Stored(String),
}

/// What a comparison says of one figure.
#[derive(Debug)]
pub(crate) struct ComparedMetric {
    pub metric: Metric,
    pub statistic: Statistic,
    /// The baseline's figure, and this run's.
    pub figures: (f64, f64),
    pub comparison: Comparison,
    /// Of a mean or a percentile, how its proportion to the median compares.
    pub shape: Option<Comparison>,
    pub verdict: Verdict,
    /// What the second opinion has made of the outcome.
    pub revision: Option<Revision>,
}

impl Method {
    /// As in files.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Interleaved => "interleaved",
            Self::Stored(_) => "stored",
        }
    }
}

impl ComparedMetric {
    /// The pairs of fresh workers that it rests on.
    pub(crate) fn pairs(&self, method: &Method) -> usize {
        if *method == Method::Interleaved { self.comparison.pairs } else { 0 }
    }

    /// By how much code that costs the same seems to have changed, because it lies elsewhere.
    pub(crate) fn moved(&self) -> Option<f64> {
        (self.revision == Some(Revision::Moved)).then_some(self.comparison.effect)
    }
}

impl Compared {
    /// The reports of the cases that make the run fail.
    pub(crate) fn failed(&self) -> impl Iterator<Item = usize> {
        let failed = self.cases.iter().filter(|case| self.advisory.is_none() && case.fails());
        failed.map(|case| case.report)
    }
}

impl ComparedCase {
    fn fails(&self) -> bool {
        self.advisory.is_none() && self.metrics.iter().any(|metric| metric.verdict.outcome == Outcome::Regressed)
    }
}

/// What is being done with a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Trials, up to so many pairs.
    Pairs(usize),
    /// It is counted.
    Count,
}

/// What is needed to compare.
#[derive(Debug)]
pub(crate) struct Comparer<'a> {
    pub baseline: &'a Baseline,
    pub comparing: Comparing,
    pub environment: &'a Environment,
    pub registered: &'a [&'static JobDescriptor],
}

impl Comparer<'_> {
    /// Compares every case that has passed. One that fails only now has its report changed.
    pub(crate) fn compare(
        &self,
        supervisor: &mut Supervisor,
        reports: &mut [CaseReport],
        plans: &[CasePlan],
        samples: &[Vec<Sample>],
        progress: &mut dyn FnMut(&CasePlan, Step),
    ) -> Result<Compared, BaselineError> {
        let mut compared =
            Compared { cases: Vec::new(), added: Vec::new(), removed: self.removed()?, advisory: self.advisory() };
        let mut old_jobs = OldJobs::new(self.baseline);
        let (mut contests, mut stored) = (Vec::new(), Vec::new());
        for (index, report) in reports.iter().enumerate() {
            let Ok(profile) = &report.result else { continue };
            let job = report.case.job.name;
            let Some(old) = old_jobs.samples(report.case)? else {
                compared.added.push(report.case.path());
                continue;
            };
            let case_index = self.baseline.case_index(job, &params(report.case));
            match case_index
                .ok_or("its binary doesn't know the case".to_owned())
                .and_then(|case_index| self.why_not_interleaved().map_or(Ok(case_index), Err))
            {
                Ok(case_index) => {
                    let contest = Contest::new(index, &plans[index], case_index, profile, report.whole);
                    match contest.too_long(self.comparing.time) {
                        Some(takes) => stored.push((index, old, self.too_long(takes))),
                        None => contests.push((contest, old)),
                    }
                }
                Err(why) => stored.push((index, old, why)),
            }
        }
        compared.added = whole_jobs(&compared.added, reports);
        let witness = Witness::find(self.comparing);
        self.hold(supervisor, &mut contests, &witness, reports, progress);
        let harness = self.baseline.harness();
        for (contest, old) in contests {
            if let Some(why) = contest.broken() {
                stored.push((contest.report(), old, why.to_owned()));
                continue;
            }
            let mut case = contest.outcome();
            witness.second(supervisor, &harness, &contest, &mut case, &mut |plan| progress(plan, Step::Count));
            compared.cases.push(case);
        }
        let stored = stored.into_iter().filter(|&(index, ..)| reports[index].result.is_ok());
        compared.cases.extend(self.compare_stored(stored.collect(), reports, samples));
        compared.cases.sort_by_key(|case| case.report);
        for case in &mut compared.cases {
            let report = &reports[case.report];
            let old = old_jobs.instructions(report.case)?;
            let counted = old
                .and_then(|old| self.instructions(supervisor, report, &plans[case.report], &samples[case.report], old));
            case.metrics.extend(counted);
        }
        Ok(compared)
    }

    /// Compares instructions, where both versions have counted them: once more, to see whether they repeat.
    fn instructions(
        &self,
        supervisor: &mut Supervisor,
        report: &CaseReport,
        plan: &CasePlan,
        samples: &[Sample],
        old: u64,
    ) -> Option<ComparedMetric> {
        let new = report.result.as_ref().ok()?.instructions?;
        let case_index = self.baseline.case_index(report.case.job.name, &params(report.case))?;
        let current = supervisor.binary().for_wrapper(supervisor.directory()).ok()?.path;
        let mut again = |executable: &Path, case_index| {
            let counted = supervisor.instructions(plan, samples, Contestant { executable, case_index });
            counted.ok().flatten()
        };
        let old = (old, again(&self.baseline.harness(), case_index));
        let new = (new, again(&current, report.case.index));
        self.compare_instructions(old, new)
    }

    fn compare_instructions(&self, old: (u64, Option<u64>), new: (u64, Option<u64>)) -> Option<ComparedMetric> {
        let repeats = |(first, again): (u64, Option<u64>)| again == Some(first);
        let comparison = if repeats(old) && repeats(new) {
            // Two that are equal among millions say as much as five of a smaller count.
            Comparison::of_stored_counts(&[old.0; 5], &[new.0; 5])
        } else {
            let both = |(first, again): (u64, Option<u64>)| [first, again.unwrap_or(first)];
            Comparison::of_stored(&both(old), &both(new))
        };
        let figures = (old.0 as f64, new.0 as f64);
        let tested = Tested::new(Metric::Instructions, Statistic::P50, figures, comparison?);
        let rule = Rule { minimum_effect: self.comparing.minimum_effect, ..Rule::default() };
        judge(&[tested.comparison], &rule).pop().map(|verdict| tested.judged(verdict))
    }

    /// Holds the contests, all of them up to each look: what one finds out depends on how many there are.
    fn hold(
        &self,
        supervisor: &mut Supervisor,
        contests: &mut [(Contest, Vec<Sample>)],
        witness: &Witness,
        reports: &mut [CaseReport],
        progress: &mut dyn FnMut(&CasePlan, Step),
    ) {
        let plan = Plan::default();
        let binaries = Binaries::new(&self.baseline.harness(), supervisor.binary(), supervisor.directory());
        let (mut before, mut look) = (None, Some(plan.first()));
        while let Some(now) = look {
            for (contest, _) in contests.iter_mut().filter(|(contest, _)| contest.is_open()) {
                progress(contest.plan(), Step::Pairs(now.pairs));
                let time = witness.time_for_trials(contest);
                let held = contest.measure(supervisor, &binaries, now.pairs, time);
                contest.weigh();
                if let Err(failure) = held {
                    reports[contest.report()].result = Err(failure);
                }
            }
            let out_of_time = |contest: &Contest| contest.is_open() && contest.trials() < now.pairs;
            let level = |level| Rule { level, minimum_effect: self.comparing.minimum_effect };
            // Of a case that is out of time, this is the last look.
            if let Some(trials) = contests
                .iter()
                .map(|(contest, _)| contest)
                .filter(|&contest| out_of_time(contest))
                .map(Contest::trials)
                .min()
            {
                settle(contests, &level(plan.last(before, trials).level), &out_of_time);
                contests
                    .iter_mut()
                    .filter(|(contest, _)| out_of_time(contest))
                    .for_each(|(contest, _)| contest.close());
            }
            settle(contests, &level(now.level), &Contest::is_open);
            before = look;
            look = plan.after(now).filter(|_| contests.iter().any(|(contest, _)| contest.is_open()));
        }
    }

    fn compare_stored(
        &self,
        cases: Vec<(usize, Vec<Sample>, String)>,
        reports: &[CaseReport],
        samples: &[Vec<Sample>],
    ) -> Vec<ComparedCase> {
        let rule = Rule { minimum_effect: self.comparing.minimum_effect, ..Rule::default() };
        let tested: Vec<Vec<Tested>> = cases
            .iter()
            .map(|(index, old, _)| {
                let profile = reports[*index].result.as_ref().ok();
                let metrics = profile.map(contest::metrics).unwrap_or_default();
                metrics.into_iter().filter_map(|metric| Tested::of_stored(metric, old, &samples[*index])).collect()
            })
            .collect();
        let comparisons: Vec<Comparison> = tested.iter().flatten().map(|tested| tested.comparison).collect();
        let mut verdicts = judge(&comparisons, &rule).into_iter();
        let foreign = self.foreign_host();
        let judged = cases.into_iter().zip(tested).map(|((report, _, why), tested)| ComparedCase {
            report,
            method: Method::Stored(why),
            metrics: tested
                .into_iter()
                .zip(verdicts.by_ref())
                .map(|(tested, verdict)| tested.judged(verdict))
                .collect(),
            advisory: foreign.clone(),
            seconded: None,
        });
        judged.collect()
    }

    fn removed(&self) -> Result<Vec<String>, BaselineError> {
        let registered: HashSet<&str> = self.registered.iter().map(|job| job.name).collect();
        Ok(self.baseline.profiled()?.into_iter().filter(|job| !registered.contains(&**job)).collect())
    }

    fn why_not_interleaved(&self) -> Option<String> {
        let manifest = &self.baseline.manifest;
        if manifest.protocol != PROTOCOL {
            return Some(format!(
                "its binary speaks version {} of the protocol, this one {PROTOCOL}",
                manifest.protocol
            ));
        }
        (!Supervisor::TAKES_TURNS).then(|| "workers can't take turns on this platform".to_owned())
    }

    fn too_long(&self, takes: Duration) -> String {
        let [takes, time] = [takes, self.comparing.time]
            .map(|time| Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)));
        format!(
            "interleaving it takes {} or more, and --compare-time is {}",
            humantime::format_duration(takes),
            humantime::format_duration(time)
        )
    }

    /// What makes every outcome advisory.
    fn advisory(&self) -> Option<String> {
        let (old, new) = (&self.baseline.manifest.environment, self.environment);
        if old.opt_level != new.opt_level || old.debug_assertions != new.debug_assertions {
            let build = |environment: &Environment| {
                let assertions = if environment.debug_assertions { "on" } else { "off" };
                format!("opt-level {}, debug assertions {assertions}", environment.opt_level)
            };
            return Some(format!("the baseline was built with {}, this with {}", build(old), build(new)));
        }
        (old.rustc != new.rustc).then(|| format!("the baseline was built with {}, this with {}", old.rustc, new.rustc))
    }

    /// What makes outcomes advisory that rest on stored figures.
    fn foreign_host(&self) -> Option<String> {
        let (old, new) = (&self.baseline.manifest.environment, self.environment);
        let same = old.cpu_model == new.cpu_model
            && old.logical_cpus == new.logical_cpus
            && old.memory_bytes == new.memory_bytes
            && old.os == new.os;
        (!same).then(|| "its figures were measured on another machine".to_owned())
    }
}

/// Judges all contests together, and those that are meant get their verdicts.
fn settle(contests: &mut [(Contest, Vec<Sample>)], rule: &Rule, meant: &dyn Fn(&Contest) -> bool) {
    let comparisons: Vec<Comparison> = contests.iter().flat_map(|(contest, _)| contest.comparisons()).collect();
    let mut verdicts = judge(&comparisons, rule).into_iter();
    for (contest, _) in contests {
        let own: Vec<Verdict> = verdicts.by_ref().take(contest.comparisons().count()).collect();
        if meant(contest) {
            contest.settle(&own);
        }
    }
}

/// The job's name in place of the cases, where they are all that it has.
fn whole_jobs(cases: &[String], reports: &[CaseReport]) -> Vec<String> {
    let mut named: Vec<String> = Vec::new();
    for report in reports {
        let path = report.case.path();
        if !cases.contains(&path) {
            continue;
        }
        let job = report.case.job.name;
        let own = reports.iter().filter(|report| report.case.job.name == job);
        let whole = own.into_iter().all(|report| cases.contains(&report.case.path()));
        named.push(if whole { job.to_owned() } else { path });
    }
    named.dedup();
    named
}

/// Where a case failed that passed before it was compared.
fn failed_in_comparison(mut failure: CaseFailure) -> CaseFailure {
    failure.reason.insert_str(0, "while it was compared with the baseline: ");
    failure
}

fn not_started(error: &io::Error) -> CaseFailure {
    CaseFailure { phase: Phase::Startup, reason: format!("can't run its worker process: {error}") }
}
