//! A reading thread per pipe, where there is no `poll`.

use std::io::{self, PipeReader, Read};
use std::process::{ChildStderr, ChildStdout};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Instant;

use super::{Event, Stream};
use crate::interruption::Interruption;

#[derive(Debug)]
pub(crate) struct Events {
    receiver: Receiver<Event>,
    open: usize,
    interruption: Rc<Interruption>,
}

impl Events {
    pub(crate) fn new(
        results: PipeReader,
        stdout: Option<ChildStdout>,
        stderr: Option<ChildStderr>,
        interruption: Rc<Interruption>,
    ) -> io::Result<Self> {
        let (sender, receiver) = channel();
        let mut open = 1;
        read_on(Stream::Results, results, sender.clone())?;
        if let Some(pipe) = stdout {
            read_on(Stream::Stdout, pipe, sender.clone())?;
            open += 1;
        }
        if let Some(pipe) = stderr {
            read_on(Stream::Stderr, pipe, sender)?;
            open += 1;
        }
        Ok(Self { receiver, open, interruption })
    }

    /// Whether every pipe is closed.
    pub(crate) fn all_closed(&self) -> bool {
        self.open == 0
    }

    /// An error once the run was told to end.
    pub(crate) fn interrupted(&self) -> io::Result<()> {
        Ok(self.interruption.check()?)
    }

    #[expect(clippy::unnecessary_wraps, reason = "the same interface on every platform")]
    pub(crate) fn next(&mut self, deadline: Instant) -> io::Result<Event> {
        let event = self.receiver.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        Ok(match event {
            Ok(Event::Closed(stream)) => {
                self.open -= 1;
                Event::Closed(stream)
            }
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Event::TimedOut,
        })
    }
}

fn read_on(stream: Stream, mut pipe: impl Read + Send + 'static, sender: Sender<Event>) -> io::Result<()> {
    std::thread::Builder::new().spawn(move || {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let event = match pipe.read(&mut buffer) {
                Ok(0) => Event::Closed(stream),
                Ok(length) => Event::Bytes(stream, buffer[..length].to_vec()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => Event::Closed(stream),
            };
            let last = event == Event::Closed(stream);
            if sender.send(event).is_err() || last {
                return;
            }
        }
    })?;
    Ok(())
}
