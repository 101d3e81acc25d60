//! Runs one case in a worker process: starts it, follows its messages, ends it at the deadline, and
//! reads from its exit what it could no longer say.

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use profiling_core::breakdown::Breakdown;
use profiling_core::job::Case;
use profiling_core::measure::nanoseconds;
use profiling_core::profile::ColdStart;
use profiling_core::sample::Sample;

use crate::capture::Capture;
use crate::channel::Upper;
use crate::clock;
use crate::descendants;
use crate::events::{Event, Events, Stream};
use crate::signals;
use crate::wire::{Assignment, Message, PROTOCOL, Receiver, WORKER_ARGUMENT};

/// How long a worker may take to get ready, where the job's own timeout is shorter.
const STARTUP: Duration = Duration::from_secs(10);
/// How long a worker may take to exit after its last message.
const EXIT: Duration = Duration::from_secs(5);
/// How long to wait for the pipe of an exiting worker to close before looking at the worker itself.
const PAUSE: Duration = Duration::from_millis(50);

/// How a case is to be run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CasePlan {
    pub case: Case,
    pub warmup: u32,
    pub samples: u32,
    pub timeout: Duration,
}

/// What came of a case.
#[derive(Debug)]
pub(crate) struct CaseRun {
    pub result: Result<Measured, CaseFailure>,
    pub stdout: Capture,
    pub stderr: Capture,
}

/// The figures of a case whose executions all ended well.
#[derive(Debug)]
pub(crate) struct Measured {
    pub samples: Vec<Sample>,
    pub cold_start: Option<ColdStart>,
    pub breakdown: Breakdown,
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
    /// During the execution of this number, from 0, of which so many are warm-ups.
    Execution { number: u64, warmup: u32 },
    /// After the last execution.
    Exit,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Startup => write!(f, "before the first execution"),
            Self::Execution { number, warmup } if number < u64::from(warmup) => {
                write!(f, "in execution {number} (a warm-up)")
            }
            Self::Execution { number, warmup } => {
                write!(f, "in execution {number} (sample {})", number - u64::from(warmup))
            }
            Self::Exit => write!(f, "after the last execution"),
        }
    }
}

/// Starts workers from the main thread, so that they die with this process and not with a thread.
#[derive(Debug)]
pub(crate) struct Supervisor {
    executable: PathBuf,
    capture: bool,
    /// The worker of the case that comes next, which gets ready and waits.
    spare: Option<Worker>,
}

/// A worker that was started and may not have begun.
#[derive(Debug)]
struct Worker {
    case: Case,
    child: Child,
    channel: Upper,
    events: Events,
    started: Started,
}

/// When a worker was started, by its supervisor's clock and by one that the worker can read.
#[derive(Debug, Clone, Copy)]
struct Started {
    at: Instant,
    shared_ns: Option<u64>,
}

impl Supervisor {
    /// `capture`: keep what workers print, rather than let it pass through.
    pub(crate) fn new(capture: bool) -> io::Result<Self> {
        descendants::adopt_orphans()?;
        Ok(Self { executable: std::env::current_exe()?, capture, spare: None })
    }

    /// Runs a case, calling `progress` after every execution with how many have ended. Once it has
    /// ended well, the worker of the case that is to be run `next` is started: it gets ready while this
    /// one exits and the caller deals with its figures.
    pub(crate) fn run(
        &mut self,
        plan: &CasePlan,
        next: Option<&CasePlan>,
        progress: &mut dyn FnMut(u64),
    ) -> io::Result<CaseRun> {
        let Worker { mut child, channel, events, started, .. } = self.worker(plan)?;
        channel.release();
        let mut conversation = Conversation::new(*plan, events, started);
        let ending = conversation.follow(progress);
        if let (Ok(Ending::Said), None, Some(next)) = (&ending, &conversation.failure, next)
            && Upper::HOLDS
        {
            // Where it can't be started, the next call says why.
            self.spare = self.start(next).ok();
        }
        let ending = ending.and_then(|ending| Ok((ending, conversation.await_exit(&mut child, ending)?)));
        // Whatever went wrong here, no process may be left behind.
        let _ = child.kill();
        let _ = child.wait();
        descendants::end_orphans(self.spare.as_ref().map(|spare| spare.child.id()));
        let (ending, status) = ending?;
        conversation.drain()?;
        Ok(conversation.judge(ending, status))
    }

    /// The worker that is waiting for this plan, or a new one.
    fn worker(&mut self, plan: &CasePlan) -> io::Result<Worker> {
        match self.spare.take() {
            Some(spare) if spare.is_for(plan) => Ok(spare),
            spare => {
                spare.into_iter().for_each(Worker::end);
                self.start(plan)
            }
        }
    }

