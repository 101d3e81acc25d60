//! The supervisor's course: discover, choose, run case after case, store, report.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::ColorChoice;
use profiling_core::job::{Case, ParamValue};
use profiling_core::profile::{CaseProfile, Environment, Params};
use profiling_core::registry::{self, RegistryError};
use profiling_core::store::StoreError;
use thiserror::Error;

use crate::Host;
use crate::capture::Capture;
use crate::cli::{self, Arguments};
use crate::environment;
use crate::in_process;
use crate::report::progress::Progress;
use crate::report::{CaseReport, failed_jobs, failures, listing, table};
use crate::selection::{self, Chosen, Selected};
use crate::shelf::Shelf;
use crate::supervisor::{CaseFailure, CasePlan, CaseRun, Measured, Phase, Supervisor};

/// libtest's exit code for failed tests and for unusable arguments.
const FAILED: u8 = 101;

/// Why a run could not be carried through, as opposed to a job that failed.
#[derive(Debug, Error)]
pub(crate) enum SessionError {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(
        "no job is registered in this binary. The linker drops a crate that nothing refers to, together with its \
         jobs: write `use {} as _;` in this file for the crate whose functions carry #[profile_job], and check that \
         its feature `profiling` is on", .0.replace('-', "_")
    )]
    NoJobs(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("can't prepare for worker processes: {0}")]
    Worker(#[from] io::Error),
}

