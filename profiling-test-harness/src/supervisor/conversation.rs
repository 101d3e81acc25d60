//! Follows the messages of one worker, keeps its deadlines, and reads from its exit what it could no longer say.

use std::io;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use profiling_core::breakdown::Breakdown;
use profiling_core::evidence::Evidence;
use profiling_core::job::Isolation;
use profiling_core::measure::leftovers::Leftovers;
use profiling_core::measure::nanoseconds;
use profiling_core::profile::{Circumstances, ColdStart};
use profiling_core::samples::CaseSamples;
use profiling_core::sampling::{Auto, Sampling};

use crate::attribution::Remnant;
use crate::binary::{Identity, Program};
use crate::capture::Capture;
use crate::channel::Upper;
use crate::events::{Event, Events, Stream};
use crate::outcome::{CaseFailure, CaseRun, Measured, Phase};
use crate::plan::{CasePlan, Round};
use crate::sampler::Sampler;
use crate::signals;
use crate::watch::{Tree, Watch};
use crate::wire::{CANNOT_RUN, Garbled, Message, PROTOCOL, Receiver, UNUSABLE};

/// How long a worker may take to get ready, where the job's own timeout is shorter.
const STARTUP: Duration = Duration::from_secs(10);
/// How long a worker may take to exit after its last message.
const EXIT: Duration = Duration::from_secs(5);
/// How long a worker may take to look at what its executions have left behind, where the job's own
/// timeout is shorter.
const LOOK: Duration = Duration::from_secs(10);
/// How long after the deadline the rest of a message is still taken that was under way.
const REST: Duration = Duration::from_secs(1);
/// How long to wait for the pipe of an exiting worker to close before looking at the worker itself.
const PAUSE: Duration = Duration::from_millis(50);

/// What the failure of an execution that took too long begins with.
pub(super) const TIMED_OUT: &str = "timed out";

/// When a worker was started, by its supervisor's clock and by one that the worker can read, and what it is to run.
#[derive(Debug, Clone)]
pub(super) struct Started {
    pub at: Instant,
    pub shared_ns: Option<u64>,
    pub program: Program,
}

/// How a worker's messages came to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// `Done` or `Failed` was the last message.
    Said,
    /// The pipe was closed in the middle.
    Silent,
    /// Nothing came until the deadline.
    Late,
    /// Something came that is no message.
    Garbled(Garbled),
    /// A message showed that the case has failed, though the worker goes on.
    Refused,
}

/// One worker's side of the story.
#[derive(Debug)]
pub(super) struct Conversation {
    plan: CasePlan,
    round: Round,
    pub watch: Watch,
    events: Events,
    receiver: Receiver,
    started: Started,
    startup: Option<Duration>,
    /// The worker is ready, and makes the job's fixture.
    preparing: bool,
    first_execution_ns: Option<u64>,
    /// Executions that have ended.
    ended: u64,
    pub samples: CaseSamples,
    /// Why there are no more, where the worker was told to stop.
    sampling: Option<Sampling>,
    /// The worker is looking at what was left behind.
    waiting: bool,
    pub left: Leftovers,
    /// What a witness has found.
    pub(super) witnessed: Option<Vec<Remnant>>,
    breakdown: Breakdown,
    pub failure: Option<CaseFailure>,
    done: bool,
    stdout: Capture,
    stderr: Capture,
}

