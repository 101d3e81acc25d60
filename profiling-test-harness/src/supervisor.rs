//! Runs one case in a worker process: starts it, follows its messages, ends it at the deadline, and
//! reads from its exit what it could no longer say.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use profiling_core::breakdown::Breakdown;
use profiling_core::evidence::Evidence;
use profiling_core::job::{Case, Isolation};
use profiling_core::measure::leftovers::Leftovers;
use profiling_core::measure::{clock, nanoseconds};
use profiling_core::profile::{Circumstances, ColdStart};
use profiling_core::sample::Sample;
use profiling_core::sampling::{Auto, Samples, Sampling};
use tempfile::TempDir;

use crate::capture::Capture;
use crate::cgroup::{self, Cgroup, Cgroups, Controller};
use crate::channel::Upper;
use crate::descendants;
use crate::events::{Event, Events, Stream};
use crate::files::Files;
use crate::instructions::{self, Callgrind, Valgrind};
use crate::machine::Machine;
use crate::rehearsal::{Confinement, Rehearsals};
use crate::sampler::Sampler;
use crate::signals;
use crate::watch::{Tree, Watch};
use crate::wire::{Assignment, Message, PROTOCOL, Receiver, UNUSABLE, WORKER_ARGUMENT};

use self::trial::Contestant;

mod rehearse;
pub(crate) mod trial;

/// How long a worker may take to get ready, where the job's own timeout is shorter.
const STARTUP: Duration = Duration::from_secs(10);
/// How long a worker may take to exit after its last message.
const EXIT: Duration = Duration::from_secs(5);
/// How long a worker may take to look at what its executions have left behind, where the job's own
/// timeout is shorter.
const LOOK: Duration = Duration::from_secs(10);
/// What tells a process where to put temporary files.
#[cfg(unix)]
const TEMPORARY_DIRECTORY: [&str; 1] = ["TMPDIR"];
/// What tells a process where to put temporary files.
#[cfg(not(unix))]
const TEMPORARY_DIRECTORY: [&str; 2] = ["TMP", "TEMP"];
/// How long to wait for the pipe of an exiting worker to close before looking at the worker itself.
const PAUSE: Duration = Duration::from_millis(50);

/// What the failure of an execution that took too long begins with.
const TIMED_OUT: &str = "timed out";

/// How a case is to be run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CasePlan {
    pub case: Case,
    pub warmup: u32,
    pub samples: Samples,
    pub timeout: Duration,
    /// Fresh workers whose start is measured.
    pub cold_samples: u32,
    pub isolation: Isolation,
    /// The case was measured before, and only its times are asked for again.
    pub again: bool,
}

/// What one worker is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Round {
    /// The number of its first execution.
    first: u64,
    warmup: u32,
    samples: u32,
    /// The number of its first sample.
    first_sample: u64,
    /// It is told when there are enough samples; `samples` is the most.
    by_turns: bool,
    /// It is started for its start alone.
    cold: bool,
}

impl CasePlan {
    /// How many executions there are at most in all workers that measure samples.
    pub(crate) fn executions(&self) -> u64 {
        let (warmup, samples) = (u64::from(self.warmup), u64::from(self.most_samples()));
        match self.isolation {
            Isolation::Case => warmup + samples,
            Isolation::Sample => (warmup + 1) * samples,
        }
    }

    pub(crate) fn most_samples(&self) -> u32 {
        match self.samples {
            Samples::Count(count) => count,
            Samples::Auto(auto) if Upper::HOLDS || self.isolation == Isolation::Sample => auto.max,
            Samples::Auto(auto) => auto.min,
        }
    }

    /// How sampling ends, where that isn't known before.
    pub(crate) fn auto(&self) -> Option<Auto> {
        match self.samples {
            Samples::Count(_) => None,
            Samples::Auto(auto) => Some(auto),
        }
    }

