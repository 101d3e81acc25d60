//! Runs cases in worker processes: starts them, lets them begin, and leaves none behind.

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use profiling_core::job::{Case, Isolation};
use profiling_core::measure::clock;
use profiling_core::sample::Sample;
use tempfile::TempDir;

use crate::attribution::{Remnant, Traces, Views};
use crate::binary::{HeldBinary, Program};
use crate::cgroup::{Cgroup, CgroupError, Cgroups, Controller};
use crate::channel::Upper;
use crate::descendants;
use crate::events::Events;
use crate::files::Files;
use crate::instructions::{self, Callgrind, Valgrind};
use crate::interruption::{Interrupted, Interruption};
use crate::machine::Machine;
use crate::outcome::{CaseFailure, CaseRun, Measured, Phase};
use crate::plan::{CasePlan, Round};
use crate::rehearsal::{Confinement, Rehearsals};
use crate::sampler::Sampler;
use crate::sweeping;
use crate::temporary::RunDirectory;
use crate::watch::Watch;
use crate::wire::{Assignment, WORKER_ARGUMENT};

use self::conversation::{Conversation, Ending, Started};
pub(crate) use self::earlier::Earlier;
use self::trial::Contestant;

mod conversation;
pub(crate) mod counting;
mod earlier;
mod rehearse;
pub(crate) mod trial;
mod witness;

/// What tells a process where to put temporary files.
#[cfg(unix)]
const TEMPORARY_DIRECTORY: [&str; 1] = ["TMPDIR"];
/// What tells a process where to put temporary files.
#[cfg(not(unix))]
const TEMPORARY_DIRECTORY: [&str; 2] = ["TMP", "TEMP"];

/// Starts workers from the main thread, so that they die with this process and not with a thread.
#[derive(Debug)]
pub(crate) struct Supervisor {
    binary: Rc<HeldBinary>,
    capture: bool,
    files: Files,
    interruption: Rc<Interruption>,
    directory: Rc<RunDirectory>,
    /// Where the machine lets us make control groups.
    groups: Option<Cgroups>,
    machine: Machine,
    extras: Extras,
    /// The worker that comes next, which gets ready and waits.
    spare: Option<Worker>,
    /// Of the working directory, for witnesses.
    views: Views,
    earlier: Option<Earlier>,
}

/// What is done with each case besides measuring it, where the user wants that.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    /// Counts instructions.
    pub valgrind: Option<Valgrind>,
    /// Runs it within limits.
    pub rehearsals: Option<Rehearsals>,
}

/// What came of following a worker, and what it ran in, which nobody is in any more.
#[derive(Debug)]
struct Followed {
    run: CaseRun,
    /// How long it was executing.
    executing: Duration,
    group: Option<Cgroup>,
    /// What it may have left behind.
    traces: Traces,
    /// What a witness has found.
    witnessed: Option<Vec<Remnant>>,
}

/// A worker that was started and may not have begun.
#[derive(Debug)]
struct Worker {
    case: Case,
    round: Round,
    temporary: TempDir,
    child: Child,
    channel: Upper,
    events: Events,
    started: Started,
    watch: Watch,
}

/// How a worker is started.
#[derive(Debug)]
struct Launch {
    /// Lacks nothing but the worker's arguments.
    command: Command,
    /// The case's number in that binary.
    case_index: usize,
    /// What it is to run.
    program: Program,
    capture: bool,
    /// What it is to run in.
    group: Option<Cgroup>,
    temporary: TempDir,
    /// How much may be in there.
    temporary_bytes: Option<u64>,
    /// What it has to do without.
    confinement: Option<Confinement>,
    /// For a witness, the directory that is made for it.
    witness: Option<PathBuf>,
}