impl Conversation {
    /// `directory`: for samples that are too many for memory.
    pub(super) fn new(
        plan: CasePlan,
        round: Round,
        events: Events,
        started: Started,
        watch: Watch,
        directory: &Path,
    ) -> Self {
        Self {
            plan,
            round,
            watch,
            events,
            receiver: Receiver::default(),
            started,
            startup: None,
            preparing: false,
            first_execution_ns: None,
            ended: 0,
            samples: CaseSamples::spilling_to(directory),
            sampling: None,
            waiting: false,
            left: Leftovers::default(),
            witnessed: None,
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
            Some(_) if self.preparing => Phase::Fixture,
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
    pub(super) fn follow(&mut self, progress: &mut dyn FnMut(u64)) -> io::Result<Ending> {
        loop {
            if let Some(ending) = self.follow_until(u64::MAX, progress)? {
                return Ok(ending);
            }
        }
    }

    /// Follows the messages until there are no more; `None` where they go on at the deadline.
    pub(super) fn follow_for(&mut self, deadline: Instant) -> io::Result<Option<Ending>> {
        while Instant::now() < deadline {
            match self.follow_until(self.ended + 1, &mut |_| ())? {
                Some(Ending::Late) => break,
                Some(ending) => return Ok(Some(ending)),
                None => {}
            }
        }
        Ok(None)
    }

    /// Lets the worker take turns until there are enough samples, and follows it to its end.
    pub(super) fn follow_by_turns(
        &mut self,
        channel: &Upper,
        auto: Auto,
        progress: &mut dyn FnMut(u64),
    ) -> io::Result<Ending> {
        let warmup = u64::from(self.round.warmup);
        if let Some(ending) = self.follow_until(warmup, progress)? {
            return Ok(ending);
        }
        let mut sampler = Sampler::new(auto);
        while let Some(wanted) = sampler.wants(&self.samples)? {
            let turn = u8::try_from(wanted).unwrap_or(u8::MAX);
            channel.allow(turn);
            let until = warmup + self.samples.len() as u64 + u64::from(turn);
            if let Some(ending) = self.follow_until(until, progress)? {
                // After as many as it may take, the worker ends of itself.
                sampler.wants(&self.samples)?;
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
    pub(super) fn follow_until(
        &mut self,
        executions: u64,
        progress: &mut dyn FnMut(u64),
    ) -> io::Result<Option<Ending>> {
        let mut deadline = after(Instant::now(), self.patience());
        while !self.has_ended(executions) {
            if self.done {
                return Ok(Some(Ending::Said));
            }
            self.watch.look();
            if let Some(reason) = self.watch.exceeded() {
                self.fail(reason);
                return Ok(Some(Ending::Refused));
            }
            match self.events.next(deadline.min(self.watch.next()))? {
                Event::Bytes(Stream::Results, bytes) => match self.receiver.feed(&bytes) {
                    Err(garbled) => return Ok(Some(Ending::Garbled(garbled))),
                    // A part of a message moves no deadline.
                    Ok(messages) if messages.is_empty() => {
                        if Instant::now() < after(deadline, REST) {
                            continue;
                        }
                    }
                    Ok(messages) => {
                        for message in messages {
                            self.hear(message);
                        }
                        progress(self.ended);
                        match (&self.failure, self.done) {
                            (Some(_), false) => return Ok(Some(Ending::Refused)),
                            (None, _) if self.has_ended(executions) => return Ok(None),
                            (_, true) => return Ok(Some(Ending::Said)),
                            (None, false) => deadline = after(Instant::now(), self.patience()),
                        }
                    }
                },
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

    /// Whether so many executions have ended; none has before the worker is ready for the first.
    fn has_ended(&self, executions: u64) -> bool {
        self.ended >= executions && self.startup.is_some() && !self.preparing
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Ready { protocol: PROTOCOL, at_ns, fixture, binary } => {
                self.begin(at_ns, binary);
                self.preparing = fixture;
            }
            Message::Prepared => self.preparing = false,
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
                if let Err(error) = self.samples.push(sample) {
                    self.fail(format!(
                        "the harness can't keep its samples: {error}. Free some space, or name another directory for \
                         temporary files with TMPDIR"
                    ));
                }
            }
            Message::Witnessed(remnants) => self.witnessed = Some(remnants),
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

    /// The worker is ready, if it is the right one.
    fn begin(&mut self, at_ns: Option<u64>, binary: Option<Identity>) {
        if let Some(reason) = self.started.program.refuses(binary) {
            self.failure.get_or_insert(CaseFailure { phase: Phase::Replaced, reason });
        }
        self.startup = Some(self.started.until(at_ns));
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
    pub(super) fn await_exit(&mut self, child: &mut Child, ending: Ending) -> io::Result<Option<ExitStatus>> {
        if matches!(ending, Ending::Late | Ending::Refused | Ending::Garbled(_)) {
            return child.try_wait();
        }
        if ending == Ending::Silent {
            // The pipe closes as the process ends; only a job that closes foreign descriptors lives on.
            return self.wait_at_most(child, EXIT);
        }
        // What a fixture made may take its time to go.
        let patience = if self.plan.case.job.around.fixture { EXIT.max(self.plan.timeout) } else { EXIT };
        let deadline = after(Instant::now(), patience);
        let mut closed = false;
        while !closed && Instant::now() < deadline {
            match self.events.next(Instant::now() + PAUSE)? {
                Event::Closed(Stream::Results) => closed = true,
                // A process that the job forked may hold the pipe open for longer than the worker lives.
                Event::TimedOut => closed = child.try_wait()?.is_some(),
                event => self.keep(event),
            }
        }
        self.wait_at_most(child, deadline.saturating_duration_since(Instant::now()))
    }

    fn wait_at_most(&self, child: &mut Child, longest: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + longest;
        let mut pause = Duration::from_micros(20);
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            self.events.interrupted()?;
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(5));
        }
    }

    /// Takes what is left in the pipes once all processes have ended.
    pub(super) fn drain(&mut self) -> io::Result<()> {
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
    pub(super) fn failure_of(&mut self, ending: Ending, status: Option<ExitStatus>) -> CaseFailure {
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

    pub(super) fn judge(mut self, ending: Ending, status: Option<ExitStatus>, tree: &Tree) -> CaseRun {
        self.note_unsaid(ending, status);
        let (stdout, stderr) = (std::mem::take(&mut self.stdout), std::mem::take(&mut self.stderr));
        let result = match self.failure.take() {
            Some(failure) if self.round.cold => {
                let reason = format!("in a fresh process, started to measure the cold start: {}", failure.reason);
                Err(CaseFailure { reason, ..failure })
            }
            Some(failure) => Err(failure),
            None => self.measured(tree).map_err(|error| {
                let reason = format!("the harness can't read its samples: {error}");
                CaseFailure { phase: Phase::Exit, reason }
            }),
        };
        CaseRun { result, stdout, stderr }
    }

    fn measured(mut self, tree: &Tree) -> io::Result<Measured> {
        self.samples.complete();
        let cold_start = self
            .startup
            .zip(self.first_execution_ns)
            .map(|(startup, first_execution_ns)| ColdStart { startup_ns: nanoseconds(startup), first_execution_ns });
        let cold_starts = cold_start.into_iter().collect();
        if self.round.cold {
            let circumstances = Circumstances { cold_starts, ..Circumstances::default() };
            return Ok(Measured { circumstances, ..Measured::default() });
        }
        // Where every sample has a process of its own, nothing grows from one to the next.
        let none = CaseSamples::default();
        let grown = if self.plan.isolation == Isolation::Case { &self.samples } else { &none };
        let evidence = Evidence::of(grown, self.planned(), &self.left)?;
        let circumstances = Circumstances {
            cold_starts,
            evidence,
            tree_peak: tree.peak(&self.samples)?,
            file_descriptors_left_open: self.left.file_descriptors,
            sampling: self.sampling.map_or_else(|| self.cut_short(), |sampling| Ok(Some(sampling)))?,
            // What one of many processes has recorded would stand for all.
            breakdown: if self.plan.isolation == Isolation::Case { self.breakdown } else { Breakdown::default() },
            ..Circumstances::default()
        };
        Ok(Measured { samples: self.samples, whole: Duration::ZERO, circumstances })
    }

    /// For a worker that could not be told to stop.
    fn cut_short(&self) -> io::Result<Option<Sampling>> {
        let auto = self.plan.auto().filter(|_| self.plan.isolation == Isolation::Case);
        auto.map(|auto| auto.cut_short(&self.samples)).transpose()
    }

    /// What went wrong that the worker didn't say.
    fn unsaid(&self, ending: Ending, status: Option<ExitStatus>) -> Option<String> {
        match (ending, status) {
            (Ending::Refused, _) => None,
            (Ending::Said, Some(status)) if status.success() => None,
            (Ending::Said, None) => Some("its worker did not exit in time and was killed".to_owned()),
            (Ending::Garbled(garbled), _) => Some(format!("its worker sent {garbled}")),
            (Ending::Late, None) if self.startup.is_none() => {
                Some("its worker was not ready in time and was killed".to_owned())
            }
            (Ending::Late, None) => Some(format!("{TIMED_OUT}: not finished after {}, killed", self.timeout())),
            (_, Some(status)) => Some(self.describe(status)),
            (Ending::Silent, None) => Some("its worker closed the pipe to the harness".to_owned()),
        }
    }

    /// What a worker has printed that can't begin.
    fn cannot_run(&self, code: i32) -> String {
        let printed = self.stderr.text();
        let reason = printed.lines().rev().find_map(|line| line.strip_prefix(CANNOT_RUN));
        reason.map_or_else(
            || format!("exited with code {code}, as its worker does when it can't begin: what it printed says why"),
            |reason| format!("its worker can't run: {reason}"),
        )
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
            (None, Some(code)) if code == i32::from(UNUSABLE) && self.startup.is_none() => self.cannot_run(code),
            (None, Some(code)) => format!("exited with code {code} before it was done"),
            (None, None) => format!("ended with {status}"),
        }
    }
}

impl Started {
    /// How long after the start something happened in the worker; until now where the two have no clock
    /// in common.
    fn until(&self, shared_ns: Option<u64>) -> Duration {
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