    fn first_round(&self) -> Round {
        let samples = if self.isolation == Isolation::Case { self.most_samples() } else { 1 };
        let by_turns = Upper::HOLDS && self.isolation == Isolation::Case && self.auto().is_some();
        Round { first: 0, warmup: self.warmup, samples, first_sample: 0, by_turns, cold: false }
    }

    /// What the workers do, one after the other, where the number of samples is given.
    fn rounds(self) -> impl Iterator<Item = Round> {
        (0..).map_while(move |number| self.round(number, true))
    }

    /// What the worker of this number does; one that measures samples only while these are `wanted`. `None`
    /// where the case needs no more.
    fn round(&self, number: u32, wanted: bool) -> Option<Round> {
        let first = self.first_round();
        let workers = self.most_samples() / first.samples;
        if wanted && number < workers {
            let each = u64::from(first.warmup) + u64::from(first.samples);
            let number = u64::from(number);
            return Some(Round { first: number * each, first_sample: number, ..first });
        }
        let cold = Round { warmup: 0, samples: 1, by_turns: false, cold: true, ..first };
        (number < self.cold_samples).then_some(cold)
    }
}

/// What came of a case.
#[derive(Debug)]
pub(crate) struct CaseRun {
    pub result: Result<Measured, CaseFailure>,
    pub stdout: Capture,
    pub stderr: Capture,
}

/// The figures of a case whose executions all ended well.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub samples: Vec<Sample>,
    pub circumstances: Circumstances,
    pub evidence: Evidence,
}

impl CaseRun {
    /// Both rounds of one case, of which the first has passed. What was printed is that of the first, or
    /// of the one that failed.
    fn and(self, later: Self) -> Self {
        match (self.result, later.result) {
            (Ok(mut measured), Ok(more)) => {
                measured.add(more);
                Self { result: Ok(measured), stdout: self.stdout, stderr: self.stderr }
            }
            (_, result) => Self { result, ..later },
        }
    }
}

impl Measured {
    fn add(&mut self, more: Self) {
        self.samples.extend(more.samples);
        self.evidence.add(more.evidence);
        let (whole, more) = (&mut self.circumstances, more.circumstances);
        whole.cold_starts.extend(more.cold_starts);
        whole.tree_peak = whole.tree_peak.into_iter().chain(more.tree_peak).max_by_key(|peak| peak.bytes);
        whole.file_descriptors_left_open = whole.file_descriptors_left_open.max(more.file_descriptors_left_open);
    }
}

/// Why and when a case failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CaseFailure {
    pub phase: Phase,
    pub reason: String,
}

/// Where in a worker's life something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Before the first execution.
    Startup,
    /// During the execution of this number, from 0, for the sample of that number; for none, a warm-up.
    Execution { number: u64, sample: Option<u64> },
    /// After the last execution.
    Exit,
    /// All went well, but other programs disturbed the measurement.
    Noise,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Startup => write!(f, "before the first execution"),
            Self::Execution { number, sample: None } => write!(f, "in execution {number} (a warm-up)"),
            Self::Execution { number, sample: Some(sample) } => write!(f, "in execution {number} (sample {sample})"),
            Self::Exit => write!(f, "after the last execution"),
            Self::Noise => write!(f, "in its measurement"),
        }
    }
}

/// Starts workers from the main thread, so that they die with this process and not with a thread.
#[derive(Debug)]
pub(crate) struct Supervisor {
    executable: PathBuf,
    capture: bool,
    files: Files,
    /// Where the machine lets us make control groups.
    groups: Option<Cgroups>,
    machine: Machine,
    extras: Extras,
    /// The worker that comes next, which gets ready and waits.
    spare: Option<Worker>,
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
    group: Option<Cgroup>,
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
    capture: bool,
    /// What it is to run in.
    group: Option<Cgroup>,
    temporary: TempDir,
    /// How much may be in there.
    temporary_bytes: Option<u64>,
    /// What it has to do without.
    confinement: Option<Confinement>,
}