impl Supervisor {
    /// `capture`: keep what workers print, rather than let it pass through. `ours`: where the harness
    /// itself writes. `binary`: of this process. `directory`: of this run.
    pub(crate) fn new(
        capture: bool,
        extras: Extras,
        ours: &[PathBuf],
        binary: &Rc<HeldBinary>,
        directory: &Rc<RunDirectory>,
    ) -> io::Result<Self> {
        sweeping::sweep();
        descendants::adopt_orphans()?;
        Ok(Self {
            binary: Rc::clone(binary),
            capture,
            files: Files::watch(ours, directory.path())?,
            interruption: Rc::new(Interruption::listen()?),
            directory: Rc::clone(directory),
            groups: Cgroups::find(&[Controller::Memory], Rc::clone(directory)).ok(),
            machine: Machine::default(),
            extras,
            spare: None,
            views: Views::default(),
            earlier: None,
        })
    }

    /// From now on cases are also asked about what they were seen to leave in earlier runs.
    pub(crate) fn remember(&mut self, earlier: Earlier) {
        self.earlier = Some(earlier);
    }

    /// The binary of this process.
    pub(crate) fn binary(&self) -> &Rc<HeldBinary> {
        &self.binary
    }

    /// The directory of this run.
    pub(crate) fn directory(&self) -> &Rc<RunDirectory> {
        &self.directory
    }

    /// An error once the run was told to end: what has come since is no one's doing but the user's.
    pub(crate) fn check_interruption(&self) -> Result<(), Interrupted> {
        self.interruption.check()
    }

    /// Runs a case, calling `progress` after every execution with how many have ended. Whenever a worker
    /// has ended well, the one that comes after it, which may be that of the case to be run `next`, is
    /// started: it gets ready while this one exits and the caller deals with its figures.
    pub(crate) fn run(
        &mut self,
        plan: &CasePlan,
        next: Option<&CasePlan>,
        progress: &mut dyn FnMut(u64),
    ) -> io::Result<CaseRun> {
        let begin = self.machine.begin();
        let mut whole: Option<CaseRun> = None;
        let (mut ended_before, mut left) = (0, Vec::new());
        let mut sampler = plan.auto().filter(|_| plan.isolation == Isolation::Sample).map(Sampler::new);
        let (mut number, mut wanted) = (0, true);
        while let Some(round) = plan.round(number, wanted) {
            number += 1;
            let then = plan.round(number, wanted).map(|round| (plan.case, round));
            let then = then.or_else(|| next.map(|next| (next.case, next.first_round())));
            let worker = self.worker(plan.case, round)?;
            let Followed { mut run, group, mut traces, executing, .. } =
                self.follow(worker, plan, round, then, &mut |ended| progress(ended_before + ended))?;
            if let (Some(groups), Some(group)) = (&mut self.groups, group) {
                groups.give_back(group);
            }
            ended_before += u64::from(round.warmup) + u64::from(round.samples);
            if number == 1 {
                self.add_earlier(plan.case, &mut traces);
            }
            if let Ok(measured) = &mut run.result
                && !round.cold
            {
                let executions = u32::try_from(measured.samples.len()).unwrap_or(u32::MAX);
                measured.whole = executing / executions.saturating_add(round.warmup).max(1);
            }
            left.extend(witness::wanted(round, &run, traces));
            let so_far = match whole.take() {
                Some(whole) => whole.and(run)?,
                None => run,
            };
            let failed = so_far.result.is_err();
            if let (Some(sampler), Ok(measured)) = (&mut sampler, &so_far.result) {
                wanted = sampler.wants(&measured.samples)?.is_some();
            }
            whole = Some(so_far);
            if failed {
                break;
            }
        }
        let mut whole = whole.ok_or_else(|| io::Error::other("no worker was planned"))?;
        if let (Ok(measured), Some(sampler)) = (&mut whole.result, sampler) {
            measured.circumstances.sampling = sampler.ended();
        }
        if let Ok(measured) = &mut whole.result {
            measured.circumstances.machine = self.machine.share_since(begin);
            if !plan.again {
                measured.circumstances.evidence.add(self.attribute(plan, &left));
            }
        }
        if self.extras.valgrind.is_some()
            && !plan.again
            && let Ok(measured) = &mut whole.result
        {
            let program = self.binary.for_wrapper(&self.directory)?;
            let contestant = Contestant { executable: &program.path, case_index: plan.case.index };
            match self.count(&instructions::plan(plan, measured)?, contestant)? {
                Ok(count) => measured.circumstances.instructions = Some(count),
                Err(failed) => whole = failed,
            }
        }
        Ok(whole)
    }

