//! `--rehearse`: workers of a case within the limits of a platform's size, to see whether what was
//! predicted for it comes true.

mod confinement;
mod limits;

use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;

use profiling_core::profile::{FileSystem, Rehearsal, RehearsalOutcome};
use profiling_core::sample::Sample;
use profiling_core::statistics::Summary;
use thiserror::Error;

pub(crate) use self::confinement::{Confinement, confine};
use self::confinement::{Namespace, namespace};
pub(crate) use self::limits::{GRAMMAR, Limits, Size};
use crate::cgroup::{Cgroup, CgroupError, Cgroups, Controller, Quota};
use crate::report::figures;

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
}

/// What is needed to rehearse.
#[derive(Debug)]
pub(crate) struct Rehearsals {
    pub sizes: Vec<Size>,
    groups: Cgroups,
    namespace: Option<Namespace>,
}

impl Rehearsals {
    /// Makes sure that these sizes can be rehearsed.
    pub(crate) fn prepare(sizes: Vec<Size>) -> Result<Self, RehearsalError> {
        let here = available_parallelism().map_or(1, Into::into);
        if let Some(Size { name, limits }) = sizes.iter().find(|size| size.limits.cpus > here as f64) {
            return Err(RehearsalError::TooFast { size: name.clone(), cpus: limits.cpus, here });
        }
        let mut wanted = vec![Controller::Memory, Controller::Cpu];
        if sizes.iter().any(|size| size.limits.threads.is_some()) {
            wanted.push(Controller::Pids);
        }
        let mut rehearsals = Self { sizes, groups: Cgroups::find(&wanted)?, namespace: namespace() };
        for limits in rehearsals.sizes.iter().map(|size| size.limits).collect::<Vec<_>>() {
            rehearsals.group(&limits)?;
        }
        Ok(rehearsals)
    }

    /// Where groups are made.
    pub(crate) fn groups(&self) -> &Cgroups {
        &self.groups
    }

    /// A group with these limits.
    pub(crate) fn group(&mut self, limits: &Limits) -> Result<Cgroup, CgroupError> {
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
    pub(crate) fn confinement(&self, limits: &Limits, temporary: &Path) -> Confinement {
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
        samples: &[Sample],
        passed: Result<&[Sample], String>,
        out_of_memory_kills: u64,
    ) -> Rehearsal {
        let rehearsed = passed.and_then(|rehearsed| {
            let wall: Vec<u64> = rehearsed.iter().map(|sample| sample.wall_ns).collect();
            Summary::of(&wall).ok_or_else(|| "it was not executed".to_owned())
        });
        let outcome = match rehearsed {
            Ok(wall_ns) if out_of_memory_kills == 0 => RehearsalOutcome::Passed { wall_ns },
            Ok(_) => {
                let reason = out_of_memory("the kernel killed a process that it had started", &size.limits);
                RehearsalOutcome::Failed { reason, out_of_memory_kills }
            }
            Err(reason) if out_of_memory_kills > 0 => {
                let reason = format!("{}: {reason}", out_of_memory("the kernel killed it", &size.limits));
                RehearsalOutcome::Failed { reason, out_of_memory_kills }
            }
            Err(reason) => RehearsalOutcome::Failed { reason: explain(reason), out_of_memory_kills },
        };
        Rehearsal {
            size: size.name.clone(),
            outcome,
            predicted_p50_ns: predicted_p50_ns(samples, size.limits.cpus),
            period_ns: profiling_core::measure::nanoseconds(Quota::of_cpus(size.limits.cpus).period()),
            file_system: match self.namespace {
                Some(_) => FileSystem::ReadOnly,
                None => FileSystem::Unrestricted,
            },
        }
    }
}

fn out_of_memory(what: &str, limits: &Limits) -> String {
    format!("out of memory: {what} at {}", figures::bytes(limits.memory_bytes))
}

/// What the system says is short.
fn explain(reason: String) -> String {
    const READ_ONLY: &str = "Read-only file system";
    if reason.contains(READ_ONLY) || reason.contains("ReadOnlyFilesystem") {
        return format!(
            "{reason}\nA write was refused: on the platform, only the temporary directory can be written to"
        );
    }
    reason
}

/// The median of what the executions would take: CPU time ÷ CPUs + waiting. None uses more CPUs at once than
/// it did on average when it was measured, or one. Waiting for a CPU that others had is no part of it.
fn predicted_p50_ns(samples: &[Sample], cpus: f64) -> Option<u64> {
    let predicted = |sample: &Sample| {
        let undisturbed = sample.wall_ns.saturating_sub(sample.run_queue_delay_ns.unwrap_or(0));
        let (wall, cpu) = (undisturbed as f64, sample.cpu_ns? as f64);
        let parallelism = if wall > 0.0 { (cpu / wall).max(1.0) } else { 1.0 };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "nanoseconds are whole and positive"
        )]
        let predicted = (cpu / cpus.min(parallelism) + (wall - cpu).max(0.0)).round() as u64;
        Some(predicted)
    };
    let predicted = samples.iter().map(predicted).collect::<Option<Vec<_>>>()?;
    Summary::of(&predicted).map(|summary| summary.p50)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(wall_ms: u64, cpu_ms: u64) -> Sample {
        Sample { wall_ns: wall_ms * 1_000_000, cpu_ns: Some(cpu_ms * 1_000_000), ..Sample::default() }
    }

    #[test]
    fn predicts_from_cpu_time_and_waiting() {
        let predicted = |sample, cpus| predicted_p50_ns(&[sample], cpus).map(|ns| ns / 1_000_000);
        assert_eq!(predicted(sample(100, 100), 0.25), Some(400), "CPU alone");
        assert_eq!(predicted(sample(100, 100), 2.0), Some(100), "one thread has one CPU");
        assert_eq!(predicted(sample(100, 50), 0.25), Some(250), "half waiting");
        assert_eq!(predicted(sample(100, 200), 0.5), Some(400), "two threads");
        assert_eq!(predicted(sample(100, 200), 2.0), Some(100), "two threads");
        let delayed = Sample { run_queue_delay_ns: Some(60_000_000), ..sample(160, 50) };
        assert_eq!(predicted(delayed, 0.25), Some(250), "others had the CPU");
        assert_eq!(predicted(Sample { cpu_ns: None, ..sample(100, 0) }, 1.0), None, "not measured");
    }

    #[test]
    fn says_that_a_write_was_refused() {
        let explained = explain("returned Err: Read-only file system (os error 30)".to_owned());
        assert!(explained.contains("A write was refused"), "{explained}");
        assert_eq!(explain("timed out".to_owned()), "timed out");
    }
}