/// When a worker was started, by its supervisor's clock and by one that the worker can read.
#[derive(Debug, Clone, Copy)]
struct Started {
    at: Instant,
    shared_ns: Option<u64>,
}

impl Supervisor {
    /// `capture`: keep what workers print, rather than let it pass through. `ours`: where the harness
    /// itself writes.
    pub(crate) fn new(capture: bool, extras: Extras, ours: &[PathBuf]) -> io::Result<Self> {
        descendants::adopt_orphans()?;
        let files = Files::watch(ours)?;
        let groups = Cgroups::find(&[Controller::Memory]).ok();
        let groups = groups.filter(|groups| cgroup::record(groups, files.directory()).is_ok());
        if let Some(rehearsals) = &extras.rehearsals {
            cgroup::record(rehearsals.groups(), files.directory())?;
        }
        let machine = Machine::default();
        Ok(Self { executable: std::env::current_exe()?, capture, files, groups, machine, extras, spare: None })
    }

    /// This binary.
    pub(crate) fn executable(&self) -> &Path {
        &self.executable
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
        let mut ended_before = 0;
        let mut sampler = plan.auto().filter(|_| plan.isolation == Isolation::Sample).map(Sampler::new);
        let (mut number, mut wanted) = (0, true);
        while let Some(round) = plan.round(number, wanted) {
            number += 1;
            let then = plan.round(number, wanted).map(|round| (plan.case, round));
            let then = then.or_else(|| next.map(|next| (next.case, next.first_round())));
            let worker = self.worker(plan.case, round)?;
            let Followed { run, group } =
                self.follow(worker, plan, round, then, &mut |ended| progress(ended_before + ended))?;
            if let (Some(groups), Some(group)) = (&mut self.groups, group) {
                groups.give_back(group);
            }
            ended_before += u64::from(round.warmup) + u64::from(round.samples);
            let so_far = match whole.take() {
                Some(whole) => whole.and(run),
                None => run,
            };
            let failed = so_far.result.is_err();
            if let (Some(sampler), Ok(measured)) = (&mut sampler, &so_far.result) {
                wanted = sampler.wants(&measured.samples).is_some();
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
        }
        if self.extras.valgrind.is_some()
            && !plan.again
            && let Ok(measured) = &mut whole.result
        {
            let contestant = Contestant { executable: &self.executable.clone(), case_index: plan.case.index };
            match self.count(&instructions::plan(plan, measured), contestant)? {
                Ok(count) => measured.circumstances.instructions = Some(count),
                Err(failed) => whole = failed,
            }
        }
        Ok(whole)
    }

    /// The instructions of one execution of a case with these samples, by this binary or another one; `None`
    /// where they can't be counted.
    pub(crate) fn instructions(
        &mut self,
        plan: &CasePlan,
        samples: &[Sample],
        contestant: Contestant<'_>,
    ) -> io::Result<Option<u64>> {
        let measured = Measured { samples: samples.to_vec(), ..Measured::default() };
        Ok(self.count(&instructions::plan(plan, &measured), contestant)?.ok())
    }

    /// The instructions of one execution, for which a worker is started under callgrind; that worker's
    /// run where it failed.
    fn count(&mut self, plan: &CasePlan, contestant: Contestant<'_>) -> io::Result<Result<u64, CaseRun>> {
        let callgrind = Callgrind::new()?;
        let round = plan.first_round();
        let command = callgrind.command(contestant.executable);
        let launch = Launch { capture: true, ..self.plain(command, contestant.case_index)? };
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
        channel.release();
        watch.begin();
        let mut conversation = Conversation::new(*plan, round, events, started, watch);
        let ending = match plan.auto() {
            Some(auto) if round.by_turns => conversation.follow_by_turns(&channel, auto, progress),
            _ => conversation.follow(progress),
        };
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
        let files = self.files.left(temporary);
        let (ending, status) = ending?;
        conversation.drain()?;
        Ok(Followed { run: conversation.judge(ending, status, &files, &tree), group })
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

    fn start(&mut self, case: Case, round: Round) -> io::Result<Worker> {
        let group = self.groups.as_mut().and_then(|groups| groups.group().ok());
        if group.is_none() {
            self.groups = None;
        }
        let launch = Launch { group, ..self.plain(Command::new(&self.executable), case.index)? };
        self.start_as(case, round, launch)
    }

    /// A launch without a group or limits.
    fn plain(&mut self, command: Command, case_index: usize) -> io::Result<Launch> {
        Ok(Launch {
            command,
            case_index,
            capture: self.capture,
            group: None,
            temporary: self.files.temporary_directory()?,
            temporary_bytes: None,
            confinement: None,
        })
    }

    fn start_as(&mut self, case: Case, round: Round, launch: Launch) -> io::Result<Worker> {
        let Launch { mut command, case_index, capture, group, temporary, temporary_bytes, confinement } = launch;
        let assignment = Assignment {
            job: case.job.name.to_owned(),
            case: case_index,
            first: round.first,
            warmup: round.warmup,
            samples: round.samples,
            hardware: self.extras.valgrind.is_some(),
            by_turns: round.by_turns,
            confinement,
            supervisor: std::process::id(),
        };
        let (channel, worker_end) = Upper::open()?;
        let output = || if capture { Stdio::piped() } else { Stdio::inherit() };
        command
            .args([WORKER_ARGUMENT, &serde_json::to_string(&assignment)?])
            .envs(TEMPORARY_DIRECTORY.map(|variable| (variable, temporary.path())))
            .stdin(worker_end)
            .stdout(output())
            .stderr(output());
        let started = Started { at: Instant::now(), shared_ns: clock::shared_ns() };
        let mut child = match &group {
            Some(group) => group.spawn(&mut command)?,
            None => command.spawn()?,
        };
        let events = Events::new(channel.messages()?, child.stdout.take(), child.stderr.take())?;
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

/// How a worker's messages came to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// `Done` or `Failed` was the last message.
    Said,
    /// The pipe was closed in the middle.
    Silent,
    /// Nothing came until the deadline.
    Late,
    /// Something came that is no message.
    Garbled,
    /// A message showed that the case has failed, though the worker goes on.
    Refused,
}

/// One worker's side of the story.
#[derive(Debug)]
struct Conversation {
    plan: CasePlan,
    round: Round,
    watch: Watch,
    events: Events,
    receiver: Receiver,
    started: Started,
    startup: Option<Duration>,
    first_execution_ns: Option<u64>,
    /// Executions that have ended.
    ended: u64,
    samples: Vec<Sample>,
    /// Why there are no more, where the worker was told to stop.
    sampling: Option<Sampling>,
    /// The worker is looking at what was left behind.
    waiting: bool,
    left: Leftovers,
    breakdown: Breakdown,
    failure: Option<CaseFailure>,
    done: bool,
    stdout: Capture,
    stderr: Capture,
}

impl Conversation {
    fn new(plan: CasePlan, round: Round, events: Events, started: Started, watch: Watch) -> Self {
        Self {
            plan,
            round,
            watch,
            events,
            receiver: Receiver::default(),
            started,
            startup: None,
            first_execution_ns: None,
            ended: 0,
            samples: Vec::new(),
            sampling: None,
            waiting: false,
            left: Leftovers::default(),
            breakdown: Breakdown::default(),
            failure: None,
            done: false,
            stdout: Capture::default(),
            stderr: Capture::default(),
        }
    }

    fn planned(&self) -> u64 {
        u64::from(self.round.warmup) + u64::from(self.round.samples)
    }

    fn phase(&self) -> Phase {
        match self.startup {
            None => Phase::Startup,
            Some(_) if self.ended < self.planned() => Phase::Execution {
                number: self.round.first + self.ended,
                sample: self.ended.checked_sub(self.round.warmup.into()).map(|sample| self.round.first_sample + sample),
            },
            Some(_) => Phase::Exit,
        }
    }

    /// How long the next message may take.
    fn patience(&self) -> Duration {
        if self.startup.is_none() {
            return self.plan.timeout.max(STARTUP);
        }
        let looks = self.waiting || self.ended == self.planned();
        if looks { self.plan.timeout.max(LOOK) } else { self.plan.timeout }
    }

    /// Follows the messages until there are no more.
    fn follow(&mut self, progress: &mut dyn FnMut(u64)) -> io::Result<Ending> {
        loop {
            if let Some(ending) = self.follow_until(u64::MAX, progress)? {
                return Ok(ending);
            }
        }
    }

    /// Lets the worker take turns until there are enough samples, and follows it to its end.
    fn follow_by_turns(&mut self, channel: &Upper, auto: Auto, progress: &mut dyn FnMut(u64)) -> io::Result<Ending> {
        let warmup = u64::from(self.round.warmup);
        if let Some(ending) = self.follow_until(warmup, progress)? {
            return Ok(ending);
        }
        let mut sampler = Sampler::new(auto);
        while let Some(wanted) = sampler.wants(&self.samples) {
            let turn = u8::try_from(wanted).unwrap_or(u8::MAX);
            channel.allow(turn);
            let until = warmup + self.samples.len() as u64 + u64::from(turn);
            if let Some(ending) = self.follow_until(until, progress)? {
                // After as many as it may take, the worker ends of itself.
                sampler.wants(&self.samples);
                self.sampling = sampler.ended();
                return Ok(ending);
            }
        }
        self.sampling = sampler.ended();
        self.round.samples = u32::try_from(self.samples.len()).unwrap_or(u32::MAX);
        channel.allow(0);
        self.follow(progress)
    }

    /// Follows the messages until so many executions have ended, or there are no more. Each one moves the
    /// deadline.
    fn follow_until(&mut self, executions: u64, progress: &mut dyn FnMut(u64)) -> io::Result<Option<Ending>> {
        let mut deadline = after(Instant::now(), self.patience());
        while self.ended < executions {
            if self.done {
                return Ok(Some(Ending::Said));
            }
            self.watch.look();
            if let Some(reason) = self.watch.exceeded() {
                self.fail(reason);
                return Ok(Some(Ending::Refused));
            }
            match self.events.next(deadline.min(self.watch.next()))? {
                Event::Bytes(Stream::Results, bytes) => {
                    let Ok(messages) = self.receiver.feed(&bytes) else { return Ok(Some(Ending::Garbled)) };
                    for message in messages {
                        self.hear(message);
                    }
                    progress(self.ended);
                    match (&self.failure, self.done) {
                        (Some(_), false) => return Ok(Some(Ending::Refused)),
                        (None, _) if self.ended >= executions => return Ok(None),
                        (_, true) => return Ok(Some(Ending::Said)),
                        (None, false) => {}
                    }
                    deadline = after(Instant::now(), self.patience());
                }
                Event::Closed(Stream::Results) => return Ok(Some(Ending::Silent)),
                event => self.keep(event),
            }
            // Results come first: where there was something else, there were none.
            if Instant::now() >= deadline {
                return Ok(Some(Ending::Late));
            }
        }
        Ok(None)
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Ready { protocol: PROTOCOL, at_ns } => self.startup = Some(self.started.until(at_ns)),
            Message::Ready { protocol, .. } => {
                self.fail(format!("its worker speaks version {protocol} of the protocol, this harness {PROTOCOL}"));
            }
            Message::WarmedUp { wall_ns } => {
                self.watch.take();
                self.end_execution(wall_ns);
            }
            Message::Measured(mut sample) => {
                let seen = self.watch.take();
                sample.peak_threads = sample.peak_threads.max(seen.threads);
                sample.peak_file_descriptors = sample.peak_file_descriptors.max(seen.file_descriptors);
                self.end_execution(sample.wall_ns);
                self.samples.push(sample);
            }
            Message::Waiting => self.waiting = true,
            Message::Breakdown(breakdown) => self.breakdown = *breakdown,
            Message::Failed { reason } => {
                self.fail(reason);
                self.done = true;
            }
            Message::Done(left) => {
                self.left = left;
                self.done = true;
                if self.samples.len() != self.round.samples as usize {
                    self.fail(format!("its worker sent {} samples of {}", self.samples.len(), self.round.samples));
                }
            }
        }
    }

    fn end_execution(&mut self, wall_ns: u64) {
        self.first_execution_ns.get_or_insert(wall_ns);
        // A blocking call returns `Ok` however late it is.
        if u128::from(wall_ns) > self.plan.timeout.as_nanos() {
            let took = humantime::format_duration(Duration::from_nanos(wall_ns));
            self.fail(format!("{TIMED_OUT}: took {took}, more than {}", self.timeout()));
        }
        if let Some(reason) = self.watch.exceeded() {
            self.fail(reason);
        }
        self.ended += 1;
        self.waiting = false;
    }

    fn fail(&mut self, reason: String) {
        let phase = self.phase();
        self.failure.get_or_insert(CaseFailure { phase, reason });
    }

    fn timeout(&self) -> humantime::FormattedDuration {
        humantime::format_duration(self.plan.timeout)
    }

    fn keep(&mut self, event: Event) {
        match event {
            Event::Bytes(Stream::Stdout, bytes) => self.stdout.push(&bytes),
            Event::Bytes(Stream::Stderr, bytes) => self.stderr.push(&bytes),
            _ => {}
        }
    }

    /// How the worker exited of itself; `None` where it has to be killed. Meanwhile keeps taking what
    /// it prints, so that it can't block on a full pipe.
    fn await_exit(&mut self, child: &mut Child, ending: Ending) -> io::Result<Option<ExitStatus>> {
        if matches!(ending, Ending::Late | Ending::Refused | Ending::Garbled) {
            return child.try_wait();
        }
        if ending == Ending::Silent {
            // The pipe closes as the process ends; only a job that closes foreign descriptors lives on.
            return wait_at_most(child, EXIT);
        }
        let deadline = Instant::now() + EXIT;
        let mut closed = false;
        while !closed && Instant::now() < deadline {
            match self.events.next(Instant::now() + PAUSE)? {
                Event::Closed(Stream::Results) => closed = true,
                // A process that the job forked may hold the pipe open for longer than the worker lives.
                Event::TimedOut => closed = child.try_wait()?.is_some(),
                event => self.keep(event),
            }
        }
        wait_at_most(child, deadline.saturating_duration_since(Instant::now()))
    }

    /// Takes what is left in the pipes once all processes have ended.
    fn drain(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_millis(100);
        while !self.events.all_closed() {
            match self.events.next(deadline)? {
                Event::TimedOut => break,
                event => self.keep(event),
            }
        }
        Ok(())
    }

    /// Why a worker ended before it should have.
    fn failure_of(&mut self, ending: Ending, status: Option<ExitStatus>) -> CaseFailure {
        self.note_unsaid(ending, status);
        let early = || CaseFailure { phase: Phase::Exit, reason: "its worker ended before it was done".to_owned() };
        self.failure.take().unwrap_or_else(early)
    }

    fn note_unsaid(&mut self, ending: Ending, status: Option<ExitStatus>) {
        if self.failure.is_none()
            && let Some(reason) = self.unsaid(ending, status)
        {
            self.fail(reason);
        }
    }

    fn judge(mut self, ending: Ending, status: Option<ExitStatus>, files: &[String], tree: &Tree) -> CaseRun {
        self.note_unsaid(ending, status);
        let (stdout, stderr) = (std::mem::take(&mut self.stdout), std::mem::take(&mut self.stderr));
        let result = match self.failure.take() {
            Some(failure) if self.round.cold => {
                let reason = format!("in a fresh process, started to measure the cold start: {}", failure.reason);
                Err(CaseFailure { reason, ..failure })
            }
            Some(failure) => Err(failure),
            None => Ok(self.measured(files, tree)),
        };
        CaseRun { result, stdout, stderr }
    }

    fn measured(self, files: &[String], tree: &Tree) -> Measured {
        let cold_start = self
            .startup
            .zip(self.first_execution_ns)
            .map(|(startup, first_execution_ns)| ColdStart { startup_ns: nanoseconds(startup), first_execution_ns });
        let cold_starts = cold_start.into_iter().collect();
        if self.round.cold {
            let circumstances = Circumstances { cold_starts, ..Circumstances::default() };
            return Measured { circumstances, ..Measured::default() };
        }
        // Where every sample has a process of its own, nothing grows from one to the next.
        let grown = if self.plan.isolation == Isolation::Case { &*self.samples } else { &[] };
        let evidence = Evidence::of(grown, self.planned(), &self.left, files);
        let circumstances = Circumstances {
            cold_starts,
            tree_peak: tree.peak(&self.samples),
            file_descriptors_left_open: self.left.file_descriptors,
            sampling: self.sampling.or_else(|| self.cut_short()),
            // What one of many processes has recorded would stand for all.
            breakdown: if self.plan.isolation == Isolation::Case { self.breakdown } else { Breakdown::default() },
            ..Circumstances::default()
        };
        Measured { samples: self.samples, circumstances, evidence }
    }

    /// For a worker that could not be told to stop.
    fn cut_short(&self) -> Option<Sampling> {
        let auto = self.plan.auto().filter(|_| self.plan.isolation == Isolation::Case)?;
        let wall_ns: Vec<u64> = self.samples.iter().map(|sample| sample.wall_ns).collect();
        Some(auto.cut_short(&wall_ns))
    }

    /// What went wrong that the worker didn't say.
    fn unsaid(&self, ending: Ending, status: Option<ExitStatus>) -> Option<String> {
        match (ending, status) {
            (Ending::Refused, _) => None,
            (Ending::Said, Some(status)) if status.success() => None,
            (Ending::Said, None) => Some(format!("its worker did not exit within {} s", EXIT.as_secs())),
            (Ending::Garbled, _) => Some("its worker sent something that is no message".to_owned()),
            (Ending::Late, None) if self.startup.is_none() => {
                Some("its worker was not ready in time and was killed".to_owned())
            }
            (Ending::Late, None) => Some(format!("{TIMED_OUT}: not finished after {}, killed", self.timeout())),
            (_, Some(status)) => Some(self.describe(status)),
            (Ending::Silent, None) => Some("its worker closed the pipe to the harness".to_owned()),
        }
    }

    fn describe(&self, status: ExitStatus) -> String {
        match (signals::of(status), status.code()) {
            (Some(signal), _) if self.stderr.contains("has overflowed its stack") => {
                format!("stack overflow ({signal})")
            }
            (Some(signal), _) => format!("killed by {signal}"),
            (None, Some(code)) if code == i32::from(UNUSABLE) && self.startup.is_some() => format!(
                "exited with code {code} before it was done, as its worker does when it can't reach the harness any \
                 more: does the job close file descriptors that it has not opened?"
            ),
            (None, Some(code)) => format!("exited with code {code} before it was done"),
            (None, None) => format!("ended with {status}"),
        }
    }
}

impl Started {
    /// How long after the start something happened in the worker; until now where the two have no clock
    /// in common.
    fn until(self, shared_ns: Option<u64>) -> Duration {
        match shared_ns.zip(self.shared_ns) {
            Some((then, started)) => Duration::from_nanos(then.saturating_sub(started)),
            None => self.at.elapsed(),
        }
    }
}

/// A moment; the end of a timeout that no clock can show is as good as never.
fn after(begin: Instant, timeout: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    begin.checked_add(timeout).unwrap_or(begin + NEVER)
}

fn wait_at_most(child: &mut Child, longest: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + longest;
    let mut pause = Duration::from_micros(20);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}
