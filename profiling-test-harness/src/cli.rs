//! The command line: libtest's flags, so that `cargo test -- …` and nextest work, and our own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, ColorChoice, Command, value_parser};
use profiling_core::advise::Options;
use profiling_core::budget::Bound;
use profiling_core::sampling::Samples;

use crate::auto;
use crate::baseline::Name;
use crate::config::Configuration;
use crate::keep::KeepSamples;
use crate::rehearsal::{GRAMMAR, Wanted};

/// What the user asked for.
#[expect(clippy::struct_excessive_bools, reason = "libtest's flags are independent of each other")]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Arguments {
    pub selection: Selection,
    /// What to do with kept baselines, rather than run jobs.
    pub baselines: Option<BaselineCommand>,
    /// Keep what this run measures under this name.
    pub save_baseline: Option<Name>,
    /// Compare with this baseline.
    pub baseline: Option<Name>,
    pub compare_time: Option<Duration>,
    pub minimum_effect: Option<f64>,
    /// Judge CPU time without a second opinion.
    pub no_witness: Option<bool>,
    /// The share of memory and time that stays free where a job fits.
    pub headroom: Option<f64>,
    pub list: bool,
    pub format: Format,
    pub color: ColorChoice,
    pub quiet: bool,
    /// Let workers print, rather than keep what they print for failures.
    pub no_capture: bool,
    /// Show what workers of jobs that passed have printed, too.
    pub show_output: bool,
    pub fail_fast: bool,
    /// A number of test threads was asked for, which has no effect here.
    pub test_threads: bool,
    pub samples: Option<Samples>,
    pub warmup: Option<u32>,
    pub timeout: Option<Duration>,
    pub cold_samples: Option<u32>,
    /// Which samples to keep.
    pub keep_samples: Option<KeepSamples>,
    /// Store no profile of a case that other programs disturbed.
    pub quiet_machine: Option<bool>,
    pub budget_bound: Option<Bound>,
    pub out: Option<PathBuf>,
    /// The job or case whose history is to be shown, rather than run anything.
    pub history: Option<String>,
    /// Where the history lies, if not in the store.
    pub history_file: Option<PathBuf>,
    /// Write the models as Rust source here.
    pub emit_models: Option<PathBuf>,
    /// Let advice and models be of a build without optimisation.
    pub unoptimised: bool,
    pub in_process: bool,
    /// Count the instructions of an execution, too.
    pub instructions: Option<bool>,
    /// The sizes in whose limits to run each case once more.
    pub rehearse: Vec<Wanted>,
    /// Print what follows from the profiles.
    pub advise: Option<Tables>,
    /// The user's own catalogue of platforms.
    pub platforms: Option<PathBuf>,
    /// What holds where neither these, nor a job's attribute, say.
    pub defaults: Configuration,
}

impl Arguments {
    pub(crate) fn advising(&self) -> Options {
        let configured = self.defaults.advising();
        Options { headroom: self.headroom.unwrap_or(configured.headroom), ..configured }
    }

    pub(crate) fn quiet_machine(&self) -> bool {
        self.quiet_machine.or(self.defaults.quiet_machine).unwrap_or(false)
    }

    pub(crate) fn keep_samples(&self) -> KeepSamples {
        self.keep_samples.or(self.defaults.keep_samples).unwrap_or_default()
    }

    pub(crate) fn history_file(&self) -> Option<&PathBuf> {
        self.history_file.as_ref().or(self.defaults.history_file.as_ref())
    }

    pub(crate) fn budget_bound(&self) -> Bound {
        self.budget_bound.or(self.defaults.budget_bound).unwrap_or_default()
    }

    /// The user's own catalogue of platforms; the configuration's is relative to the package.
    pub(crate) fn platforms(&self, manifest_dir: &Path) -> Option<PathBuf> {
        let configured = || self.defaults.platforms.as_ref().map(|path| manifest_dir.join(path));
        self.platforms.clone().or_else(configured)
    }

    pub(crate) fn comparing(&self) -> Comparing {
        let Comparing { time, minimum_effect, .. } = Comparing::default();
        Comparing {
            witness: !self.no_witness.or(self.defaults.no_witness).unwrap_or(false),
            time: self.compare_time.or(self.defaults.compare_time).unwrap_or(time),
            minimum_effect: self.minimum_effect.or(self.defaults.minimum_effect).unwrap_or(minimum_effect),
        }
    }