    /// What the case has left in an earlier run, and has not made again, may be its doing as well.
    fn add_earlier(&mut self, case: Case, traces: &mut Traces) {
        let working_directory = self.files.working_directory();
        let of_here =
            |path: &PathBuf| path.starts_with(working_directory.path()) && !working_directory.left_out().covers(path);
        let left = self.earlier.as_mut().map(|earlier| earlier.left_by(case)).unwrap_or_default();
        left.into_iter().filter(of_here).for_each(|path| traces.changes.made(path));
    }

    /// The instructions of one execution of a case with these samples, by this binary or another one; `None`
    /// where they can't be counted.
    pub(crate) fn instructions(
        &mut self,
        plan: &CasePlan,
        samples: &[Sample],
        contestant: Contestant<'_>,
    ) -> io::Result<Option<u64>> {
        let measured = Measured { samples: samples.into(), ..Measured::default() };
        Ok(self.count(&instructions::plan(plan, &measured)?, contestant)?.ok())
    }

    /// The instructions of one execution, for which a worker is started under callgrind; that worker's
    /// run where it failed.
    fn count(&mut self, plan: &CasePlan, contestant: Contestant<'_>) -> io::Result<Result<u64, CaseRun>> {
        let callgrind = Callgrind::new(self.directory.subdirectory()?);
        let round = plan.first_round();
        let command = callgrind.command(contestant.executable);
        let program = Program::at(contestant.executable)?;
        let launch = Launch { capture: true, ..self.plain(command, program, contestant.case_index)? };
        let worker = self.start_as(plan.case, round, launch)?;
        let process = worker.child.id();
        let CaseRun { result, stdout, stderr } = self.follow(worker, plan, round, None, &mut |_| ())?.run;
        let counted = result
            .and_then(|_| callgrind.count(process, plan).map_err(|reason| CaseFailure { phase: Phase::Exit, reason }));
        Ok(counted.map_err(|CaseFailure { phase, reason }| {
            let last = callgrind.last_words(process, &stderr.text());
            let reason = format!("while valgrind counted its instructions: {reason}\n{last}");
            CaseRun { result: Err(CaseFailure { phase, reason }), stdout, stderr }
        }))
    }

    /// Lets a worker begin and follows it to its end; then starts the one that comes next.
    fn follow(
        &mut self,
        worker: Worker,
        plan: &CasePlan,
        round: Round,
        then: Option<(Case, Round)>,
        progress: &mut dyn FnMut(u64),
    ) -> io::Result<Followed> {
        let Worker { mut child, channel, events, started, temporary, mut watch, .. } = worker;
        self.files.begin();
        channel.release();
        let begin = Instant::now();
        watch.begin();
        let mut conversation = Conversation::new(*plan, round, events, started, watch, self.directory.path());
        let ending = match plan.auto() {
            Some(auto) if round.by_turns => conversation.follow_by_turns(&channel, auto, progress),
            _ => conversation.follow(progress),
        };
        let executing = begin.elapsed();
        self.files.executed();
        if let (Ok(Ending::Said), None, Some((case, round))) = (&ending, &conversation.failure, then)
            && Upper::HOLDS
        {
            // Where it can't be started, the next call says why.
            self.spare = self.start(case, round).ok();
        }
        let ending = ending.and_then(|ending| Ok((ending, conversation.await_exit(&mut child, ending)?)));
        // Whatever went wrong here, no process may be left behind.
        let _ = child.kill();
        let _ = child.wait();
        descendants::end_orphans(self.spare.as_ref().map(|spare| spare.child.id()));
        let (tree, group) = conversation.watch.end(conversation.left.started_processes);
        let traces = self.files.left(temporary);
        // The signal may have come to the worker, too.
        self.check_interruption()?;
        let (ending, status) = ending?;
        conversation.drain()?;
        let witnessed = conversation.witnessed.take();
        Ok(Followed { run: conversation.judge(ending, status, &tree), executing, group, traces, witnessed })
    }

