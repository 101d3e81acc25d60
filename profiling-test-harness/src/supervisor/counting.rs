//! Counts what executions cost under callgrind, of both versions of a case at the same time: they are alone in
//! what they count, whatever else runs.

use std::io;
use std::time::{Duration, Instant};

use profiling_core::job::Isolation;
use profiling_core::sampling::Samples;
use profiling_core::statistics::comparison::Events;

use super::conversation::{Conversation, Ending};
use super::trial::Contestant;
use super::{Launch, Supervisor, Worker};
use crate::binary::Program;
use crate::descendants;
use crate::instructions::Callgrind;
use crate::plan::CasePlan;

/// What was counted of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Of each execution but the warm-ups.
    pub executions: Vec<Events>,
    /// Its child processes were not counted.
    pub started_processes: bool,
}

/// Why there are no counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Uncounted {
    /// Time was up.
    TooLong,
    Failed(String),
}

/// A worker under callgrind, which is ended when it is no longer wanted.
struct Counting {
    callgrind: Callgrind,
    worker: Option<Worker>,
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.worker.take().into_iter().for_each(Worker::end);
    }
}

impl Supervisor {
    /// Counts so many executions of each contestant, the same runs, for as long as there is `time`.
    pub(crate) fn count_events(
        &mut self,
        plan: &CasePlan,
        executions: u32,
        contestants: [Contestant<'_>; 2],
        time: Duration,
    ) -> io::Result<Result<[Counted; 2], Uncounted>> {
        let deadline = Instant::now() + time;
        let samples = Samples::Count(executions);
        // The first execution loads and initialises what no later one does.
        let warmup = plan.warmup.max(1);
        let isolation = Isolation::Case;
        let plan = CasePlan { warmup, samples, timeout: time, cold_samples: 0, isolation, ..*plan };
        let [old, new] = contestants;
        let mut both = [self.start_counting(&plan, old)?, self.start_counting(&plan, new)?];
        let counted = follow_both(&mut both, &plan, deadline);
        drop(both);
        // Also where the run is to end.
        descendants::end_orphans(self.spare.as_ref().map(|spare| spare.child.id()));
        counted
    }

    fn start_counting(&mut self, plan: &CasePlan, contestant: Contestant<'_>) -> io::Result<Counting> {
        let callgrind = Callgrind::new(self.directory.subdirectory()?);
        let command = callgrind.simulating(contestant.executable);
        let program = Program::at(contestant.executable)?;
        let launch = Launch { capture: true, ..self.plain(command, program, contestant.case_index)? };
        let worker = self.start_as(plan.case, plan.first_round(), launch)?;
        worker.channel.release();
        Ok(Counting { callgrind, worker: Some(worker) })
    }
}

fn follow_both(
    [old, new]: &mut [Counting; 2],
    plan: &CasePlan,
    deadline: Instant,
) -> io::Result<Result<[Counted; 2], Uncounted>> {
    Ok(match old.follow(plan, deadline)? {
        Ok(old) => new.follow(plan, deadline)?.map(|new| [old, new]),
        Err(why) => Err(why),
    })
}

impl Counting {
    /// Follows the worker to its end, but not for longer than until the deadline.
    fn follow(&mut self, plan: &CasePlan, deadline: Instant) -> io::Result<Result<Counted, Uncounted>> {
        let Some(worker) = self.worker.take() else {
            return Err(io::Error::other("a worker is followed once"));
        };
        let Worker { mut child, channel, events, started, temporary, watch, .. } = worker;
        let process = child.id();
        let mut conversation =
            Conversation::new(*plan, plan.first_round(), events, started, watch, self.callgrind.path());
        let ending = conversation.follow_for(deadline);
        let status = match &ending {
            Ok(Some(ending)) => conversation.await_exit(&mut child, *ending),
            _ => Ok(None),
        };
        // Whatever went wrong here, no process may be left behind.
        let _ = child.kill();
        let _ = child.wait();
        drop((channel, temporary));
        let Some(ending) = ending? else { return Ok(Err(Uncounted::TooLong)) };
        conversation.drain()?;
        if ending != Ending::Said || conversation.failure.is_some() {
            let failure = conversation.failure_of(ending, status?);
            let last = self.callgrind.last_words(process, "");
            let last = last.lines().next_back().unwrap_or_default();
            return Ok(Err(Uncounted::Failed(format!("{}: {} {last}", failure.phase, failure.reason))));
        }
        let started_processes = conversation.left.started_processes;
        let counted = self.callgrind.events(process, plan).map_err(Uncounted::Failed);
        Ok(counted.map(|mut executions| {
            executions.drain(..executions.len().min(plan.warmup as usize));
            Counted { executions, started_processes }
        }))
    }
}
