//! `--rehearse`: workers of a case within the limits of a platform's size, to see whether what was
//! predicted for it comes true.

mod confinement;
mod limits;
mod program;

use std::io;
use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::thread::available_parallelism;

use profiling_core::advise::catalogue::{NotOffered, SizeLimits};
use profiling_core::advise::{Catalogue, predicted_p50_ns};
use profiling_core::profile::{FileSystem, Rehearsal, RehearsalFailure, RehearsalOutcome};
use profiling_core::sample::Column;
use profiling_core::samples::CaseSamples;
use profiling_core::statistics::Summary;
use thiserror::Error;

pub(crate) use self::confinement::{Confinement, confine};
use self::confinement::{Namespace, namespace};
pub(crate) use self::limits::{GRAMMAR, Size, Wanted};
pub(crate) use self::program::Program;
use crate::cgroup::{Cgroup, CgroupError, Cgroups, Controller, Quota};
use crate::report::figures;
use crate::temporary::RunDirectory;

/// Why nothing can be rehearsed.
#[derive(Debug, Error)]
pub(crate) enum RehearsalError {
    #[error(
        "--rehearse needs control groups, and can't have them: {0}. Run as root, or have the controllers handed on to \
         your user (with systemd: `Delegate=cpu memory pids` for user@.service). Or leave out --rehearse and \
         PROFILING_REHEARSE"
    )]
    Cgroup(#[from] CgroupError),
    #[error("--rehearse {size}: it has {cpus} CPUs, and this machine {here}: what is faster can't be rehearsed")]
    TooFast { size: String, cpus: f64, here: usize },
    #[error("--rehearse: there is no platform `{platform}`; there are {known}")]
    UnknownPlatform { platform: String, known: String },
    #[error("--rehearse: {0}")]
    NotOffered(#[from] NotOffered),
}

/// What is needed to rehearse.
#[derive(Debug)]
pub(crate) struct Rehearsals {
    /// In these, every job is.
    pub sizes: Vec<Size>,
    /// In those that its advice has chosen, too.
    pub all_chosen: bool,
    groups: Cgroups,
    namespace: Option<Namespace>,
}

impl Rehearsals {
    /// Makes sure that these sizes can be rehearsed; `None` where none is wanted. `directory`: of this run.
    pub(crate) fn prepare(
        wanted: &[Wanted],
        catalogue: &Catalogue,
        directory: &Rc<RunDirectory>,
    ) -> Result<Option<Self>, RehearsalError> {
        if wanted.is_empty() {
            return Ok(None);
        }
        let all_chosen = wanted.contains(&Wanted::AllChosen);
        let sizes = wanted.iter().filter_map(|wanted| match wanted {
            Wanted::Limits(size) => Some(Ok(size.clone())),
            Wanted::Offered { platform, memory_mb, vcpu } => {
                Some(Size::offered(catalogue, platform, *memory_mb, *vcpu))
            }
            Wanted::AllChosen => None,
        });
        let sizes = sizes.collect::<Result<Vec<Size>, RehearsalError>>()?;
        if let Some(Size { name, limits, .. }) = sizes.iter().find(|size| is_too_fast(size)) {
            return Err(RehearsalError::TooFast { size: name.clone(), cpus: limits.cpus, here: cpus_here() });
        }
        let mut controllers = vec![Controller::Memory, Controller::Cpu];
        if all_chosen || sizes.iter().any(|size| size.limits.threads.is_some()) {
            controllers.push(Controller::Pids);
        }
        let groups = Cgroups::find(&controllers, Rc::clone(directory))?;
        let mut rehearsals = Self { sizes, all_chosen, groups, namespace: namespace() };
        for limits in rehearsals.sizes.iter().map(|size| size.limits).collect::<Vec<_>>() {
            rehearsals.group(&limits)?.try_out()?;
        }
        Ok(Some(rehearsals))
    }

    /// A group with these limits.
    pub(crate) fn group(&mut self, limits: &SizeLimits) -> Result<Cgroup, CgroupError> {
        let group = self.groups.group()?;
        group.limit_memory(limits.memory_bytes)?;
        group.limit_cpu(Quota::of_cpus(limits.cpus))?;
        if let Some(threads) = limits.threads {
            group.limit_threads(threads)?;
        }
        Ok(group)
    }

    /// The worker's command, which lacks nothing but its arguments.
    pub(crate) fn command(&self, executable: &Path) -> Command {
        let Some(Namespace { arguments }) = self.namespace else { return Command::new(executable) };
        let mut command = Command::new("unshare");
        command.args(arguments).arg("--").arg(executable);
        command
    }

    /// What the worker has to take upon itself.
    pub(crate) fn confinement(&self, limits: &SizeLimits, temporary: &Path) -> Confinement {
        Confinement {
            file_descriptors: limits.file_descriptors,
            writable: self.namespace.is_some().then(|| temporary.to_owned()),
        }
    }

    /// What came of a rehearsal. `samples`: what was measured without limits. `passed`: what was measured
    /// within them, or why it failed.
    pub(crate) fn judge(
        &self,
        size: &Size,
        samples: &CaseSamples,
        passed: Result<&CaseSamples, Failure>,
        out_of_memory_kills: u64,
    ) -> io::Result<Rehearsal> {
        let failed = |Failure { cause, reason }| RehearsalOutcome::Failed { cause, reason, out_of_memory_kills };
        let summary = passed.map(|rehearsed| Summary::of_samples(rehearsed, Column::WallNs));
        let rehearsed = match summary {
            Ok(summary) => summary?.ok_or_else(|| Failure::not_run("it was not executed".to_owned())),
            Err(failure) => Err(failure),
        };
        let outcome = match rehearsed {
            Ok(wall_ns) if out_of_memory_kills == 0 => RehearsalOutcome::Passed { wall_ns },
            Ok(_) => failed(out_of_memory("the kernel killed a process that it had started", &size.limits)),
            Err(Failure { reason, .. }) if out_of_memory_kills > 0 => {
                let killed = out_of_memory("the kernel killed it", &size.limits);
                failed(Failure { reason: format!("{}: {reason}", killed.reason), ..killed })
            }
            Err(failure) => failed(failure.explained()),
        };
        Ok(Rehearsal {
            size: size.name.clone(),
            offered: size.offered.clone(),
            outcome,
            predicted_p50_ns: predicted_p50_ns(samples, size.limits.cpus)?,
            period_ns: profiling_core::measure::nanoseconds(Quota::of_cpus(size.limits.cpus).period()),
            file_system: match self.namespace {
                Some(_) => FileSystem::ReadOnly,
                None => FileSystem::Unrestricted,
            },
        })
    }
}

/// Why a rehearsal failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub cause: RehearsalFailure,
    pub reason: String,
}

