//! The child process: executes one case and reports every execution to its supervisor.

use std::ffi::OsString;
use std::fmt::Display;
use std::io;
use std::mem::ManuallyDrop;
use std::process::ExitCode;

use profiling_core::job::{Case, JobDescriptor};
use profiling_core::measure::{Meter, clock};
use profiling_core::registry;
use profiling_core::runner::CaseRunner;
use thiserror::Error;

use crate::attribution::{Testifying, Testimony};
use crate::binary::Identity;
use crate::channel::Lower;
use crate::descendants;
use crate::excerpt::excerpt;
use crate::rehearsal;
use crate::wire::{Assignment, CANNOT_RUN, Message, PROTOCOL, Sender, UNUSABLE, WORKER_ARGUMENT};

/// What this process is to do, if it was started as a worker: which the first argument alone tells.
pub(crate) fn assignment() -> Option<Result<Assignment, Unusable>> {
    let mut arguments = std::env::args_os().skip(1);
    (arguments.next()? == WORKER_ARGUMENT).then(|| parse(arguments.next()))
}

/// Why an assignment is none.
#[derive(Debug, Error)]
pub(crate) enum Unusable {
    #[error("`{WORKER_ARGUMENT}` is for the harness's own use, and its assignment is missing")]
    Missing,
    #[error("its assignment `{text}` can't be read: {reason}. Was it started by a harness of another version?")]
    Unreadable { text: String, reason: serde_json::Error },
}

fn parse(argument: Option<OsString>) -> Result<Assignment, Unusable> {
    let argument = argument.ok_or(Unusable::Missing)?;
    let text = argument.to_string_lossy();
    serde_json::from_str(&text).map_err(|reason| Unusable::Unreadable { text: excerpt(text.into_owned()), reason })
}

/// Says why this worker does nothing.
pub(crate) fn refuse(reason: &impl Display) -> ExitCode {
    complain!("{CANNOT_RUN}{reason}");
    ExitCode::from(UNUSABLE)
}

/// Does it.
pub(crate) fn run(assignment: &Assignment) -> ExitCode {
    match prepare(assignment).and_then(|(channel, case, witness)| execute(assignment, case, channel, witness)) {
        Ok(()) => ExitCode::SUCCESS,
        // The supervisor is gone, and so is everyone who could want the results.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(error) => refuse(&error),
    }
}

fn prepare(assignment: &Assignment) -> io::Result<(Lower, Case, Option<Testifying>)> {
    let channel = Lower::take()?;
    platform::die_with(assignment.supervisor)?;
    descendants::adopt_orphans()?;
    assignment.confinement.as_ref().map_or(Ok(()), rehearsal::confine)?;
    let witness = assignment.witness.as_deref().map(Testifying::prepare).transpose()?;
    let job = find(&assignment.job).ok_or_else(|| io::Error::other(format!("no job `{}`", assignment.job)))?;
    let case = job.cases().nth(assignment.case);
    let case = case.ok_or_else(|| io::Error::other(format!("`{}` has no case {}", job.name, assignment.case)))?;
    Ok((channel, case, witness))
}

fn find(name: &str) -> Option<&'static JobDescriptor> {
    registry::registered().find(|job| job.name == name)
}

fn execute(assignment: &Assignment, case: Case, channel: Lower, witness: Option<Testifying>) -> io::Result<()> {
    // Neither is dropped: the process ends with them, so that nobody has to wait for the runtime's threads
    // one by one, and a job that has closed our descriptors does not end it before it has said so.
    let mut sender = ManuallyDrop::new(Sender::new(channel));
    #[cfg(feature = "tracing")]
    profiling_core::tracing::install();
    let meter = if assignment.hardware { Meter::with_instructions() } else { Meter::new() };
    let mut runner = ManuallyDrop::new(CaseRunner::with_meter(case, assignment.first, meter)?);
    let binary = Identity::of_this_process();
    runner.look_around();
    let witness = witness.map(|witness| witness.meet(case.job, &runner));
    let (protocol, at_ns, fixture) = (PROTOCOL, clock::shared_ns(), case.job.around.fixture);
    sender.send(&Message::Ready { protocol, at_ns, fixture, binary })?;
    sender.pipe().await_release()?;
    if case.job.around.fixture {
        match runner.prepare() {
            Ok(()) => sender.send(&Message::Prepared)?,
            Err(failure) => return sender.send(&Message::Failed { reason: excerpt(failure.0) }),
        }
    }
    let witness = witness.map(|witness| witness.begin(&mut runner));
    let executed = execute_all(assignment, &mut runner, &mut sender, witness);
    if case.job.around.fixture {
        runner.release();
    }
    executed
}