    pub(crate) fn instructions(&self) -> bool {
        // There is no process of the job's own to be counted in.
        !self.in_process && self.instructions.or(self.defaults.instructions).unwrap_or(false)
    }
}

/// How much of the advice to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tables {
    /// Of each platform, the sizes that were chosen.
    Chosen,
    /// All sizes, too.
    Sizes,
}

/// What to do with kept baselines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BaselineCommand {
    List,
    Delete(Name),
    Export(Name, PathBuf),
    Import(PathBuf),
}

/// How to compare.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Comparing {
    /// How long to go on with a case that is undecided.
    pub time: Duration,
    /// The least share by which a figure has to differ, 0.02 for 2%.
    pub minimum_effect: f64,
    /// Whether CPU time that seems to have changed gets a second opinion.
    pub witness: bool,
}

impl Default for Comparing {
    fn default() -> Self {
        Self { time: Duration::from_secs(20), minimum_effect: 0.02, witness: true }
    }
}

/// Which jobs are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    pub filters: Vec<String>,
    pub skip: Vec<String>,
    pub exact: bool,
    pub ignored: Ignored,
}

/// What to do with jobs that are marked `ignore`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Ignored {
    #[default]
    Leave,
    Only,
    Include,
}

/// libtest's output formats; they differ for `--list` alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Pretty,
    Terse,
    Json,
}

/// Parses a command line, program name first, and the environment.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Arguments, clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    // CI systems set to nothing what nobody gave a value.
    read(&matches, &Environment(&|name| variable(name).filter(|value| !value.is_empty())))
}

fn command() -> Command {
    let command = Command::new("cargo test --features profiling --test profiling --")
        .about("Runs every #[profile_job] in a process of its own and stores one profile per job")
        .after_help(
            "A filter matches part of a job's name (`sort`) or of a case's (`sort/n=10,k=2`). Jobs are measured \
             one at a time.\nExit code: 0 if every selected job passed, 101 if not.",
        )
        .arg(Arg::new("filter").num_args(0..).help("Run only what matches one of these"))
        .args_override_self(true);
    accepted_without_effect(libtest(comparing(own(command))))
}

/// An option that has a twin in the environment, see [`twin`].
fn option(name: &'static str, value: &'static str, help: &str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(format!("{help} [env: {}]", twin(name)))
}

/// Baselines and comparisons with them.
fn comparing(command: Command) -> Command {
    const COMMANDS: [&str; 4] = ["list-baselines", "delete-baseline", "export-baseline", "import-baseline"];
    command
        .next_help_heading("Baselines")
        .arg(
            option("save-baseline", "NAME", "Keep the profiles of this run and this binary, to compare with later")
                .value_parser(name),
        )
        .arg(
            option("baseline", "NAME", "Compare with a kept baseline; fail where a job has become worse")
                .value_parser(name),
        )
        .arg(
            option("compare-time", "DURATION", "How long to go on with a case that is undecided; default 20s")
                .value_parser(duration),
        )
        .arg(
            option("minimum-effect", "PERCENT", "What is less than this is no change; default 2%")
                .value_parser(percent),
        )
        .arg(
            option("no-witness", "", "Judge CPU time without counting what executions cost under Valgrind")
                .action(ArgAction::SetTrue),
        )
        .arg(flag("list-baselines", "List the kept baselines and run nothing"))
        .arg(
            Arg::new("delete-baseline")
                .long("delete-baseline")
                .value_name("NAME")
                .value_parser(name)
                .help("Delete a kept baseline and run nothing"),
        )
        .arg(
            Arg::new("export-baseline")
                .long("export-baseline")
                .value_name("NAME[=FILE]")
                .value_parser(export)
                .help("Write a kept baseline to one file, by default NAME.tar.zst, and run nothing"),
        )
        .arg(
            Arg::new("import-baseline")
                .long("import-baseline")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Take over an exported baseline and run nothing"),
        )
        .group(ArgGroup::new("baselines").args(COMMANDS))
}

