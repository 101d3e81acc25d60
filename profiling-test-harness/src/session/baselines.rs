//! What a session does with baselines beside comparing: it saves, lists, deletes, exports and imports them.

use profiling_core::advise::Catalogue;
use profiling_core::job::JobDescriptor;
use profiling_core::registry;

use super::{Run, SessionError, plural};
use crate::Host;
use crate::baseline::{Baselines, Name};
use crate::binary::HeldBinary;
use crate::cli::{Arguments, BaselineCommand};
use crate::shelf::Shelf;

/// Does what is to be done with kept baselines.
pub(super) fn manage(host: &Host, arguments: &Arguments, command: &BaselineCommand) -> Result<(), SessionError> {
    let shelf = Shelf::open(host, arguments, &registry::jobs()?, Catalogue::builtin().clone())?;
    let baselines = Baselines::of(shelf.store(), host.package);
    match command {
        BaselineCommand::List => list(&baselines)?,
        BaselineCommand::Delete(name) => {
            baselines.delete(name)?;
            say!("deleted the baseline `{name}`");
        }
        BaselineCommand::Export(name, path) => {
            baselines.export(name, path)?;
            say!("wrote the baseline `{name}` to {}", path.display());
        }
        BaselineCommand::Import(path) => {
            let name = baselines.import(path)?;
            say!("imported the baseline `{name}`: compare with --baseline {name}");
        }
    }
    Ok(())
}

fn list(baselines: &Baselines) -> Result<(), SessionError> {
    let names = baselines.names()?;
    if names.is_empty() {
        say!("no baselines; keep one with --save-baseline NAME");
    }
    for name in names {
        match baselines.describe(&name) {
            Ok(manifest) => {
                let commit = manifest.environment.git_commit.as_deref().unwrap_or_default();
                let commit = commit.get(..8).unwrap_or_default();
                say!("{name}: {}, {} {commit}", plural(manifest.profiled(), "job"), manifest.environment.profiled_at);
            }
            Err(error) => complain!("{name}: {error}"),
        }
    }
    Ok(())
}

/// Keeps the jobs that were measured.
pub(super) fn save(
    host: &Host,
    shelf: &Shelf,
    name: &Name,
    run: &Run,
    jobs: &[&'static JobDescriptor],
    binary: &HeldBinary,
) -> Result<(), SessionError> {
    let Some(environment) = &run.environment else { return Ok(()) };
    // One that is over budget was measured.
    let failed = |job: &str| run.reports.iter().any(|report| report.case.job.name == job && report.result.is_err());
    let mut measured: Vec<&str> =
        run.reports.iter().map(|report| report.case.job.name).filter(|job| !failed(job)).collect();
    measured.dedup();
    let store = shelf.store();
    let saved = Baselines::of(store, host.package).save(name, store, binary, &measured, jobs, environment)?;
    say!("baseline `{name}`: {}{}", plural(saved.jobs, "job"), if saved.added { ", with those it had" } else { "" });
    Ok(())
}
