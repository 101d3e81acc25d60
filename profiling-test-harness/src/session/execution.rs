//! Runs the chosen cases, one after another.

use std::io;
use std::time::Duration;

use profiling_core::job::{Case, JobDescriptor};
use profiling_core::profile::{CaseProfile, Grade};

use crate::binary::Replaced;
use crate::budgets;
use crate::capture::Capture;
use crate::cli::Arguments;
use crate::outcome::{CaseFailure, CaseRun, Measured, Phase};
use crate::plan::{CasePlan, params};
use crate::report::CaseReport;
use crate::report::progress::Progress;
use crate::selection::{Chosen, Selected};

/// What came of all chosen cases of one job.
#[derive(Debug)]
pub(crate) struct JobOutcome<'a> {
    pub selected: &'a Selected,
    /// Every case that ran, with its samples where it passed.
    pub runs: &'a [(CaseReport, Option<Measured>)],
}

impl JobOutcome<'_> {
    /// Whether all that is wrong is nothing of the job's: noise, or another build of the binary.
    pub(crate) fn only_others(&self) -> bool {
        let mut failures = self.runs.iter().filter_map(|(report, _)| report.result.as_ref().err());
        failures.all(|failure| matches!(failure.phase, Phase::Noise | Phase::Replaced))
    }
}

/// Runs a case; told which one comes next, and what to call after every execution.
pub(super) type RunCase<'a> =
    &'a mut dyn FnMut(&CasePlan, Option<&CasePlan>, &mut dyn FnMut(u64)) -> io::Result<CaseRun>;

/// Runs every case of every chosen job; hands over each job's outcome as soon as it is known. A job during which the
/// run is told to end has none, and none comes after it.
pub(super) fn execute(
    chosen: &Chosen,
    arguments: &Arguments,
    run: RunCase<'_>,
    is_ended: &dyn Fn() -> bool,
    mut keep: impl FnMut(&Selected, &mut [(CaseReport, Option<Measured>)], &Progress),
) -> Vec<CaseReport> {
    let all = chosen.selected.iter().flat_map(|selected| &selected.cases);
    let plans: Vec<CasePlan> = all.map(|&case| plan(case, arguments)).collect();
    let progress = Progress::new(plans.len(), arguments.quiet);
    let mut reports = Vec::with_capacity(plans.len());
    let mut rest = plans.iter();
    'jobs: for selected in &chosen.selected {
        let mut runs = Vec::with_capacity(selected.cases.len());
        for plan in rest.by_ref().take(selected.cases.len()) {
            let next = plans.get(reports.len() + runs.len() + 1);
            progress.begin(plan);
            let ran = run(plan, next, &mut |ended| progress.executed(plan, ended));
            let (mut report, measured) = summarise(plan.case, ran.unwrap_or_else(|error| not_run(&error)));
            if arguments.quiet_machine() {
                refuse_noise(&mut report);
            }
            if let (Ok(profile), Some(measured)) = (&mut report.result, &measured) {
                let mut again = |plan: &CasePlan| run(plan, next, &mut |ended| progress.executed(plan, ended));
                match budgets::judge(plan, profile, measured, arguments.budget_bound(), &mut again) {
                    Ok(judgements) => profile.budgets = judgements,
                    Err(error) => report.result = Err(unread(&error)),
                }
            }
            if is_ended() {
                break 'jobs;
            }
            progress.end(&report);
            runs.push((report, measured));
        }
        keep(selected, &mut runs, &progress);
        let failed = runs.iter().any(|(report, _)| report.failed());
        reports.extend(runs.into_iter().map(|(report, _)| report));
        if is_ended() || failed && arguments.fail_fast {
            break;
        }
    }
    progress.finish();
    reports
}

fn not_run(error: &io::Error) -> CaseRun {
    let phase = if Replaced::is(error) { Phase::Replaced } else { Phase::Startup };
    let failure = CaseFailure { phase, reason: format!("can't run its worker process: {error}") };
    CaseRun { result: Err(failure), stdout: Capture::default(), stderr: Capture::default() }
}

/// What the command line, the attribute or the configuration say of a case.
pub(super) fn plan(case: Case, arguments: &Arguments) -> CasePlan {
    let (job, defaults) = (case.job, &arguments.defaults);
    CasePlan {
        case,
        warmup: arguments.warmup.or(job.warmup).or(defaults.warmup).unwrap_or(JobDescriptor::WARMUP),
        samples: arguments.samples.or(job.samples).or(defaults.samples).unwrap_or(JobDescriptor::SAMPLES),
        timeout: arguments.timeout.or(job.timeout).or(defaults.timeout).unwrap_or(JobDescriptor::TIMEOUT),
        cold_samples: arguments
            .cold_samples
            .or(job.cold_samples)
            .or(defaults.cold_samples)
            .unwrap_or(JobDescriptor::COLD_SAMPLES),
        isolation: job.isolation,
        again: false,
    }
}

fn summarise(case: Case, ran: CaseRun) -> (CaseReport, Option<Measured>) {
    let (result, measured) = match ran.result {
        Ok(measured) => match CaseProfile::of_samples(params(case), &measured.samples, &measured.circumstances) {
            Ok(profile) => (Ok(profile.expect("a case that passed has samples")), Some(measured)),
            Err(error) => (Err(unread(&error)), None),
        },
        Err(failure) => (Err(failure), None),
    };
    let whole = measured.as_ref().map_or(Duration::ZERO, |measured| measured.whole);
    (CaseReport { case, result, whole, stdout: ran.stdout, stderr: ran.stderr }, measured)
}

fn unread(error: &io::Error) -> CaseFailure {
    CaseFailure { phase: Phase::Exit, reason: format!("the harness can't read its samples: {error}") }
}

/// Fails a case that other programs disturbed.
fn refuse_noise(report: &mut CaseReport) {
    let noise = report.result.as_ref().ok().and_then(|profile| profile.noise.as_ref());
    if let Some(noise) = noise.filter(|noise| noise.grade == Grade::Noisy) {
        let reason = format!("the machine was noisy, and no profile is stored: {}", noise.why.join("; "));
        report.result = Err(CaseFailure { phase: Phase::Noise, reason });
    }
}