/// Runs what the command line asks for.
pub(crate) fn run(host: &Host) -> ExitCode {
    let arguments = match cli::parse(std::env::args_os(), |name| std::env::var_os(name)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(FAILED) } else { ExitCode::SUCCESS };
        }
    };
    set_colors(arguments.color);
    match carry_out(host, &arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(error) => {
            complain!("error: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn set_colors(choice: ColorChoice) {
    match choice {
        ColorChoice::Always => console::set_colors_enabled(true),
        ColorChoice::Never => console::set_colors_enabled(false),
        ColorChoice::Auto => {}
    }
}

/// `true` where every job passed.
fn carry_out(host: &Host, arguments: &Arguments) -> Result<bool, SessionError> {
    let jobs = registry::jobs()?;
    if jobs.is_empty() {
        return Err(SessionError::NoJobs(host.package.to_owned()));
    }
    let chosen = selection::choose(&jobs, &arguments.selection);
    if arguments.list {
        let _ = write!(io::stdout(), "{}", listing::list(&chosen, arguments.format));
        return Ok(true);
    }
    announce(&chosen, arguments);
    let begin = Instant::now();
    if arguments.in_process || chosen.selected.is_empty() {
        let reports = execute(&chosen, arguments, &mut in_process::run, |_| ());
        return Ok(conclude(&chosen, &reports, arguments, begin.elapsed()));
    }
    let mut shelf = Shelf::open(host, arguments.out.as_deref(), &jobs)?;
    let reports = measure(host, arguments, &chosen, &mut shelf)?;
    if arguments.selection.is_everything() {
        shelf.drop_unregistered();
    }
    let passed = conclude(&chosen, &reports, arguments, begin.elapsed());
    shelf.finish()?;
    if passed && !arguments.quiet {
        announce_profiles(host, &shelf);
    }
    Ok(passed)
}

/// Runs the chosen jobs in workers, and keeps their profiles.
fn measure(
    host: &Host,
    arguments: &Arguments,
    chosen: &Chosen,
    shelf: &mut Shelf,
) -> Result<Vec<CaseReport>, SessionError> {
    let mut supervisor = Supervisor::new(!arguments.no_capture)?;
    let environment = environment::describe(host);
    warn_of_debug_build(&environment);
    let mut run =
        |plan: &CasePlan, next: Option<&CasePlan>, progress: &mut dyn FnMut(u64)| supervisor.run(plan, next, progress);
    Ok(execute(chosen, arguments, &mut run, |outcome| shelf.keep(outcome, &environment)))
}

/// What came of all chosen cases of one job.
#[derive(Debug)]
pub(crate) struct JobOutcome<'a> {
    pub selected: &'a Selected,
    /// Every case that ran, with its samples where it passed.
    pub runs: &'a [(CaseReport, Option<Measured>)],
}

/// Runs a case; told which one comes next, and what to call after every execution.
type RunCase<'a> = &'a mut dyn FnMut(&CasePlan, Option<&CasePlan>, &mut dyn FnMut(u64)) -> io::Result<CaseRun>;

/// Runs every case of every chosen job; hands over each job's outcome as soon as it is known.
fn execute(
    chosen: &Chosen,
    arguments: &Arguments,
    run: RunCase<'_>,
    mut keep: impl FnMut(&JobOutcome<'_>),
) -> Vec<CaseReport> {
    let all = chosen.selected.iter().flat_map(|selected| &selected.cases);
    let plans: Vec<CasePlan> = all.map(|&case| plan(case, arguments)).collect();
    let progress = Progress::new(plans.len(), arguments.quiet);
    let mut reports = Vec::with_capacity(plans.len());
    let mut rest = plans.iter();
    for selected in &chosen.selected {
        let mut runs = Vec::with_capacity(selected.cases.len());
        for plan in rest.by_ref().take(selected.cases.len()) {
            let next = plans.get(reports.len() + runs.len() + 1);
            progress.begin(plan);
            let ran = run(plan, next, &mut |ended| progress.executed(plan, ended));
            let (report, measured) = summarise(plan.case, ran.unwrap_or_else(|error| not_run(&error)));
            progress.end(&report);
            runs.push((report, measured));
        }
        keep(&JobOutcome { selected, runs: &runs });
        let failed = runs.iter().any(|(report, _)| report.result.is_err());
        reports.extend(runs.into_iter().map(|(report, _)| report));
        if failed && arguments.fail_fast {
            break;
        }
    }
    progress.finish();
    reports
}

fn not_run(error: &io::Error) -> CaseRun {
    let failure = CaseFailure { phase: Phase::Startup, reason: format!("can't run its worker process: {error}") };
    CaseRun { result: Err(failure), stdout: Capture::default(), stderr: Capture::default() }
}

fn plan(case: Case, arguments: &Arguments) -> CasePlan {
    CasePlan {
        case,
        warmup: arguments.warmup.unwrap_or(case.job.warmup),
        samples: arguments.samples.unwrap_or(case.job.samples),
        timeout: arguments.timeout.unwrap_or(case.job.timeout),
    }
}

fn summarise(case: Case, ran: CaseRun) -> (CaseReport, Option<Measured>) {
    let (result, measured) = match ran.result {
        Ok(measured) => {
            let profile = CaseProfile::of(params(case), &measured.samples, measured.cold_start);
            let profile = profile.expect("a case that passed has samples");
            (Ok(CaseProfile { breakdown: measured.breakdown.clone(), ..profile }), Some(measured))
        }
        Err(failure) => (Err(failure), None),
    };
    (CaseReport { case, result, stdout: ran.stdout, stderr: ran.stderr }, measured)
}

/// A case's parameters, as they stand in profiles.
pub(crate) fn params(case: Case) -> Params {
    case.params().map(|(name, value)| (name.to_owned(), json(value))).collect()
}

fn json(value: ParamValue) -> serde_json::Value {
    match value {
        ParamValue::Text(text) => text.into(),
        ParamValue::Integer(integer) => match (u64::try_from(integer), i64::try_from(integer)) {
            (Ok(integer), _) => integer.into(),
            (_, Ok(integer)) => integer.into(),
            // The macro refuses larger ones.
            _ => integer.to_string().into(),
        },
    }
}

fn announce(chosen: &Chosen, arguments: &Arguments) {
    if arguments.quiet {
        return;
    }
    if arguments.test_threads {
        complain!("note: --test-threads has no effect: jobs that ran at the same time would disturb each other");
    }
    if arguments.in_process {
        complain!("note: --in-process: no deadlines, no separate processes, no profiles");
    }
    say!("\nrunning {}", plural(chosen.selected.len(), "job"));
    for job in &chosen.ignored {
        say!("test {} ... ignored", job.name);
    }
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn warn_of_debug_build(environment: &Environment) {
    if !environment.is_optimised() {
        complain!(
            "warning: this build is not optimised (opt-level {}, debug assertions {}): its figures are no basis for \
             sizing. Add --release",
            environment.opt_level,
            if environment.debug_assertions { "on" } else { "off" },
        );
    }
}

fn announce_profiles(host: &Host, shelf: &Shelf) {
    say!("profiles: {}", shelf.directory().display());
    let document = Path::new(host.manifest_dir).join("blueprint.json");
    if fs::exists(&document).unwrap_or(false) {
        say!("`cargo build` embeds them into {}", document.display());
    }
}

/// Prints the end of the report; `true` where every job passed.
fn conclude(chosen: &Chosen, reports: &[CaseReport], arguments: &Arguments, took: Duration) -> bool {
    if !reports.is_empty() && !arguments.quiet {
        say!("\n{}", table::render(reports));
    }
    if arguments.show_output {
        say!("\n{}", failures::successes(reports));
    }
    let failed = failures::render(reports);
    if !failed.is_empty() {
        say!("{failed}");
    }
    let failed = failed_jobs(reports).len();
    let mut ran: Vec<&str> = reports.iter().map(|report| report.case.job.name).collect();
    ran.dedup();
    say!(
        "\ntest result: {}. {} passed; {failed} failed; {} ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        if failed == 0 { console::style("ok").green() } else { console::style("FAILED").red() },
        ran.len() - failed,
        chosen.ignored.len(),
        chosen.filtered_out,
        took.as_secs_f64(),
    );
    failed == 0
}