/// Our own options for measuring.
fn own(command: Command) -> Command {
    let instructions = "Count the instructions of one more execution per case, under Valgrind";
    let rehearse = format!("Run each case once more within limits, and compare: {GRAMMAR}; can be given several times");
    let unoptimised = "Let --advise and --emit-models take the profiles of a build without optimisation";
    let in_process = "Run jobs in this process, for debuggers and coverage; stores no profiles";
    command
        .next_help_heading("Profiling")
        .arg(
            option("samples", "N|auto", "Measured executions per case, for all jobs; `auto`: as many as it takes")
                .value_parser(samples),
        )
        .arg(option("warmup", "N", "Executions per case that come first and don't count").value_parser(warmup))
        .arg(
            option("timeout", "DURATION", "The longest that one execution may take, with a unit: 500ms, 30s, 2m")
                .value_parser(duration),
        )
        .arg(
            option("cold-samples", "N", "Fresh processes per case whose start is measured, for all jobs")
                .value_parser(count),
        )
        .arg(
            option(
                "keep-samples",
                "all|none|N",
                "Which samples to store beside the profiles: N of each case; default all",
            )
            .value_parser(KeepSamples::parse),
        )
        .arg(
            option("quiet-machine", "", "Fail a job rather than store its profile if other programs disturbed it")
                .action(ArgAction::SetTrue),
        )
        .arg(
            option(
                "budget-bound",
                "END",
                "What of a figure has to be over its budget: `lower`, `figure` or `upper` end",
            )
            .value_parser(bound),
        )
        .arg(
            option("out", "DIR", "Store the profiles here, rather than in the target directory")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(option("history", "JOB", "Show what earlier runs measured of a job, or of one of its cases, and run none"))
        .arg(
            option("history-file", "PATH", "Keep the history here, rather than in the target directory")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            option("emit-models", "FILE", "Write how the jobs' costs grow as a Rust file of const functions")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(option("instructions", "", instructions).action(ArgAction::SetTrue))
        .arg(option("rehearse", "SIZE", &rehearse).value_parser(size).action(ArgAction::Append))
        .arg(
            option(
                "advise",
                "sizes",
                "Print where the jobs can run, on what size, at what cost; `sizes`: on every size",
            )
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("chosen")
            .value_parser(tables),
        )
        .arg(
            option("headroom", "PERCENT", "Of memory and time, what stays free where a job fits; default 20%")
                .value_parser(percent),
        )
        .arg(
            option("platforms", "FILE", "Prices and limits of your own, over the built-in ones")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(option("unoptimised", "", unoptimised).action(ArgAction::SetTrue))
        .arg(option("in-process", "", in_process).action(ArgAction::SetTrue))
}

/// The variable that stands in for an option of ours where that isn't given.
pub(crate) fn twin(option: &str) -> String {
    format!("PROFILING_{}", option.replace('-', "_").to_uppercase())
}

fn libtest(command: Command) -> Command {
    command
        .next_help_heading("As with any test")
        .arg(flag("list", "List the jobs and run none"))
        .arg(flag("exact", "Match names exactly, rather than parts of them"))
        .arg(
            Arg::new("skip")
                .long("skip")
                .value_name("FILTER")
                .action(ArgAction::Append)
                .help("Leave out what matches; can be given several times"),
        )
        .arg(flag("ignored", "Run only the jobs marked `ignore`"))
        .arg(flag("include-ignored", "Run the jobs marked `ignore`, too").conflicts_with("ignored"))
        .arg(flag("no-capture", "Let jobs print, rather than show what failed jobs printed").alias("nocapture"))
        .arg(flag("show-output", "Show what jobs printed that passed, too"))
        .arg(flag("quiet", "Print failures and the result alone").short('q'))
        .arg(flag("fail-fast", "Stop after the first job that fails"))
        .arg(
            Arg::new("color")
                .long("color")
                .value_name("WHEN")
                .value_parser(value_parser!(ColorChoice))
                .default_value("auto")
                .help("Colour the output"),
        )
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .value_parser(["pretty", "terse", "json", "junit"])
                .default_value("pretty")
                .help("How to print a list"),
        )
        .arg(
            Arg::new("test-threads")
                .long("test-threads")
                .value_name("N")
                .help("Accepted, without effect: jobs that ran at the same time would disturb each other"),
        )
}

/// The same arguments reach every test binary of a package, so what libtest takes must pass.
fn accepted_without_effect(command: Command) -> Command {
    const FLAGS: [&str; 7] =
        ["test", "bench", "ensure-time", "shuffle", "exclude-should-panic", "force-run-in-process", "report-time"];
    const OPTIONS: [&str; 2] = ["logfile", "shuffle-seed"];
    let flags = FLAGS.map(|name| flag(name, "").hide(true));
    let options = OPTIONS.map(|name| Arg::new(name).long(name).hide(true));
    let unstable = Arg::new("unstable").short('Z').action(ArgAction::Append).hide(true);
    command.args(flags).args(options).arg(unstable)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

pub(crate) fn samples(text: &str) -> Result<Samples, String> {
    auto::parse(text)
}

pub(crate) fn bound(text: &str) -> Result<Bound, String> {
    match text {
        "lower" => Ok(Bound::Lower),
        "figure" => Ok(Bound::Figure),
        "upper" => Ok(Bound::Upper),
        _ => Err("none of `lower`, `figure` or `upper`".to_owned()),
    }
}

/// `None` where no tables are wanted.
fn tables(text: &str) -> Result<Option<Tables>, String> {
    match text {
        "chosen" | "1" | "true" => Ok(Some(Tables::Chosen)),
        "sizes" => Ok(Some(Tables::Sizes)),
        "0" | "false" => Ok(None),
        _ => Err("neither `chosen` nor `sizes`".to_owned()),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as other values are read")]
pub(crate) fn path(text: &str) -> Result<PathBuf, String> {
    Ok(PathBuf::from(text))
}

pub(crate) fn count(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|&samples| samples > 0).ok_or_else(|| format!("not a whole number from 1 to {}", u32::MAX))
}

fn size(text: &str) -> Result<Wanted, String> {
    text.parse()
}

/// Several, with blanks between them.
fn sizes(text: &str) -> Result<Vec<Wanted>, String> {
    text.split_whitespace().map(size).collect()
}

pub(crate) fn warmup(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("not a whole number from 0 to {}", u32::MAX))
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("must be more than zero".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error}; write a number with a unit, such as `30s` or `500ms`")),
    }
}

fn name(text: &str) -> Result<Name, String> {
    text.parse()
}

/// `2%`, `2` or `0.5%`.
pub(crate) fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end().parse::<f64>().ok();
    let share = number.map(|number| number / 100.0).filter(|share| (0.0..=10.0).contains(share));
    share.ok_or_else(|| "not a share from 0% to 1000%, such as `2%`".to_owned())
}

/// `NAME` or `NAME=FILE`.
fn export(text: &str) -> Result<(Name, PathBuf), String> {
    let (name, file) = text.split_once('=').map_or((text, None), |(name, file)| (name, Some(file)));
    let file = file.map_or_else(|| format!("{name}.tar.zst"), ToOwned::to_owned);
    Ok((name.parse()?, PathBuf::from(file)))
}

/// Looks up environment variables.
struct Environment<'a>(&'a dyn Fn(&str) -> Option<OsString>);