    /// The worker that is waiting to do this, or a new one.
    fn worker(&mut self, case: Case, round: Round) -> io::Result<Worker> {
        match self.spare.take() {
            Some(spare) if spare.is_for(case, round) => Ok(spare),
            spare => {
                spare.into_iter().for_each(Worker::end);
                self.start(case, round)
            }
        }
    }

    /// Starts a worker in a control group, if there can be one.
    fn start(&mut self, case: Case, round: Round) -> io::Result<Worker> {
        let group = self.groups.as_mut().and_then(|groups| groups.group().ok());
        if group.is_none() {
            self.groups = None;
        }
        let started = self.start_in(group, case, round);
        if self.groups.is_some()
            && let Err(error) = &started
            && let Some(why) = CgroupError::behind(error)
        {
            complain!(
                "note: a control group can be made here, but not entered: {why}. The memory of what jobs start is sampled \
                 instead"
            );
            self.groups = None;
            return self.start_in(None, case, round);
        }
        started
    }

    fn start_in(&mut self, group: Option<Cgroup>, case: Case, round: Round) -> io::Result<Worker> {
        let (command, program) = self.binary.command(&self.directory)?;
        let launch = Launch { group, ..self.plain(command, program, case.index)? };
        self.start_as(case, round, launch)
    }

    /// A launch without a group or limits.
    fn plain(&mut self, command: Command, program: Program, case_index: usize) -> io::Result<Launch> {
        Ok(Launch {
            command,
            case_index,
            program,
            capture: self.capture,
            group: None,
            temporary: self.files.temporary_directory()?,
            temporary_bytes: None,
            confinement: None,
            witness: None,
        })
    }

    fn start_as(&mut self, case: Case, round: Round, launch: Launch) -> io::Result<Worker> {
        let Launch {
            mut command,
            case_index,
            program,
            capture,
            group,
            temporary,
            temporary_bytes,
            confinement,
            witness,
        } = launch;
        let assignment = Assignment {
            job: case.job.name.to_owned(),
            case: case_index,
            first: round.first,
            warmup: round.warmup,
            samples: round.samples,
            hardware: self.extras.valgrind.is_some(),
            by_turns: round.by_turns,
            confinement,
            witness,
            supervisor: std::process::id(),
        };
        self.check_interruption()?;
        let (channel, worker_end) = Upper::open()?;
        let output = || if capture { Stdio::piped() } else { Stdio::inherit() };
        command
            .args([WORKER_ARGUMENT, &serde_json::to_string(&assignment)?])
            .envs(TEMPORARY_DIRECTORY.map(|variable| (variable, temporary.path())))
            .stdin(worker_end)
            .stdout(output())
            .stderr(output());
        let started = Started { at: Instant::now(), shared_ns: clock::shared_ns(), program };
        let mut child = match &group {
            Some(group) => group.spawn(&mut command)?,
            None => command.spawn()?,
        };
        let events =
            Events::new(channel.messages()?, child.stdout.take(), child.stderr.take(), Rc::clone(&self.interruption))?;
        let watch = Watch::new(child.id(), group, temporary_bytes.map(|bytes| (temporary.path().to_owned(), bytes)));
        Ok(Worker { case, round, temporary, child, channel, events, started, watch })
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.spare.take().into_iter().for_each(Worker::end);
    }
}

impl Worker {
    fn is_for(&self, case: Case, round: Round) -> bool {
        std::ptr::eq(self.case.job, case.job) && self.case.index == case.index && self.round == round
    }

    /// Ends a worker that is not wanted any more.
    fn end(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
