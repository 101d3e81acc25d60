//! Runs a case once more, within the limits of a size.

use std::io;

use profiling_core::profile::{Rehearsal, RehearsalFailure};
use profiling_core::samples::CaseSamples;
use profiling_core::sampling::Samples;

use super::conversation::TIMED_OUT;
use super::{Followed, Launch, Supervisor};
use crate::outcome::CaseFailure;
use crate::plan::CasePlan;
use crate::rehearsal::{Failure, Rehearsals, Size};

/// What came of the workers of a rehearsal.
#[derive(Debug, Default)]
struct Rehearsed {
    samples: CaseSamples,
    out_of_memory_kills: u64,
    failure: Option<Failure>,
}

impl Supervisor {
    /// Runs a case within the limits of a size; `None` where nothing is to be rehearsed. `measured`: its samples
    /// without limits. What goes wrong is a failure of the rehearsal, and doesn't touch what was measured.
    pub(crate) fn rehearse(&mut self, plan: &CasePlan, size: &Size, measured: &CaseSamples) -> Option<Rehearsal> {
        let mut rehearsals = self.extras.rehearsals.take()?;
        let samples = Samples::Count(u32::try_from(measured.len()).unwrap_or(u32::MAX));
        let plan = CasePlan { samples, ..*plan };
        let rehearsed = self.run_within(&mut rehearsals, &plan, size).unwrap_or_else(|error| Rehearsed {
            failure: Some(Failure::not_run(format!("can't be rehearsed: {error}"))),
            ..Rehearsed::default()
        });
        let Rehearsed { samples, out_of_memory_kills, failure } = rehearsed;
        let passed = failure.map_or(Ok(&samples), Err);
        let rehearsal = rehearsals.judge(size, measured, passed, out_of_memory_kills).or_else(|error| {
            let unread = Failure::not_run(format!("its samples can't be read: {error}"));
            rehearsals.judge(size, &CaseSamples::default(), Err(unread), out_of_memory_kills)
        });
        self.extras.rehearsals = Some(rehearsals);
        rehearsal.ok()
    }

    fn run_within(&mut self, rehearsals: &mut Rehearsals, plan: &CasePlan, size: &Size) -> io::Result<Rehearsed> {
        let timeout = size.limits.timeout.unwrap_or(plan.timeout);
        let plan = CasePlan { timeout, cold_samples: 0, ..*plan };
        let mut whole = Rehearsed::default();
        for round in plan.rounds() {
            let program = self.binary.for_wrapper(&self.directory)?;
            let launch = self.plain(rehearsals.command(&program.path), program, plan.case.index)?;
            let launch = Launch {
                group: Some(rehearsals.group(&size.limits).map_err(io::Error::other)?),
                confinement: Some(rehearsals.confinement(&size.limits, launch.temporary.path())),
                temporary_bytes: size.limits.temporary_bytes,
                ..launch
            };
            let worker = self.start_as(plan.case, round, launch)?;
            let Followed { run, group, .. } = self.follow(worker, &plan, round, None, &mut |_| ())?;
            whole.out_of_memory_kills += group.map_or(0, |group| group.out_of_memory_kills());
            match run.result {
                Ok(measured) => whole.samples.append(&measured.samples)?,
                Err(CaseFailure { phase, reason }) => {
                    let late = reason.starts_with(TIMED_OUT);
                    let cause = if late { RehearsalFailure::TimedOut } else { RehearsalFailure::Job };
                    whole.failure = Some(Failure { cause, reason: format!("{phase}: {reason}") });
                    break;
                }
            }
        }
        Ok(whole)
    }
}
