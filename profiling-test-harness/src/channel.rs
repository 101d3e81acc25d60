//! The way between a supervisor and its worker, which arrives as the worker's standard input: the one
//! descriptor besides output that can be handed over without inheriting it twice.
//!
//! Messages go up, see [`wire`](crate::wire). Down go bytes: first the release, for which a worker waits
//! once it is ready, so that it can start while the supervisor is busy with the one before it; then, for a
//! worker that executes by turns, how many executions it may go on for, or 0 to end it.

#[cfg(not(unix))]
pub(crate) use one_way::{Lower, Upper};
#[cfg(unix)]
pub(crate) use two_way::{Lower, Upper};

#[cfg(unix)]
mod two_way {
    use std::fs::File;
    use std::io::{self, PipeReader, Read, Write};
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::net::UnixStream;
    use std::process::Stdio;

    /// The supervisor's end.
    #[derive(Debug)]
    pub(crate) struct Upper(UnixStream);

    /// The worker's end.
    #[derive(Debug)]
    pub(crate) struct Lower(UnixStream);

    impl Upper {
        /// Workers may start before they are released.
        pub(crate) const HOLDS: bool = true;

        /// A new channel, and the standard input of the worker at its other end.
        pub(crate) fn open() -> io::Result<(Self, Stdio)> {
            let (upper, lower) = UnixStream::pair()?;
            Ok((Self(upper), OwnedFd::from(lower).into()))
        }

        /// Where the worker's messages arrive.
        pub(crate) fn messages(&self) -> io::Result<PipeReader> {
            Ok(OwnedFd::from(self.0.try_clone()?).into())
        }

        /// Lets the worker begin. One that is gone is noticed by who follows its messages.
        pub(crate) fn release(&self) {
            self.allow(1);
        }

        /// Lets a worker that waits for its turn go on for so many executions.
        pub(crate) fn allow(&self, executions: u8) {
            let _ = (&self.0).write_all(&[executions]);
        }
    }

    impl Lower {
        /// Moves the channel out of the job's way, closed on `exec`, and gives the job an empty
        /// standard input.
        pub(crate) fn take() -> io::Result<Self> {
            let channel = io::stdin().as_fd().try_clone_to_owned()?;
            rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
            Ok(Self(channel.into()))
        }

        /// Waits until the supervisor lets this worker begin; an error where it never will.
        pub(crate) fn await_release(&mut self) -> io::Result<()> {
            self.await_turn().map(|_| ())
        }

        /// Waits for the next turn. Returns how many executions it is for; 0 if there are to be no more.
        pub(crate) fn await_turn(&mut self) -> io::Result<u8> {
            let mut executions = [0];
            self.0.read_exact(&mut executions).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(executions[0])
        }
    }

    impl Write for Lower {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }
}

/// A pipe, where there are no socket pairs: nothing goes down, and a worker begins when it is ready.
#[cfg(not(unix))]
mod one_way {
    use std::cell::RefCell;
    use std::fs::File;
    use std::io::{self, PipeReader, Write};
    use std::os::windows::io::AsHandle;
    use std::process::Stdio;

    /// The supervisor's end.
    #[derive(Debug)]
    pub(crate) struct Upper(RefCell<Option<PipeReader>>);

    /// The worker's end.
    #[derive(Debug)]
    pub(crate) struct Lower(File);

    impl Upper {
        /// A worker that is started begins.
        pub(crate) const HOLDS: bool = false;

        /// A new channel, and the standard input of the worker at its other end.
        pub(crate) fn open() -> io::Result<(Self, Stdio)> {
            let (messages, lower) = io::pipe()?;
            Ok((Self(RefCell::new(Some(messages))), lower.into()))
        }

        /// Where the worker's messages arrive; to be asked for once.
        pub(crate) fn messages(&self) -> io::Result<PipeReader> {
            self.0.take().ok_or_else(|| io::ErrorKind::NotFound.into())
        }

        /// Every worker has begun.
        #[expect(clippy::unused_self, reason = "the same interface on every platform")]
        pub(crate) fn release(&self) {}

        /// There are no turns: every worker goes on.
        #[expect(clippy::unused_self, reason = "the same interface on every platform")]
        pub(crate) fn allow(&self, _executions: u8) {}
    }

    impl Lower {
        /// The channel, from standard input.
        pub(crate) fn take() -> io::Result<Self> {
            Ok(Self(File::from(io::stdin().as_handle().try_clone_to_owned()?)))
        }

        /// Returns at once.
        #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the same interface on every platform")]
        pub(crate) fn await_release(&mut self) -> io::Result<()> {
            Ok(())
        }

        /// Returns at once: there are no turns.
        #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the same interface on every platform")]
        pub(crate) fn await_turn(&mut self) -> io::Result<u8> {
            Ok(u8::MAX)
        }
    }

    impl Write for Lower {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }
}
