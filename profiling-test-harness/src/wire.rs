//! What passes from a worker to its supervisor, over a pipe of its own: one message a line, in JSON but for
//! samples, each of which is a [`row`] of figures.

use std::io::{self, Write};
use std::path::PathBuf;

use profiling_core::breakdown::Breakdown;
use profiling_core::measure::leftovers::Leftovers;
use profiling_core::sample::Sample;
use serde::{Deserialize, Serialize};
use thiserror::Error;

mod row;

use crate::attribution::Remnant;
use crate::binary::Identity;
use crate::rehearsal::Confinement;

/// The version of this protocol, which a worker states in its first message.
pub(crate) const PROTOCOL: u32 = 5;

/// The first argument of a worker's command line; the second is its [`Assignment`].
pub(crate) const WORKER_ARGUMENT: &str = "__profiling-worker";

/// The exit code of a worker that could not begin or go on; what it printed says why.
pub(crate) const UNUSABLE: u8 = 102;

/// What such a worker prints before the reason.
pub(crate) const CANNOT_RUN: &str = "profiling: this worker can't run: ";

/// The longest message, in bytes. Texts of the job's are cut by the worker, and what it lists is far from this.
const LONGEST: usize = 8 << 20;

/// What a worker is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Assignment {
    /// The job's name.
    pub job: String,
    /// The case's index.
    pub case: usize,
    /// The number of the first execution.
    pub first: u64,
    /// Executions that come first and don't count.
    pub warmup: u32,
    /// Measured executions.
    pub samples: u32,
    /// Whether to read the CPU's counter of instructions.
    #[serde(default)]
    pub hardware: bool,
    /// Whether to wait, before samples, until it is this worker's turn; `samples` is then the most.
    #[serde(default)]
    pub by_turns: bool,
    /// What it has to do without.
    #[serde(default)]
    pub confinement: Option<Confinement>,
    /// For a witness, the directory that is made for it.
    #[serde(default)]
    pub witness: Option<PathBuf>,
    /// The process to die with.
    pub supervisor: u32,
}

/// One line from worker to supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Message {
    /// The job was found and its runtime started; the first execution comes next.
    Ready {
        /// [`PROTOCOL`] of the worker.
        protocol: u32,
        /// When, by [`clock::shared_ns`](profiling_core::measure::clock::shared_ns).
        at_ns: Option<u64>,
        /// Whether [`Prepared`](Self::Prepared) comes before the first execution.
        #[serde(default)]
        fixture: bool,
        /// Which binary the worker is; `None` where nobody tells.
        binary: Option<Identity>,
    },
    /// The job's fixture was made.
    Prepared,
    /// An execution that doesn't count has ended.
    WarmedUp {
        /// Its wall-clock time.
        wall_ns: u64,
    },
    /// A measured execution has ended. Sent as a [`row`].
    #[serde(skip)]
    Measured(Sample),
    /// What was recorded inside of the measured executions, all of which have ended.
    Breakdown(Box<Breakdown>),
    /// What a witness has found, all of whose executions have ended.
    Witnessed(Vec<Remnant>),
    /// Executions have ended, or one has; the worker looks at what they have left behind.
    Waiting,
    /// The execution under way has failed; nothing follows.
    Failed {
        /// Why.
        reason: String,
    },
    /// All executions have ended well, and this was left behind; nothing follows.
    Done(Leftovers),
}

/// Sends messages through one buffer, so that a worker's memory doesn't grow with its samples.
#[derive(Debug)]
pub(crate) struct Sender<W> {
    pipe: W,
    line: String,
}

impl<W: Write> Sender<W> {
    pub(crate) fn new(pipe: W) -> Self {
        Self { pipe, line: String::with_capacity(4096) }
    }

    /// What the messages go through.
    pub(crate) fn pipe(&mut self) -> &mut W {
        &mut self.pipe
    }

    pub(crate) fn send(&mut self, message: &Message) -> io::Result<()> {
        self.line.clear();
        match message {
            Message::Measured(sample) => row::write(sample, &mut self.line),
            message => self.line.push_str(&serde_json::to_string(message)?),
        }
        self.line.push('\n');
        self.pipe.write_all(self.line.as_bytes())
    }
}

