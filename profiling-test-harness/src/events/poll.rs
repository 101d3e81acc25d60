//! One thread, `poll(2)`.

use std::io::{self, PipeReader, Read};
use std::os::fd::OwnedFd;
use std::process::{ChildStderr, ChildStdout};
use std::rc::Rc;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Event, Stream};
use crate::interruption::Interruption;

#[derive(Debug)]
pub(crate) struct Events {
    pipes: Vec<(Stream, PipeReader)>,
    interruption: Rc<Interruption>,
}

impl Events {
    pub(crate) fn new(
        results: PipeReader,
        stdout: Option<ChildStdout>,
        stderr: Option<ChildStderr>,
        interruption: Rc<Interruption>,
    ) -> io::Result<Self> {
        let mut pipes = vec![(Stream::Results, results)];
        pipes.extend(stdout.map(|pipe| (Stream::Stdout, PipeReader::from(OwnedFd::from(pipe)))));
        pipes.extend(stderr.map(|pipe| (Stream::Stderr, PipeReader::from(OwnedFd::from(pipe)))));
        for (_, pipe) in &pipes {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        Ok(Self { pipes, interruption })
    }

    /// Whether every pipe is closed.
    pub(crate) fn all_closed(&self) -> bool {
        self.pipes.is_empty()
    }

    /// An error once the run was told to end.
    pub(crate) fn interrupted(&self) -> io::Result<()> {
        Ok(self.interruption.check()?)
    }

    pub(crate) fn next(&mut self, deadline: Instant) -> io::Result<Event> {
        loop {
            let Some(ready) = self.ready_pipe(deadline)? else { return Ok(Event::TimedOut) };
            let (stream, pipe) = &mut self.pipes[ready];
            let stream = *stream;
            let mut buffer = [0; 16 * 1024];
            match pipe.read(&mut buffer) {
                Ok(0) => return Ok(self.close(ready)),
                // A worker that ended before it took the byte that releases it.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(self.close(ready)),
                Ok(length) => return Ok(Event::Bytes(stream, buffer[..length].to_vec())),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn close(&mut self, index: usize) -> Event {
        Event::Closed(self.pipes.swap_remove(index).0)
    }

    /// The index of a pipe that has something to read; results first, so that no flood of output
    /// holds them up.
    fn ready_pipe(&self, deadline: Instant) -> io::Result<Option<usize>> {
        let mut fds: Vec<PollFd<'_>> = self.pipes.iter().map(|(_, pipe)| PollFd::new(pipe, PollFlags::IN)).collect();
        #[cfg(target_os = "linux")]
        fds.push(PollFd::from_borrowed_fd(self.interruption.wake(), PollFlags::IN));
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 3600, tv_nsec: 0 });
        let polled = poll(&mut fds, Some(&timeout));
        self.interrupted()?;
        match polled {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return self.ready_pipe(deadline),
            Err(error) => return Err(error.into()),
        }
        let mut ready = (0..self.pipes.len()).filter(|&index| !fds[index].revents().is_empty());
        let first = ready.next();
        Ok(first.into_iter().chain(ready).min_by_key(|&index| self.pipes[index].0 != Stream::Results))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_worker_that_ends_before_it_is_released_has_closed_its_channel() {
        let (mut upper, lower) = UnixStream::pair().expect("sockets can be made");
        upper.write_all(&[1]).expect("it has room");
        drop(lower);
        let interruption = Rc::new(Interruption::listen().expect("there are signals"));
        let mut events = Events::new(OwnedFd::from(upper).into(), None, None, interruption).expect("it is open");
        let event = events.next(Instant::now() + Duration::from_secs(10)).expect("no error of ours");
        assert_eq!(event, Event::Closed(Stream::Results));
        assert!(events.all_closed());
    }
}
