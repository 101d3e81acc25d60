//! `cargo profiling`: reads a package's stored profiles, and runs nothing.

mod arguments;
mod check;
mod export;
mod package;
mod show;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use profiling_core::advise::{Catalogue, InvalidTerms, Options, SizesListed};
use profiling_core::store::StoreError;
use serde_json::json;
use thiserror::Error;

use crate::config::{Configuration, ConfigurationError};
use crate::platforms::{self, PlatformsError};
use crate::report::{advice, harmless};
use crate::{FAILED, advisor};
use arguments::{Advise, Call, Command};
use package::Package;

/// Why a command could not be carried out.
#[derive(Debug, Error)]
enum Error {
    #[error("can't ask cargo for the package: {0}. Give both `--package NAME` and `--store DIR` to do without")]
    Cargo(String),
    #[error("there is no package `{name}` here; there {}", is_or_are(.known))]
    NoSuchPackage { name: String, known: Vec<String> },
    #[error("which package? Choose one with `--package NAME`; there {}", is_or_are(.0))]
    WhichPackage(Vec<String>),
    #[error(
        "there are no profiles of `{package}` in {}: run `cargo test --release --features profiling` there, or name \
         the place of its profiles with `--store DIR` or PROFILING_OUT", .place.display()
    )]
    NoProfiles { package: String, place: PathBuf },
    #[error("`{package}` has no job `{job}`; there {}", is_or_are(.known))]
    NoSuchJob { package: String, job: String, known: Vec<String> },
    #[error("no job of `{0}` has an id: write `id = 0` into the attribute of the blueprint's first job, and so on")]
    NoIds(String),
    #[error("`{job}` has no profile: run `cargo test --release --features profiling`, which says why it fails")]
    NotProfiled { job: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    #[error(transparent)]
    Platforms(#[from] PlatformsError),
    #[error(transparent)]
    Terms(#[from] InvalidTerms),
    #[error("can't write `{}`: {reason}", .path.display())]
    Unwritable { path: PathBuf, reason: io::Error },
}

fn is_or_are(names: &[String]) -> String {
    match names {
        [] => "is none".to_owned(),
        [one] => format!("is `{one}`"),
        _ => format!("are {}", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    }
}

/// The `main` of `cargo-profiling`.
pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let call = match arguments::parse(arguments, |name| std::env::var_os(name)) {
        Ok(call) => call,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(FAILED) } else { ExitCode::SUCCESS };
        }
    };
    match carry_out(&call) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(error) => {
            complain!("error: {error}");
            ExitCode::from(FAILED)
        }
    }
}

/// `false` where a check has found something.
fn carry_out(call: &Call) -> Result<bool, Error> {
    let package = Package::find(&call.place)?;
    match &call.command {
        Command::Show { jobs, json } => {
            let profiles = package.profiles(jobs)?;
            if *json {
                say!("{}", pretty(&profiles));
            } else {
                say!("{}", show::render(&profiles, &package.unprofiled(jobs)));
                say_what_is_left_out(&package);
            }
        }
        Command::Advise(asked) => {
            say!("{}", advise(&package, call, asked)?);
            if !asked.json {
                say_what_is_left_out(&package);
            }
        }
        Command::Check => {
            say_what_is_left_out(&package);
            return check::check(&package, &catalogue(&package, call)?, &configured(&package)?.advising());
        }
        Command::Export(asked) => {
            export::export(&package, &catalogue(&package, call)?, &configured(&package)?.advising(), asked)?;
        }
    }
    Ok(true)
}

fn say_what_is_left_out(package: &Package) {
    if let Some(line) = package.left_out() {
        say!("{}", line.chars().map(harmless).collect::<String>());
    }
}

fn advise(package: &Package, call: &Call, asked: &Advise) -> Result<String, Error> {
    let mut catalogue = catalogue(package, call)?;
    if let Some(id) = &asked.platform {
        platforms::known(id, &catalogue)?;
        catalogue.platforms.retain(|platform| platform.id == *id);
    }
    let sizes = if asked.sizes { SizesListed::All } else { SizesListed::Few };
    let options = Options { jobs_per_second: asked.rate, sizes, ..configured(package)?.advising() };
    package.expect_jobs(&asked.jobs)?;
    let wanted = |job: &str| asked.jobs.is_empty() || asked.jobs.iter().any(|wanted| wanted == job);
    let known = package.known();
    let jobs = package.jobs(&known);
    let advised = advisor::on_jobs(&package.store, jobs, wanted, &catalogue, &options)?;
    // What follows for some of the jobs, or of the platforms, is not what follows for the blueprint.
    let whole = asked.jobs.is_empty() && asked.platform.is_none();
    let blueprint = if whole { advisor::on_blueprint(&package.store, jobs, &advised)? } else { None };
    if asked.json {
        let jobs: Vec<_> =
            advised.iter().map(|job| json!({"job": job.job, "id": job.id, "advice": job.advice})).collect();
        return Ok(pretty(&json!({"package": package.name, "jobs": jobs, "blueprint": blueprint})));
    }
    platforms::warn_of_old_prices(&catalogue);
    Ok(advice::render(&advised, blueprint.as_ref(), asked.sizes))
}

/// The catalogue of `--platforms`, or else of the package's configuration.
fn catalogue(package: &Package, call: &Call) -> Result<Catalogue, Error> {
    let own = || -> Result<Option<PathBuf>, ConfigurationError> {
        Ok(configured(package)?.platforms.zip(package.directory.as_ref()).map(|(path, directory)| directory.join(path)))
    };
    let file = call.platforms.clone().map_or_else(own, |file| Ok(Some(file)))?;
    Ok(platforms::load(file.as_deref())?)
}

/// The package's configuration.
fn configured(package: &Package) -> Result<Configuration, ConfigurationError> {
    package.directory.as_ref().map_or_else(|| Ok(Configuration::default()), |directory| Configuration::load(directory))
}

/// Indented JSON.
fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).expect("profiles and advice have strings for keys")
}