/// Why something is no message.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
pub(crate) enum Garbled {
    #[error("something that is no message")]
    NoMessage,
    #[error("more than {} MiB without the end of a message", LONGEST >> 20)]
    TooLong,
}

/// Puts messages together from the pieces in which a pipe delivers them.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    partial: Vec<u8>,
}

impl Receiver {
    /// The messages that `bytes` complete. Looks for the end of a message in these bytes alone: there was none in
    /// those before.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Message>, Garbled> {
        let (complete, rest) = match bytes.iter().rposition(|&byte| byte == b'\n') {
            Some(end) => bytes.split_at(end + 1),
            None => (&[][..], bytes),
        };
        if self.partial.len() + bytes.len() > LONGEST {
            return Err(Garbled::TooLong);
        }
        let mut messages = Vec::new();
        if !complete.is_empty() {
            self.partial.extend_from_slice(complete);
            let lines = str::from_utf8(&self.partial).map_err(|_| Garbled::NoMessage)?;
            messages = lines.lines().map(Message::of).collect::<Result<_, _>>()?;
            self.partial.clear();
        }
        self.partial.extend_from_slice(rest);
        Ok(messages)
    }
}

impl Message {
    fn of(line: &str) -> Result<Self, Garbled> {
        if line.starts_with(|c: char| c.is_ascii_digit()) {
            return row::read(line).map(Self::Measured);
        }
        serde_json::from_str(line).map_err(|_| Garbled::NoMessage)
    }
}

#[cfg(test)]
mod tests {
    use profiling_core::measure::leftovers::Left;

    use super::*;

    #[test]
    fn a_message_that_does_not_end_is_refused_in_linear_time() {
        let piece = [b'x'; 16];
        let mut receiver = Receiver::default();
        let begin = std::time::Instant::now();
        for _ in 0..LONGEST / piece.len() {
            assert_eq!(receiver.feed(&piece), Ok(Vec::new()));
        }
        // To look through all of it for every piece would take hours.
        assert!(begin.elapsed() < std::time::Duration::from_secs(60));
        assert_eq!(receiver.feed(b"x"), Err(Garbled::TooLong));
        assert_eq!(Garbled::TooLong.to_string(), "more than 8 MiB without the end of a message");
    }

    #[test]
    fn the_longest_message_is_understood() {
        let mut sender = Sender::new(Vec::new());
        let sent = |reason: &str| Message::Failed { reason: reason.to_owned() };
        let around = serde_json::to_string(&sent("")).expect("it is data").len() + 1;
        let longest = sent(&"x".repeat(LONGEST - around));
        sender.send(&longest).expect("a Vec takes everything");
        assert_eq!(sender.pipe.len(), LONGEST);
        let mut receiver = Receiver::default();
        let heard: Vec<Message> =
            sender.pipe.chunks(16 * 1024).flat_map(|piece| receiver.feed(piece).expect("it is valid")).collect();
        assert_eq!(heard, [longest]);
        assert_eq!(receiver.feed(b"no message\n"), Err(Garbled::NoMessage));
    }

    #[test]
    fn messages_survive_any_split() {
        let messages = [
            Message::Ready { protocol: PROTOCOL, at_ns: Some(5), fixture: true, binary: Identity::of_this_process() },
            Message::Prepared,
            Message::WarmedUp { wall_ns: 7 },
            Message::Measured(Sample { wall_ns: 3, retained_heap_bytes: Some(-1), ..Sample::default() }),
            Message::Failed { reason: "returned Err: \"a\nb\"".to_owned() },
            Message::Waiting,
            Message::Done(Leftovers {
                job: Left { listens: vec!["[::1]:80".to_owned()], ..Left::default() },
                ..Leftovers::default()
            }),
        ];
        let mut sender = Sender::new(Vec::new());
        for message in &messages {
            sender.send(message).expect("a Vec takes everything");
        }
        for size in 1..sender.pipe.len() {
            let mut receiver = Receiver::default();
            let pieces = sender.pipe.chunks(size);
            let heard: Vec<Message> =
                pieces.flat_map(|piece| receiver.feed(piece).expect("what was sent is valid")).collect();
            assert_eq!(heard, messages, "in pieces of {size}");
        }
    }
}
