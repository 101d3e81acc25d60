//! The supervisor's course: discover, choose, run case after case, store, report.

use std::cell::RefCell;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use clap::ColorChoice;
use profiling_core::advise::{Options, SizesListed};
use profiling_core::job::JobDescriptor;
use profiling_core::profile::Environment;
use profiling_core::registry::{self, RegistryError};
use profiling_core::samples::CaseSamples;
use profiling_core::statistics::{Model, rust_source};
use profiling_core::store::{BuildKind, History, StoreError, replace_file};
use thiserror::Error;

pub(crate) use self::execution::JobOutcome;
use self::execution::{execute, plan};
use crate::baseline::{Baseline, BaselineError, Baselines};
use crate::binary::HeldBinary;
use crate::cli::{self, Arguments, Tables};
use crate::comparison::file::{ComparisonFile, Entry, JobName};
use crate::comparison::{COMPARED, Compared, Comparer, Step};
use crate::config::{Configuration, ConfigurationError};
use crate::in_process;
use crate::instructions::{Valgrind, ValgrindError};
use crate::interruption::Interrupted;
use crate::outcome::Measured;
use crate::plan::CasePlan;
use crate::platforms::{self, PlatformsError};
use crate::rehearsal::{Program, RehearsalError, Rehearsals, Size};
use crate::report::progress::Progress;
use crate::report::{CaseReport, comparison, failed_jobs, failures, growth, history, listing, rehearsals, table};
use crate::selection::{self, Chosen};
use crate::shelf::{self, Shelf, history_path};
use crate::supervisor::{Earlier, Extras, Supervisor};
use crate::targets::{self, Missed};
use crate::temporary::RunDirectory;
use crate::{FAILED, Host, advisor, report};

