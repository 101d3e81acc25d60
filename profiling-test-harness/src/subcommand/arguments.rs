//! The command line of `cargo profiling`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command as Clap, value_parser};

use profiling_core::store::BuildKind;

use crate::cli::{percent, twin};

/// What is to be done, and with what.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub(super) place: Place,
    /// The user's own catalogue.
    pub(super) platforms: Option<PathBuf>,
    pub(super) command: Command,
}

/// Where the profiles are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) package: Option<String>,
    pub(super) manifest_path: Option<PathBuf>,
    pub(super) store: Option<PathBuf>,
    /// In place of the target directory, relative to the package.
    pub(super) out: Option<PathBuf>,
    /// The profiles of builds without optimisation, rather than the others.
    pub(super) unoptimised: bool,
}

impl Place {
    /// Of what builds the profiles are to be.
    pub(super) fn build(&self) -> BuildKind {
        if self.unoptimised { BuildKind::Unoptimised } else { BuildKind::Optimised }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Command {
    Show { jobs: Vec<String>, json: bool },
    Advise(Advise),
    Check,
    Export(Export),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Advise {
    pub(super) jobs: Vec<String>,
    pub(super) platform: Option<String>,
    pub(super) rate: f64,
    pub(super) sizes: bool,
    pub(super) json: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Export {
    pub(super) what: What,
    pub(super) jobs: Vec<String>,
    /// Standard output where there is none.
    pub(super) out: Option<PathBuf>,
}

/// For whom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum What {
    Prometheus,
    Qos,
    Pricing { service_id: u64, margin: f64, usd_per_token: f64, decimals: u8 },
    BenchmarkProfile,
    Summary,
}

/// Parses a command line, program name first, and the environment.
pub(super) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Call, clap::Error> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    // `cargo profiling show` runs `cargo-profiling profiling show`.
    if arguments.get(1).is_some_and(|first| first == "profiling") {
        arguments.remove(1);
    }
    let matches = command().try_get_matches_from(arguments)?;
    let path = |matches: &ArgMatches, name| matches.get_one::<PathBuf>(name).cloned();
    let variable = |name: &str| variable(&twin(name)).filter(|value| !value.is_empty()).map(PathBuf::from);
    let Some((name, of)) = matches.subcommand() else {
        return Err(clap::Error::raw(ErrorKind::MissingSubcommand, "a command is missing\n"));
    };
    Ok(Call {
        place: Place {
            package: of.get_one::<String>("package").cloned(),
            manifest_path: path(of, "manifest-path"),
            store: path(of, "store"),
            out: variable("out"),
            unoptimised: of.get_flag("unoptimised"),
        },
        platforms: path(of, "platforms").or_else(|| variable("platforms")),
        command: match name {
            "show" => Command::Show { jobs: jobs(of), json: of.get_flag("json") },
            "advise" => Command::Advise(Advise {
                jobs: jobs(of),
                platform: of.get_one::<String>("platform").cloned(),
                rate: of.get_one("rate").copied().unwrap_or(1.0),
                sizes: of.get_flag("sizes"),
                json: of.get_flag("json"),
            }),
            "check" => Command::Check,
            _ => Command::Export(export(of)),
        },
    })
}

fn jobs(matches: &ArgMatches) -> Vec<String> {
    matches.get_many::<String>("job").into_iter().flatten().cloned().collect()
}

fn export(matches: &ArgMatches) -> Export {
    let Some((name, of)) = matches.subcommand() else { unreachable!("clap demands one") };
    let what = match name {
        "prometheus" => What::Prometheus,
        "qos" => What::Qos,
        "pricing" => What::Pricing {
            service_id: of.get_one("service-id").copied().unwrap_or(0),
            margin: of.get_one("margin").copied().unwrap_or(0.2),
            usd_per_token: of.get_one("usd-per-token").copied().unwrap_or(1.0),
            decimals: of.get_one("decimals").copied().unwrap_or(18),
        },
        "benchmark-profile" => What::BenchmarkProfile,
        _ => What::Summary,
    };
    let jobs = if what == What::BenchmarkProfile { jobs(of) } else { Vec::new() };
    Export { what, jobs, out: of.get_one("out").cloned() }
}

fn command() -> Clap {
    Clap::new("cargo-profiling")
        .bin_name("cargo profiling")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Reads the stored profiles of a package's jobs, and runs nothing")
        .after_help(
            "The profiles are those that `cargo test --release --features profiling` has stored.\nExit code: 0, or \
             101 if `check` finds something or a command can't be carried out.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .args(common())
        .subcommand(
            Clap::new("show")
                .about("The profiles as a table, with where they were measured, evidence, stages and budgets")
                .arg(job("Only these jobs"))
                .arg(json("The profiles as they are stored, as an array")),
        )
        .subcommand(advise())
        .subcommand(
            Clap::new("check")
                .about("Fails unless every job has a profile that is whole, current, optimised, and within its targets")
                .after_help(
                    "Fails with exit code 101, and a line for each reason, where a job\n  \
                     - has no profile, or not one of every case\n  \
                     - has a profile of other sources than those of the last release build (stale)\n  \
                     - has a profile of a build without optimisation, or of several builds or machines\n  \
                     - was over one of its budgets, or failed a rehearsal, when it was measured\n  \
                     - is not known to be compatible with one of its targets",
                ),
        )
        .subcommand(exports())
}

/// What every command takes.
fn common() -> [Arg; 5] {
    let path = |name: &'static str, value: &'static str, help: &str| {
        let help = help.to_owned();
        Arg::new(name).long(name).value_name(value).value_parser(value_parser!(PathBuf)).global(true).help(help)
    };
    [
        Arg::new("package")
            .long("package")
            .short('p')
            .value_name("NAME")
            .global(true)
            .help("The package with the jobs"),
        path("manifest-path", "PATH", "Its Cargo.toml, or that of its workspace"),
        path("store", "DIR", "Where its profiles are, rather than in the target directory [env: PROFILING_OUT]")
            .alias("out-dir"),
        path("platforms", "FILE", "Prices and limits of your own, over the built-in ones [env: PROFILING_PLATFORMS]")
            .alias("catalogue"),
        Arg::new("unoptimised")
            .long("unoptimised")
            .action(ArgAction::SetTrue)
            .global(true)
            .help("The profiles of builds without optimisation, which are left out otherwise"),
    ]
}

fn job(help: &'static str) -> Arg {
    Arg::new("job").value_name("JOB").num_args(0..).help(help)
}

fn json(help: &'static str) -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help(help)
}

fn advise() -> Clap {
    Clap::new("advise")
        .about("Where the jobs can run, on what size, at what cost")
        .arg(job("Only these jobs"))
        .arg(Arg::new("platform").long("platform").value_name("ID").help("Only this platform of the catalogue"))
        .arg(
            Arg::new("rate")
                .long("rate")
                .value_name("JOBS_PER_S")
                .value_parser(positive)
                .help("Executions per second that machines are sized for; default 1"),
        )
        .arg(
            Arg::new("sizes")
                .long("sizes")
                .action(ArgAction::SetTrue)
                .help("Every size that the platforms offer, some of them thousands"),
        )
        .arg(json("The advice as JSON"))
}

fn exports() -> Clap {
    let of = |name: &'static str, about: &'static str| Clap::new(name).about(about);
    Clap::new("export")
        .about("What other programs read")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(
            Arg::new("out")
                .long("out")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .global(true)
                .help("Write to this file, rather than to standard output"),
        )
        .subcommand(of("prometheus", "Recording and alerting rules, for `rule_files`"))
        .subcommand(of("qos", "What monitoring should expect, as JSON"))
        .subcommand(pricing())
        .subcommand(
            of("benchmark-profile", "What Tangle's pricing engine reads: an object for one job, else an array")
                .arg(job("Only these jobs")),
        )
        .subcommand(of("summary", "`blueprint-profiles.json`, for Tangle's manager"))
}

fn pricing() -> Clap {
    Clap::new("pricing")
        .about("Price suggestions per job, as the TOML of Tangle's pricing engine")
        .arg(
            Arg::new("service-id")
                .long("service-id")
                .value_name("N")
                .value_parser(value_parser!(u64))
                .required(true)
                .help("The service that the prices are of"),
        )
        .arg(
            Arg::new("usd-per-token")
                .long("usd-per-token")
                .value_name("USD")
                .value_parser(positive)
                .required(true)
                .help("What a token is worth"),
        )
        .arg(
            Arg::new("margin")
                .long("margin")
                .value_name("PERCENT")
                .value_parser(percent)
                .help("What comes on top of the cost; default 20%"),
        )
        .arg(
            Arg::new("decimals")
                .long("decimals")
                .value_name("N")
                .value_parser(value_parser!(u8).range(0..=18))
                .help("The token's decimals; default 18"),
        )
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "not a number above 0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Call, clap::Error> {
        let variables = [("PROFILING_OUT", "/out"), ("PROFILING_PLATFORMS", "")];
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        parse(line.split_whitespace().map(OsString::from), variable)
    }

    #[test]
    fn the_grammar_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn cargo_puts_the_name_first() {
        let direct = parsed("cargo-profiling show square --json").expect("valid");
        assert_eq!(parsed("cargo-profiling profiling show square --json").expect("valid"), direct);
        assert_eq!(direct.command, Command::Show { jobs: vec!["square".to_owned()], json: true });
        assert_eq!(direct.place.out.as_deref(), Some(std::path::Path::new("/out")));
        assert_eq!(direct.platforms, None, "set to nothing");
    }

    #[test]
    fn common_options_stand_anywhere() {
        let expected = parsed("x -p a --out-dir /s --catalogue c check").expect("valid");
        assert!(!expected.place.unoptimised && parsed("x check --unoptimised").expect("valid").place.unoptimised);
        assert_eq!(parsed("x check --package a --store /s --platforms c").expect("valid"), expected);
        assert_eq!(expected.place.package.as_deref(), Some("a"));
        assert_eq!(expected.platforms, Some(PathBuf::from("c")));
    }

    #[test]
    fn prices_need_a_service_and_a_token() {
        let call = parsed("x export pricing --service-id 3 --usd-per-token 2.5 --margin 50% --out f").expect("valid");
        let Command::Export(export) = call.command else { panic!("{call:?}") };
        assert_eq!(export.what, What::Pricing { service_id: 3, margin: 0.5, usd_per_token: 2.5, decimals: 18 });
        assert_eq!(export.out, Some(PathBuf::from("f")));
        for (line, says) in [
            ("x export pricing --usd-per-token 1", "--service-id"),
            ("x export pricing --service-id 1", "--usd-per-token"),
            ("x export pricing --service-id 1 --usd-per-token 0", "not a number above 0"),
            ("x advise --rate -1", "unexpected argument"),
            ("x advise --rate=inf", "not a number above 0"),
            ("x nonsense", "unrecognized subcommand"),
        ] {
            let message = parsed(line).expect_err("invalid").to_string();
            assert!(message.contains(says), "{line}: {message}");
        }
    }
}
