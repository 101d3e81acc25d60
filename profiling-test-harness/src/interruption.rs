//! Ends a run that is told to end: by Ctrl-C, SIGTERM, or a terminal that is closed.
//!
//! At the first signal the supervisor goes back the way it came: it ends the worker with all that descends from it,
//! removes what is temporary, and says what is kept. It looks for one wherever it waits for a worker. A second
//! signal ends the process at once, as the first one does when nobody looks any more.

use std::io;

use thiserror::Error;

#[cfg(target_os = "linux")]
pub(crate) use self::linux::Interruption;
#[cfg(not(target_os = "linux"))]
pub(crate) use self::others::Interruption;

/// The run was told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("ended by {name}")]
pub(crate) struct Interrupted {
    name: &'static str,
    number: u8,
}

impl Interrupted {
    /// What shells expect of a process that a signal has ended.
    pub(crate) fn exit_code(self) -> u8 {
        128 + self.number
    }
}

impl From<Interrupted> for io::Error {
    fn from(interrupted: Interrupted) -> Self {
        Self::other(interrupted)
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::io::{self, PipeReader, PipeWriter};
    use std::os::fd::{AsFd, BorrowedFd};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::process::Signal;
    use signal_hook::{flag, low_level::pipe};

    use super::Interrupted;

    const SIGNALS: [(Signal, &str); 3] = [(Signal::INT, "SIGINT"), (Signal::TERM, "SIGTERM"), (Signal::HUP, "SIGHUP")];
    /// What comes this soon after the first signal belongs to it: where a terminal is closed, both the shell and the
    /// kernel send one.
    const ONE: Duration = Duration::from_millis(100);

    /// Hears of signals, from when it is made to when it is dropped.
    #[derive(Debug)]
    pub(crate) struct Interruption {
        /// The first signal; 0 before it.
        first: Arc<AtomicUsize>,
        /// Every further signal ends the process.
        at_once: Arc<AtomicBool>,
        /// Readable once there was a signal.
        told: PipeReader,
        /// Keeps the pipe open where every signal is ignored.
        _tell: PipeWriter,
    }

    impl Interruption {
        /// Signals that this process was started to ignore, as by `nohup`, stay ignored.
        pub(crate) fn listen() -> io::Result<Self> {
            let (first, at_once) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
            let (told, tell) = io::pipe()?;
            let ignored = ignored(&String::from_utf8_lossy(&fs::read("/proc/self/status")?));
            for number in SIGNALS.map(|(signal, _)| signal.as_raw()) {
                if ignored >> (number - 1) & 1 == 1 {
                    continue;
                }
                // What is registered first is done first.
                flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&at_once))?;
                flag::register_usize(number, Arc::clone(&first), number.unsigned_abs() as usize)?;
                pipe::register(number, tell.try_clone()?)?;
            }
            let (armed, told_too) = (Arc::clone(&at_once), told.try_clone()?);
            std::thread::Builder::new().name("profiling-signals".to_owned()).stack_size(64 * 1024).spawn(
                move || {
                    while poll(&mut [PollFd::new(&told_too, PollFlags::IN)], None).is_err() {}
                    std::thread::sleep(ONE);
                    armed.store(true, Ordering::SeqCst);
                },
            )?;
            Ok(Self { first, at_once, told, _tell: tell })
        }

        /// An error once there was a signal.
        pub(crate) fn check(&self) -> Result<(), Interrupted> {
            let first = self.first.load(Ordering::SeqCst);
            match SIGNALS.iter().find(|(signal, _)| signal.as_raw().unsigned_abs() as usize == first) {
                Some(&(_, name)) => Err(Interrupted { name, number: u8::try_from(first).unwrap_or(0) }),
                None => Ok(()),
            }
        }

        /// To be polled together with what else is waited for: readable once there was a signal.
        pub(crate) fn wake(&self) -> BorrowedFd<'_> {
            self.told.as_fd()
        }
    }

    impl Drop for Interruption {
        /// Nobody looks any more.
        fn drop(&mut self) {
            self.at_once.store(true, Ordering::SeqCst);
        }
    }

    /// The signals that a process ignores, one bit each from the lowest on, by its `/proc/<pid>/status`.
    fn ignored(status: &str) -> u64 {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn reads_which_signals_are_ignored() {
            let status = "Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000440\n";
            assert_eq!(ignored(status), 1 | 1 << 12);
            assert_eq!(ignored("Name:\tx\n"), 0);
        }
    }
}

/// Elsewhere a signal ends the process, and the workers end with it.
#[cfg(not(target_os = "linux"))]
mod others {
    use std::io;

    use super::Interrupted;

    #[derive(Debug)]
    pub(crate) struct Interruption;

    impl Interruption {
        #[expect(clippy::unnecessary_wraps, reason = "the same interface on every platform")]
        pub(crate) fn listen() -> io::Result<Self> {
            Ok(Self)
        }

        #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the same interface on every platform")]
        pub(crate) fn check(&self) -> Result<(), Interrupted> {
            Ok(())
        }
    }
}