mod baselines;
mod execution;

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
    Configuration(#[from] ConfigurationError),
    #[error(transparent)]
    Platforms(#[from] PlatformsError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "no run has recorded `{asked}` in `{}`. {}", path.display(), recorded(known)
    )]
    NoHistory { asked: String, path: PathBuf, known: Vec<String> },
    #[error(transparent)]
    Valgrind(#[from] ValgrindError),
    #[error(transparent)]
    Rehearsal(#[from] RehearsalError),
    #[error(transparent)]
    Baseline(#[from] BaselineError),
    #[error("can't write `{}`: {reason}", .path.display())]
    Write { path: PathBuf, reason: io::Error },
    #[error("{by}: {}", what_is_kept(*.kept, .directory))]
    Interrupted { by: Interrupted, kept: usize, directory: PathBuf },
    #[error("can't prepare for worker processes: {0}")]
    Worker(#[from] io::Error),
}

fn recorded(known: &[String]) -> String {
    if known.is_empty() {
        return "`cargo test --release --features profiling` records every job that it measures".to_owned();
    }
    format!("There are: {}", known.join(", "))
}

fn what_is_kept(jobs: usize, directory: &Path) -> String {
    if jobs == 0 {
        return "no job was measured by then; what was stored before stays as it is".to_owned();
    }
    format!("the profiles of {} are kept in {}", plural(jobs, "job"), directory.display())
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
    match carry_out(host, arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(error @ SessionError::Interrupted { by, .. }) => {
            complain!("{error}");
            ExitCode::from(by.exit_code())
        }
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
fn carry_out(host: &Host, mut arguments: Arguments) -> Result<bool, SessionError> {
    let jobs = registry::jobs()?;
    if jobs.is_empty() {
        return Err(SessionError::NoJobs(host.package.to_owned()));
    }
    let chosen = selection::choose(&jobs, &arguments.selection);
    if arguments.list {
        let _ = write!(io::stdout(), "{}", listing::list(&chosen, arguments.format));
        return Ok(true);
    }
    let manifest_dir = Path::new(host.manifest_dir);
    arguments.defaults = Configuration::load(manifest_dir)?;
    let arguments = &arguments;
    if let Some(command) = &arguments.baselines {
        return baselines::manage(host, arguments, command).map(|()| true);
    }
    if let Some(asked) = &arguments.history {
        return show_history(host, arguments, asked).map(|()| true);
    }
    let catalogue = platforms::load(arguments.platforms(manifest_dir).as_deref())?;
    targets::check(&jobs, &catalogue)?;
    let valgrind = if arguments.instructions() { Some(Valgrind::find()?) } else { None };
    let own = Own { binary: Rc::new(HeldBinary::of_this_process()?), directory: Rc::new(RunDirectory::make()?) };
    let rehearsals = Rehearsals::prepare(&arguments.rehearse, &catalogue, &own.directory)?;
    announce(&chosen, arguments);
    let begin = Instant::now();
    if arguments.in_process || chosen.selected.is_empty() {
        let reports = execute(&chosen, arguments, &mut in_process::run, &|| false, |_, _, _| ());
        return Ok(conclude(&chosen, &Run::of(reports), &[], arguments, begin.elapsed()));
    }
    let mut shelf = Shelf::open(host, arguments, &jobs, catalogue)?;
    let extras = Extras { valgrind, rehearsals };
    let run = match measure(host, arguments, extras, &own, &jobs, &chosen, &mut shelf) {
        Err(interrupted @ SessionError::Interrupted { .. }) => {
            shelf.finish()?;
            return Err(interrupted);
        }
        run => run?,
    };
    if arguments.selection.is_everything() {
        shelf.drop_unregistered();
    }
    let passed = conclude(&chosen, &run, shelf.models(), arguments, begin.elapsed());
    shelf.finish()?;
    if let Some(path) = &arguments.emit_models {
        if shelf.store().build() == BuildKind::Optimised || arguments.unoptimised {
            emit_models(host, &shelf, path)?;
        } else {
            complain!(
                "note: --emit-models has left {} as it is: this build is not optimised. Add --release, or --unoptimised \
                 to write its models all the same",
                path.display()
            );
        }
    }
    if let Some(tables) = arguments.advise {
        say!("{}\n", advice(&shelf, &chosen, tables, arguments)?);
    }
    if let Some(name) = &arguments.save_baseline {
        baselines::save(host, &shelf, name, &run, &jobs, &own.binary)?;
    }
    if passed && !arguments.quiet {
        announce_profiles(host, &shelf);
    }
    Ok(passed)
}

/// What follows from the profiles of the chosen jobs; for a run of all jobs, for the blueprint, too.
fn advice(shelf: &Shelf, chosen: &Chosen, tables: Tables, arguments: &Arguments) -> Result<String, StoreError> {
    let (advising, unoptimised) = (arguments.advising(), arguments.unoptimised);
    let sizes = tables == Tables::Sizes;
    let options = Options { sizes: if sizes { SizesListed::All } else { SizesListed::Few }, ..advising };
    let is_chosen = |job: &str| chosen.selected.iter().any(|selected| selected.job.name == job);
    let (known, catalogue) = (shelf.roster().known(), shelf.catalogue());
    let jobs = shelf.jobs(&known);
    let store = if unoptimised { shelf.store().clone() } else { shelf.optimised() };
    if shelf.store().build() != store.build() {
        say!("What follows is of optimised profiles of earlier runs; --unoptimised takes those of this one.");
    }
    let wanted = |job: &str| is_chosen(job) || shelf.roster().is_of_others(job);
    let mut advised = advisor::on_jobs(&store, jobs, wanted, catalogue, &options)?;
    let whole = advised.len() == known.len();
    let blueprint = if whole { advisor::on_blueprint(&store, jobs, &advised)? } else { None };
    advised.retain(|job| is_chosen(&job.job));
    platforms::warn_of_old_prices(catalogue);
    Ok(report::advice::render(&advised, blueprint.as_ref(), sizes))
}

/// Prints what the runs so far have measured of a job or a case.
fn show_history(host: &Host, arguments: &Arguments, asked: &str) -> Result<(), SessionError> {
    let store = shelf::locate(host, arguments)?;
    let path = history_path(host, arguments, &store);
    let History { entries, unreadable } = History::read(&path)?;
    if !unreadable.is_empty() {
        let lines: Vec<String> = unreadable.iter().map(ToString::to_string).collect();
        complain!("warning: `{}`: not entries, and left out: line {}", path.display(), lines.join(", "));
    }
    let Some(text) = history::render(&entries, asked) else {
        let known = history::jobs(&entries);
        return Err(SessionError::NoHistory { asked: asked.to_owned(), path, known });
    };
    say!("{text}");
    Ok(())
}

/// What a run has to itself.
#[derive(Debug)]
struct Own {
    binary: Rc<HeldBinary>,
    directory: Rc<RunDirectory>,
}

/// What came of a run.
#[derive(Debug)]
struct Run {
    reports: Vec<CaseReport>,
    /// Targets that jobs were not shown to fit.
    missed: Vec<Missed>,
    environment: Option<Environment>,
    compared: Option<(Compared, Baseline)>,
}

impl Run {
    fn of(reports: Vec<CaseReport>) -> Self {
        Self { reports, missed: Vec::new(), environment: None, compared: None }
    }

    /// The jobs that failed or have become worse, in order.
    fn failed(&self) -> Vec<&'static str> {
        let mut failed: Vec<&'static str> = failed_jobs(&self.reports).into_iter().map(|job| job.name).collect();
        if let Some((compared, _)) = &self.compared {
            failed.extend(compared.failed().map(|report| self.reports[report].case.job.name));
        }
        failed.extend(self.missed.iter().filter(|missed| missed.fails).map(|missed| missed.job));
        failed.sort_unstable();
        failed.dedup();
        failed
    }
}

/// Runs the chosen jobs in workers, keeps their profiles, and compares them with a baseline.
fn measure(
    host: &Host,
    arguments: &Arguments,
    extras: Extras,
    own: &Own,
    jobs: &[&'static JobDescriptor],
    chosen: &Chosen,
    shelf: &mut Shelf,
) -> Result<Run, SessionError> {
    shelf.spill_to(own.directory.path());
    let kept = Baselines::of(shelf.store(), host.package);
    let baseline = arguments.baseline.as_ref().map(|name| kept.load(name)).transpose()?;
    let sizes = extras.rehearsals.as_ref().map(|rehearsals| (rehearsals.sizes.clone(), rehearsals.all_chosen));
    let supervisor =
        RefCell::new(Supervisor::new(!arguments.no_capture, extras, &shelf.writes_to(), &own.binary, &own.directory)?);
    supervisor.borrow_mut().remember(Earlier::of(shelf.store().clone()));
    let environment = shelf.origin().environment.clone();
    warn_of_debug_build(&environment);
    if let Some(name) = &arguments.save_baseline {
        kept.refuse_to_replace(name, &environment)?;
    }
    let mut run = |plan: &CasePlan, next: Option<&CasePlan>, progress: &mut dyn FnMut(u64)| {
        supervisor.borrow_mut().run(plan, next, progress)
    };
    let interruption = || supervisor.borrow().check_interruption();
    let (mut samples, mut missed, mut kept) = (Vec::new(), Vec::new(), 0);
    let mut reports = execute(chosen, arguments, &mut run, &|| interruption().is_err(), |selected, runs, progress| {
        if let Some((sizes, all_chosen)) = &sizes {
            let mut rehearse = |report: &CaseReport, size: &Size, samples: &CaseSamples| {
                let plan = plan(report.case, arguments);
                progress.rehearse(&plan, &size.name);
                supervisor.borrow_mut().rehearse(&plan, size, samples)
            };
            let advise = |runs: &[_]| shelf.advice(&JobOutcome { selected, runs });
            let mut program = Program { catalogue: shelf.catalogue(), rehearse: &mut rehearse, advise: &advise };
            program.run(runs, sizes, *all_chosen);
        }
        if baseline.is_some() {
            // What can't be read any more was said where the profile was made of it.
            let measured = |(_, measured): &(CaseReport, Option<Measured>)| {
                let samples = measured.as_ref().map(|measured| measured.samples.thinned(COMPARED));
                samples.and_then(Result::ok).unwrap_or_default()
            };
            samples.extend(runs.iter().map(measured));
        }
        if interruption().is_ok() {
            kept += usize::from(runs.iter().all(|(_, measured)| measured.is_some()));
            missed.extend(shelf.keep(&JobOutcome { selected, runs }));
        }
    });
    let directory = shelf.store().directory();
    let go_on = || interruption().map_err(|by| SessionError::Interrupted { by, kept, directory: directory.clone() });
    go_on()?;
    let compared = match baseline {
        None => None,
        Some(baseline) => {
            let against = Comparer {
                baseline: &baseline,
                comparing: arguments.comparing(),
                environment: &environment,
                registered: jobs,
            };
            let plans: Vec<CasePlan> = reports.iter().map(|report| plan(report.case, arguments)).collect();
            let progress = Progress::new(plans.len(), arguments.quiet);
            let mut look = |plan: &CasePlan, step: Step| progress.compare(plan, step);
            let compared = against.compare(&mut supervisor.borrow_mut(), &mut reports, &plans, &samples, &mut look);
            progress.finish();
            go_on()?;
            let compared = compared?;
            write_comparison(host, shelf, &compared, &baseline, &reports)?;
            Some((compared, baseline))
        }
    };
    Ok(Run { reports, missed, environment: Some(environment), compared })
}

/// Writes `comparison.json`.
fn write_comparison(
    host: &Host,
    shelf: &Shelf,
    compared: &Compared,
    baseline: &Baseline,
    reports: &[CaseReport],
) -> Result<(), SessionError> {
    let at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let entries = |case| Entry::of(host.package, case, compared, reports, &at);
    let named = |jobs: &[String]| -> Vec<JobName> {
        jobs.iter().map(|job| JobName { package: host.package.to_owned(), job: job.clone() }).collect()
    };
    let mut file = ComparisonFile {
        baseline: baseline.name.to_string(),
        comparisons: compared.cases.iter().flat_map(entries).collect(),
        added: named(&compared.added),
        removed: named(&compared.removed),
    };
    let ran: Vec<&str> = reports.iter().map(|report| report.case.job.name).collect();
    let path = shelf.store().profiling_directory().join("comparison.json");
    file.complete_from(&path, host.package, &ran);
    file.write(&path).map_err(|reason| SessionError::Write { path, reason })
}

/// Writes the models of all stored jobs, those of earlier runs too.
fn emit_models(host: &Host, shelf: &Shelf, path: &Path) -> Result<(), SessionError> {
    let profiles = shelf.store().load_all()?;
    let models = profiles.iter().map(|profile| (profile.job.as_str(), profile.models.as_slice()));
    replace_file(path, rust_source(host.package, models).as_bytes())
        .map_err(|reason| SessionError::Write { path: path.to_owned(), reason })
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
             sizing, and are kept apart from those of optimised builds. Add --release",
            environment.opt_level,
            if environment.debug_assertions { "on" } else { "off" },
        );
    }
}

fn announce_profiles(host: &Host, shelf: &Shelf) {
    say!("profiles: {}", shelf.store().directory().display());
    if shelf.store().build() == BuildKind::Unoptimised {
        say!("they are not optimised: nothing embeds them, and `cargo profiling` takes them with --unoptimised alone");
        return;
    }
    let document = Path::new(host.manifest_dir).join("blueprint.json");
    if fs::exists(&document).unwrap_or(false) {
        say!("`cargo build` embeds them into {}", document.display());
    }
}

/// Prints the end of the report; `true` where every job passed.
fn conclude(chosen: &Chosen, run: &Run, models: &[(&str, Vec<Model>)], arguments: &Arguments, took: Duration) -> bool {
    let reports = &run.reports;
    if !reports.is_empty() && !arguments.quiet {
        say!("\n{}", table::render(reports, arguments.instructions()));
        for line in models.iter().flat_map(|(job, models)| growth::lines(job, models)) {
            say!("{line}");
        }
    }
    if arguments.show_output {
        say!("\n{}", failures::successes(reports));
    }
    let rehearsed = rehearsals::render(reports);
    if !rehearsed.is_empty() {
        say!("\n{rehearsed}");
    }
    for doubt in failures::doubts(&run.missed) {
        say!("{doubt}");
    }
    let failures = failures::render(reports, &run.missed);
    if !failures.is_empty() {
        say!("{failures}");
    }
    if let Some((compared, baseline)) = &run.compared {
        say!("\n{}", comparison::render(compared, baseline, reports, &command(run, baseline)));
    }
    let failed = run.failed().len();
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

/// What compares again.
fn command(run: &Run, baseline: &Baseline) -> String {
    let optimised = run.environment.as_ref().is_some_and(Environment::is_optimised);
    let release = if optimised { "--release " } else { "" };
    format!("cargo test {release}--features profiling --test profiling -- --baseline {}", baseline.name)
}