impl Failure {
    /// The worker could not even begin.
    pub(crate) fn not_run(reason: String) -> Self {
        Self { cause: RehearsalFailure::NotRun, reason }
    }

    /// Says what the system has refused, where it was that.
    fn explained(self) -> Self {
        const READ_ONLY: [&str; 2] = ["Read-only file system", "ReadOnlyFilesystem"];
        if self.cause == RehearsalFailure::Job && READ_ONLY.iter().any(|words| self.reason.contains(words)) {
            let why = "A write was refused: on the platform, only the temporary directory can be written to";
            return Self { cause: RehearsalFailure::WriteRefused, reason: format!("{}\n{why}", self.reason) };
        }
        self
    }
}

/// Whether this machine has too few CPUs for it.
pub(crate) fn is_too_fast(size: &Size) -> bool {
    size.limits.cpus > cpus_here() as f64
}

fn cpus_here() -> usize {
    available_parallelism().map_or(1, Into::into)
}

fn out_of_memory(what: &str, limits: &SizeLimits) -> Failure {
    let reason = format!("out of memory: {what} at {}", figures::bytes(limits.memory_bytes));
    Failure { cause: RehearsalFailure::OutOfMemory, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_that_a_write_was_refused() {
        let failed = |cause, reason: &str| Failure { cause, reason: reason.to_owned() }.explained();
        let refused = failed(RehearsalFailure::Job, "returned Err: Read-only file system (os error 30)");
        assert_eq!(refused.cause, RehearsalFailure::WriteRefused);
        assert!(refused.reason.contains("A write was refused"), "{}", refused.reason);
        let late = failed(RehearsalFailure::TimedOut, "timed out");
        assert_eq!((late.cause, &*late.reason), (RehearsalFailure::TimedOut, "timed out"));
    }
}
