//! Waits for whatever a worker sends next, on any of its three pipes, until a deadline.

#[cfg(unix)]
mod poll;
#[cfg(not(unix))]
mod threads;

#[cfg(unix)]
pub(crate) use poll::Events;
#[cfg(not(unix))]
pub(crate) use threads::Events;

/// One of a worker's pipes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Messages, see [`wire`](crate::wire).
    Results,
    /// What the job prints.
    Stdout,
    /// What the job prints to standard error.
    Stderr,
}

/// What happened first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Something was sent.
    Bytes(Stream, Vec<u8>),
    /// Nobody can send on this pipe any more.
    Closed(Stream),
    /// Nothing happened until the deadline.
    TimedOut,
}
