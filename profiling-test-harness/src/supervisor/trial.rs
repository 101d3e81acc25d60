//! A trial: fresh workers, of one binary or of several, that execute the same case by turns.
//!
//! They are all alive at once, and of the turns each takes one after the other, in an order of the
//! caller's choice. Whatever else the machine is doing meanwhile, it does to all of them.

use std::io;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use profiling_core::sample::Sample;
use profiling_core::sampling::Samples;
use tempfile::TempDir;

use super::{Conversation, Launch, Supervisor};
use crate::binary::Program;
use crate::channel::Upper;
use crate::descendants;
use crate::outcome::CaseFailure;
use crate::plan::{CasePlan, Round};

/// Who takes part: a binary that knows the case by this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Contestant<'a> {
    pub executable: &'a Path,
    pub case_index: usize,
}

/// How the samples of each contestant are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turns {
    pub count: u32,
    /// The executions of one turn.
    pub length: u8,
}

impl Turns {
    /// The samples of each contestant.
    pub(crate) fn samples(self) -> u32 {
        self.count * u32::from(self.length)
    }
}

/// Why a trial has come to nothing.
#[derive(Debug)]
pub(crate) enum Spoiled {
    /// A contestant has failed, by its index, and how.
    Failed {
        contestant: usize,
        failure: CaseFailure,
    },
    TimeUp,
}

/// A contestant's worker. It is killed when it is no longer wanted: what it leaves behind isn't looked at.
struct Party {
    child: Child,
    channel: Upper,
    conversation: Conversation,
    /// Removed with it.
    _temporary: TempDir,
}

impl Drop for Party {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Supervisor {
    /// Whether workers can execute by turns here.
    pub(crate) const TAKES_TURNS: bool = Upper::HOLDS;

    /// The samples of every contestant, whose first execution has the number `first`, for as long as there is `time`.
    /// `order` puts the contestants of each turn into order.
    pub(crate) fn trial(
        &mut self,
        plan: &CasePlan,
        first: u64,
        turns: Turns,
        contestants: &[Contestant<'_>],
        time: Duration,
        order: &mut dyn FnMut(&mut [usize]),
    ) -> io::Result<Result<Vec<Vec<Sample>>, Spoiled>> {
        let deadline = Instant::now() + time;
        let plan = CasePlan { samples: Samples::Count(turns.samples()), ..*plan };
        let parties = contestants.iter().map(|&contestant| self.join(&plan, first, contestant));
        let mut parties = parties.collect::<io::Result<Vec<Party>>>()?;
        let played = play(&mut parties, &plan, turns, deadline, order);
        let samples = parties.iter().map(|party| party.conversation.samples.to_vec()).collect::<io::Result<_>>();
        drop(parties);
        descendants::end_orphans(self.spare.as_ref().map(|spare| spare.child.id()));
        self.check_interruption()?;
        Ok(played?.map_or(Ok(samples?), Err))
    }

    fn join(&mut self, plan: &CasePlan, first: u64, contestant: Contestant<'_>) -> io::Result<Party> {
        let round = Round { first, samples: plan.most_samples(), by_turns: true, ..plan.first_round() };
        let program = Program::at(contestant.executable)?;
        let launch = self.plain(Command::new(contestant.executable), program, contestant.case_index)?;
        let launch = Launch { capture: true, ..launch };
        let super::Worker { child, channel, events, started, temporary, watch, .. } =
            self.start_as(plan.case, round, launch)?;
        let conversation = Conversation::new(*plan, round, events, started, watch, self.directory.path());
        Ok(Party { child, channel, conversation, _temporary: temporary })
    }
}

/// Lets the contestants warm up one after the other, and then take their turns.
fn play(
    parties: &mut [Party],
    plan: &CasePlan,
    turns: Turns,
    deadline: Instant,
    order: &mut dyn FnMut(&mut [usize]),
) -> io::Result<Option<Spoiled>> {
    let mut contestants: Vec<usize> = (0..parties.len()).collect();
    let warmup = u64::from(plan.warmup);
    order(&mut contestants);
    for &contestant in &contestants {
        parties[contestant].channel.release();
        if let Some(failure) = parties[contestant].advance_to(warmup)? {
            return Ok(Some(Spoiled::Failed { contestant, failure }));
        }
    }
    for turn in 1..=u64::from(turns.count) {
        if Instant::now() > deadline {
            return Ok(Some(Spoiled::TimeUp));
        }
        order(&mut contestants);
        for &contestant in &contestants {
            parties[contestant].channel.allow(turns.length);
            if let Some(failure) = parties[contestant].advance_to(warmup + turn * u64::from(turns.length))? {
                return Ok(Some(Spoiled::Failed { contestant, failure }));
            }
        }
    }
    Ok(None)
}

impl Party {
    /// Follows the worker until so many executions have ended. Returns how it failed before that.
    fn advance_to(&mut self, executions: u64) -> io::Result<Option<CaseFailure>> {
        let Some(ending) = self.conversation.follow_until(executions, &mut |_| ())? else { return Ok(None) };
        let status = self.conversation.await_exit(&mut self.child, ending)?;
        self.conversation.drain()?;
        Ok(Some(self.conversation.failure_of(ending, status)))
    }
}