impl Environment<'_> {
    /// The value of an option's twin.
    fn option<T>(&self, option: &str, parse: fn(&str) -> Result<T, String>) -> Result<Option<T>, clap::Error> {
        let variable = twin(option);
        let Some(value) = (self.0)(&variable) else { return Ok(None) };
        let value = value.to_string_lossy();
        parse(&value).map(Some).map_err(|reason| {
            let message = format!("invalid value '{value}' of the environment variable {variable}: {reason}\n");
            clap::Error::raw(ErrorKind::ValueValidation, message)
        })
    }

    /// `None` where it is not set.
    fn flag(&self, variable: &str) -> Option<bool> {
        (self.0)(variable).map(|value| value != "0" && value != "false")
    }
}

/// The options that were given, on the command line or else in the environment.
struct Given<'a> {
    matches: &'a ArgMatches,
    environment: &'a Environment<'a>,
}

impl Given<'_> {
    fn value<T: Clone + Send + Sync + 'static>(
        &self,
        option: &str,
        parse: fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, clap::Error> {
        match self.matches.get_one::<T>(option) {
            Some(given) => Ok(Some(given.clone())),
            None => self.environment.option(option, parse),
        }
    }

    fn path(&self, option: &str) -> Option<PathBuf> {
        self.matches.get_one(option).cloned().or_else(|| self.environment.0(&twin(option)).map(PathBuf::from))
    }

    fn flag(&self, option: &str) -> Option<bool> {
        if self.matches.get_flag(option) { Some(true) } else { self.environment.flag(&twin(option)) }
    }
}