/// Executes a case as often as it was assigned, and tells of every execution.
fn execute_all(
    assignment: &Assignment,
    runner: &mut CaseRunner,
    sender: &mut Sender<Lower>,
    witness: Option<Testimony>,
) -> io::Result<()> {
    let own = std::process::id();
    let mut turn = if assignment.by_turns { 0 } else { u64::MAX };
    for number in 0..u64::from(assignment.warmup) + u64::from(assignment.samples) {
        if number == u64::from(assignment.warmup) {
            runner.forget();
        }
        if number >= u64::from(assignment.warmup) {
            if turn == 0 {
                turn = sender.pipe().await_turn()?.into();
            }
            let Some(rest) = turn.checked_sub(1) else { break };
            turn = rest;
        }
        let mut unsent = Ok(());
        witness.iter().for_each(Testimony::before);
        let ended = runner.execute_noting(&mut || unsent = sender.send(&Message::Waiting));
        witness.iter().for_each(Testimony::after);
        unsent?;
        if std::process::id() != own {
            // The job forked, and this is the child: it must not speak for its parent.
            std::process::exit(0);
        }
        let message = match ended {
            Ok(sample) if number < u64::from(assignment.warmup) => Message::WarmedUp { wall_ns: sample.wall_ns },
            Ok(sample) => Message::Measured(sample),
            Err(failure) => return sender.send(&Message::Failed { reason: excerpt(failure.0) }),
        };
        sender.send(&message)?;
    }
    let breakdown = runner.breakdown();
    if !breakdown.is_empty() {
        sender.send(&Message::Breakdown(Box::new(breakdown)))?;
    }
    sender.send(&Message::Waiting)?;
    if let Some(witness) = witness {
        sender.send(&Message::Witnessed(witness.end()))?;
    }
    sender.send(&Message::Done(runner.left()))
}

#[cfg(unix)]
mod platform {
    use std::io;

    /// Ends this process when its supervisor ends, however that comes to pass, and leaves no core
    /// file of a job that crashes.
    pub(super) fn die_with(supervisor: u32) -> io::Result<()> {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        setrlimit(Resource::Core, none)?;
        watch_supervisor()?;
        // It may have ended before it was watched.
        if std::os::unix::process::parent_id() != supervisor {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe));
        }
        Ok(())
    }

    #[cfg(target_os = "linux")]
    fn watch_supervisor() -> io::Result<()> {
        use rustix::process::{Signal, set_parent_process_death_signal};
        Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
    }

    /// Elsewhere a thread notices that the supervisor is no longer the parent.
    #[cfg(not(target_os = "linux"))]
    fn watch_supervisor() -> io::Result<()> {
        use std::time::Duration;
        let parent = std::os::unix::process::parent_id();
        std::thread::Builder::new().name("profiling-watch".to_owned()).stack_size(64 * 1024).spawn(move || {
            while std::os::unix::process::parent_id() == parent {
                std::thread::sleep(Duration::from_millis(500));
            }
            std::process::exit(1);
        })?;
        Ok(())
    }
}

#[cfg(not(unix))]
mod platform {
    use std::io;

    /// A worker that outlives its supervisor ends at its next message, when the pipe is broken.
    #[expect(clippy::unnecessary_wraps, reason = "the same interface on every platform")]
    pub(super) fn die_with(_supervisor: u32) -> io::Result<()> {
        Ok(())
    }
}