    fn start(&self, plan: &CasePlan) -> io::Result<Worker> {
        let assignment = Assignment {
            job: plan.case.job.name.to_owned(),
            case: plan.case.index,
            warmup: plan.warmup,
            samples: plan.samples,
            supervisor: std::process::id(),
        };
        let (channel, worker_end) = Upper::open()?;
        let output = || if self.capture { Stdio::piped() } else { Stdio::inherit() };
        let started = Started { at: Instant::now(), shared_ns: clock::shared_ns() };
        let mut child = Command::new(&self.executable)
            .args([WORKER_ARGUMENT, &serde_json::to_string(&assignment)?])
            .stdin(worker_end)
            .stdout(output())
            .stderr(output())
            .spawn()?;
        let events = Events::new(channel.messages()?, child.stdout.take(), child.stderr.take())?;
        Ok(Worker { case: plan.case, child, channel, events, started })
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.spare.take().into_iter().for_each(Worker::end);
    }
}

impl Worker {
    fn is_for(&self, plan: &CasePlan) -> bool {
        std::ptr::eq(self.case.job, plan.case.job) && self.case.index == plan.case.index
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
    events: Events,
    receiver: Receiver,
    started: Started,
    startup: Option<Duration>,
    first_execution_ns: Option<u64>,
    /// Executions that have ended.
    ended: u64,
    samples: Vec<Sample>,
    breakdown: Breakdown,
    failure: Option<CaseFailure>,
    done: bool,
    stdout: Capture,
    stderr: Capture,
}

impl Conversation {
    fn new(plan: CasePlan, events: Events, started: Started) -> Self {
        Self {
            plan,
            events,
            receiver: Receiver::default(),
            started,
            startup: None,
            first_execution_ns: None,
            ended: 0,
            samples: Vec::new(),
            breakdown: Breakdown::default(),
            failure: None,
            done: false,
            stdout: Capture::default(),
            stderr: Capture::default(),
        }
    }

    fn phase(&self) -> Phase {
        let planned = u64::from(self.plan.warmup) + u64::from(self.plan.samples);
        match self.startup {
            None => Phase::Startup,
            Some(_) if self.ended < planned => Phase::Execution { number: self.ended, warmup: self.plan.warmup },
            Some(_) => Phase::Exit,
        }
    }

    /// Follows the messages until there are no more. Each one moves the deadline.
    fn follow(&mut self, progress: &mut dyn FnMut(u64)) -> io::Result<Ending> {
        let mut deadline = after(Instant::now(), self.plan.timeout.max(STARTUP));
        loop {
            match self.events.next(deadline)? {
                Event::Bytes(Stream::Results, bytes) => {
                    let Ok(messages) = self.receiver.feed(&bytes) else { return Ok(Ending::Garbled) };
                    for message in messages {
                        self.hear(message);
                    }
                    match (&self.failure, self.done) {
                        (Some(_), false) => return Ok(Ending::Refused),
                        (_, true) => return Ok(Ending::Said),
                        (None, false) => {}
                    }
                    progress(self.ended);
                    deadline = after(Instant::now(), self.plan.timeout);
                }
                Event::Closed(Stream::Results) => return Ok(Ending::Silent),
                Event::TimedOut => return Ok(Ending::Late),
                event => self.keep(event),
            }
        }
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Ready { protocol: PROTOCOL, at_ns } => self.startup = Some(self.started.until(at_ns)),
            Message::Ready { protocol, .. } => {
                self.fail(format!("its worker speaks version {protocol} of the protocol, this harness {PROTOCOL}"));
            }
            Message::WarmedUp { wall_ns } => self.end_execution(wall_ns),
            Message::Measured(sample) => {
                self.end_execution(sample.wall_ns);
                self.samples.push(sample);
            }
            Message::Breakdown(breakdown) => self.breakdown = *breakdown,
            Message::Failed { reason } => {
                self.fail(reason);
                self.done = true;
            }
            Message::Done => {
                self.done = true;
                if self.samples.len() != self.plan.samples as usize {
                    self.fail(format!("its worker sent {} samples of {}", self.samples.len(), self.plan.samples));
                }
            }
        }
    }

    fn end_execution(&mut self, wall_ns: u64) {
        self.first_execution_ns.get_or_insert(wall_ns);
        // A blocking call returns `Ok` however late it is.
        if u128::from(wall_ns) > self.plan.timeout.as_nanos() {
            let took = humantime::format_duration(Duration::from_nanos(wall_ns));
            self.fail(format!("timed out: took {took}, more than {}", self.timeout()));
        }
        self.ended += 1;
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

    fn judge(mut self, ending: Ending, status: Option<ExitStatus>) -> CaseRun {
        if self.failure.is_none()
            && let Some(reason) = self.unsaid(ending, status)
        {
            self.fail(reason);
        }
        let result = match self.failure {
            Some(failure) => Err(failure),
            None => Ok(Measured {
                cold_start: self.startup.zip(self.first_execution_ns).map(|(startup, first_execution_ns)| ColdStart {
                    startup_ns: nanoseconds(startup),
                    first_execution_ns,
                }),
                samples: self.samples,
                breakdown: self.breakdown,
            }),
        };
        CaseRun { result, stdout: self.stdout, stderr: self.stderr }
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
            (Ending::Late, None) => Some(format!("timed out: not finished after {}, killed", self.timeout())),
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