fn read(matches: &ArgMatches, environment: &Environment<'_>) -> Result<Arguments, clap::Error> {
    let given = Given { matches, environment };
    let arguments = Arguments {
        selection: read_selection(matches),
        baselines: baseline_command(matches),
        save_baseline: given.value("save-baseline", name)?,
        baseline: given.value("baseline", name)?,
        compare_time: given.value("compare-time", duration)?,
        minimum_effect: given.value("minimum-effect", percent)?,
        no_witness: given.flag("no-witness"),
        headroom: given.value("headroom", percent)?,
        list: matches.get_flag("list"),
        format: match matches.get_one::<String>("format").map(String::as_str) {
            Some("terse") => Format::Terse,
            Some("json") => Format::Json,
            _ => Format::Pretty,
        },
        color: matches.get_one("color").copied().unwrap_or(ColorChoice::Auto),
        quiet: matches.get_flag("quiet"),
        no_capture: matches.get_flag("no-capture") || environment.flag("RUST_TEST_NOCAPTURE").unwrap_or(false),
        show_output: matches.get_flag("show-output"),
        fail_fast: matches.get_flag("fail-fast"),
        test_threads: matches.contains_id("test-threads"),
        samples: given.value("samples", samples)?,
        warmup: given.value("warmup", warmup)?,
        cold_samples: given.value("cold-samples", count)?,
        keep_samples: given.value("keep-samples", KeepSamples::parse)?,
        quiet_machine: given.flag("quiet-machine"),
        budget_bound: given.value("budget-bound", bound)?,
        timeout: given.value("timeout", duration)?,
        out: given.path("out"),
        history: given.value("history", |job| Ok(job.to_owned()))?,
        history_file: given.path("history-file"),
        emit_models: given.path("emit-models"),
        advise: given.value("advise", tables)?.flatten(),
        platforms: given.path("platforms"),
        unoptimised: given.flag("unoptimised").unwrap_or(false),
        in_process: given.flag("in-process").unwrap_or(false),
        instructions: given.flag("instructions"),
        rehearse: match matches.get_many("rehearse") {
            Some(sizes) => sizes.cloned().collect(),
            None => environment.option("rehearse", sizes)?.unwrap_or_default(),
        },
        defaults: Configuration::default(),
    };
    refuse_in_process(&arguments)?;
    Ok(arguments)
}

fn read_selection(matches: &ArgMatches) -> Selection {
    let strings = |name| matches.get_many::<String>(name).into_iter().flatten().cloned().collect();
    let ignored = match (matches.get_flag("ignored"), matches.get_flag("include-ignored")) {
        (true, _) => Ignored::Only,
        (false, true) => Ignored::Include,
        (false, false) => Ignored::Leave,
    };
    Selection { filters: strings("filter"), skip: strings("skip"), exact: matches.get_flag("exact"), ignored }
}

/// Refuses what can't be had together with --in-process.
fn refuse_in_process(arguments: &Arguments) -> Result<(), clap::Error> {
    let process = [
        (arguments.instructions == Some(true), "--instructions (or PROFILING_INSTRUCTIONS)"),
        (!arguments.rehearse.is_empty(), "--rehearse (or PROFILING_REHEARSE)"),
    ];
    let profiles = [
        (arguments.emit_models.is_some(), "--emit-models needs"),
        (arguments.save_baseline.is_some() || arguments.baseline.is_some(), "--baseline and --save-baseline need"),
    ];
    let given = |options: [(bool, &'static str); 2]| options.into_iter().find(|(given, _)| *given);
    let message = match (given(process), given(profiles)) {
        _ if !arguments.in_process => return Ok(()),
        (Some((_, option)), _) => format!(
            "{option} needs a process of the job's own, and can't be used with --in-process (or \
             PROFILING_IN_PROCESS)\n"
        ),
        (None, Some((_, need))) => format!("{need} profiles, of which --in-process makes none\n"),
        (None, None) => return Ok(()),
    };
    Err(clap::Error::raw(ErrorKind::ArgumentConflict, message))
}

fn baseline_command(matches: &ArgMatches) -> Option<BaselineCommand> {
    if matches.get_flag("list-baselines") {
        return Some(BaselineCommand::List);
    }
    let delete = matches.get_one("delete-baseline").map(|name: &Name| BaselineCommand::Delete(name.clone()));
    let export = || {
        let export: &(Name, PathBuf) = matches.get_one("export-baseline")?;
        Some(BaselineCommand::Export(export.0.clone(), export.1.clone()))
    };
    let import = || matches.get_one("import-baseline").map(|file: &PathBuf| BaselineCommand::Import(file.clone()));
    delete.or_else(export).or_else(import)
}

/// Whether there is an option of this name.
#[cfg(test)]
pub(crate) fn has_option(name: &str) -> bool {
    command().get_arguments().any(|argument| argument.get_long() == Some(name))
}

#[cfg(test)]
mod tests {
    use profiling_core::sampling::Auto;

    use super::*;

    fn parse_line(line: &str, variables: &[(&str, &str)]) -> Result<Arguments, clap::Error> {
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        parse(std::iter::once("profiling").chain(line.split_whitespace()).map(OsString::from), variable)
    }

    fn parsed(line: &str) -> Arguments {
        parse_line(line, &[]).expect("valid")
    }

    #[test]
    fn the_grammar_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn takes_what_cargo_and_nextest_send() {
        let lines = [
            "--list --format terse",
            "--list --format terse --ignored",
            "--exact sort --nocapture",
            "--exact sort --nocapture --ignored",
            "--bench",
            "--test",
            "a b c --skip d --skip e",
            "--no-capture --show-output --test-threads 4 --test-threads=1 -q --color always",
            "--format junit -Z unstable-options --report-time --shuffle --shuffle-seed 3 --fail-fast --logfile x",
            "--include-ignored --ensure-time --exclude-should-panic --force-run-in-process --quiet --quiet",
        ];
        for line in lines {
            parsed(line);
        }
    }

    #[test]
    fn reads_own_options() {
        let arguments = parsed("sort --samples 3 --warmup 0 --timeout 1m30s --out /x --in-process --skip big");
        assert_eq!((arguments.samples, arguments.warmup), (Some(Samples::Count(3)), Some(0)));
        assert_eq!(arguments.timeout, Some(Duration::from_secs(90)));
        assert_eq!(arguments.out.as_deref(), Some(std::path::Path::new("/x")));
        assert!(arguments.in_process);
        assert_eq!(arguments.selection.filters, ["sort"]);
        assert_eq!(arguments.selection.skip, ["big"]);
    }

    #[test]
    fn the_environment_stands_in_for_own_options() {
        let variables = [
            ("PROFILING_SAMPLES", "3"),
            ("PROFILING_WARMUP", ""),
            ("PROFILING_TIMEOUT", "2s"),
            ("PROFILING_OUT", "/x"),
            ("PROFILING_HISTORY", "sort/n=10"),
            ("PROFILING_HISTORY_FILE", "history.jsonl"),
            ("PROFILING_EMIT_MODELS", ""),
            ("PROFILING_IN_PROCESS", "1"),
            ("RUST_TEST_NOCAPTURE", "1"),
        ];
        let arguments = parse_line("--timeout 1s", &variables).expect("valid");
        assert_eq!((arguments.samples, arguments.warmup), (Some(Samples::Count(3)), None));
        assert_eq!(arguments.timeout, Some(Duration::from_secs(1)));
        assert_eq!(arguments.out.as_deref(), Some(std::path::Path::new("/x")));
        assert_eq!(arguments.history.as_deref(), Some("sort/n=10"));
        assert_eq!(arguments.history_file.as_deref(), Some(std::path::Path::new("history.jsonl")));
        assert!(arguments.in_process && arguments.no_capture);
        assert!(!arguments.instructions());
        assert!(parse_line("", &[("PROFILING_INSTRUCTIONS", "1")]).expect("valid").instructions());
        let sizes = [("PROFILING_REHEARSE", "cpus=1,memory=1GiB  aws-lambda@512")];
        assert_eq!(parse_line("", &sizes).expect("valid").rehearse.len(), 2);
        let over: Vec<Wanted> = parse_line("--rehearse cpus=0.5,memory=1GiB", &sizes).expect("valid").rehearse;
        assert_eq!(over, ["cpus=0.5,memory=1GiB".parse().expect("valid")]);
        assert_eq!(arguments.emit_models, None);
        let emitted = parse_line("", &[("PROFILING_EMIT_MODELS", "m.rs")]).expect("valid").emit_models;
        assert_eq!(emitted.as_deref(), Some(std::path::Path::new("m.rs")));
        let off = parse_line("", &[("PROFILING_IN_PROCESS", "0"), ("RUST_TEST_NOCAPTURE", "0")]).expect("valid");
        assert!(!off.in_process && !off.no_capture);
    }

    #[test]
    fn samples_can_be_as_many_as_it_takes() {
        assert_eq!(parsed("--samples auto").samples, Some(Samples::Auto(Auto::DEFAULT)));
        assert_eq!(parsed("--samples auto(max=20)").samples, Some(Samples::Auto(Auto { max: 20, ..Auto::DEFAULT })));
        let variable = parse_line("", &[("PROFILING_SAMPLES", "auto")]).expect("valid");
        assert_eq!(variable.samples, Some(Samples::Auto(Auto::DEFAULT)));
    }

    #[test]
    fn defaults_come_last() {
        let defaults = Configuration {
            quiet_machine: Some(true),
            instructions: Some(true),
            budget_bound: Some(Bound::Upper),
            compare_time: Some(Duration::from_secs(5)),
            ..Configuration::default()
        };
        let with = |line: &str, variables: &[(&str, &str)]| Arguments {
            defaults: defaults.clone(),
            ..parse_line(line, variables).expect("valid")
        };
        let none = with("", &[]);
        assert!(none.quiet_machine() && none.instructions());
        assert_eq!(none.budget_bound(), Bound::Upper);
        assert_eq!(none.comparing(), Comparing { time: Duration::from_secs(5), minimum_effect: 0.02, witness: true });
        assert!(!with("", &[("PROFILING_QUIET_MACHINE", "0")]).quiet_machine());
        assert!(!with("--in-process", &[]).instructions(), "which can't be, and was not asked for");
        let variables = [("PROFILING_BUDGET_BOUND", "figure")];
        assert_eq!(with("", &variables).budget_bound(), Bound::Figure);
        assert_eq!(with("--budget-bound lower", &variables).budget_bound(), Bound::Lower);
    }

    #[test]
    fn refuses_with_advice() {
        for (line, says) in [
            ("--samples 0", "'--samples <N|auto>': not a whole number from 1"),
            ("--samples auto(max=0)", "`max=0`: not a whole number from 1"),
            ("--budget-bound high", "none of `lower`"),
            ("--timeout 5", "unit"),
            ("--timeout 0s", "more than zero"),
            ("--ignored --include-ignored", "cannot be used with"),
            ("--instructions --in-process", "can't be used with --in-process"),
            ("--rehearse cpus=1,memory=1GiB --in-process", "can't be used with --in-process"),
            ("--rehearse cpus=1", "'--rehearse <SIZE>': `memory` is missing"),
            ("--emit-models x.rs --in-process", "--emit-models needs profiles"),
            ("--nonsense", "unexpected argument"),
        ] {
            let message = parse_line(line, &[]).expect_err("invalid").to_string();
            assert!(message.contains(says), "{line}: {message}");
        }
        for (variable, value) in [
            ("PROFILING_REHEARSE", "cpus=1"),
            ("PROFILING_SAMPLES", "0"),
            ("PROFILING_WARMUP", "-1"),
            ("PROFILING_TIMEOUT", "5"),
        ] {
            let message = parse_line("", &[(variable, value)]).expect_err("invalid").to_string();
            assert!(message.contains(variable) && message.contains(value), "{message}");
        }
    }
}
