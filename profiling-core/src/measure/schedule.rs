//! How long the thread that measures was ready to run and had to wait for a CPU, from
//! `/proc/thread-self/schedstat` (Linux's Documentation/scheduler/sched-stats.rst); Linux only.

/// Reads the run-queue delay of the thread that reads it.
#[derive(Debug, Default)]
pub struct QueueDelay(os::Source);

impl QueueDelay {
    /// Opens the kernel's file of the calling thread, which is the one to read it.
    #[must_use]
    pub fn new() -> Self {
        Self(os::Source::new())
    }

    /// The nanoseconds so far; `None` where the platform doesn't tell.
    #[must_use]
    pub fn read(&self) -> Option<u64> {
        self.0.read()
    }
}

#[cfg(target_os = "linux")]
mod os {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use crate::measure::procfs;

    #[derive(Debug, Default)]
    pub(super) struct Source(Option<File>);

    impl Source {
        pub(super) fn new() -> Self {
            Self(File::open("/proc/thread-self/schedstat").ok())
        }

        pub(super) fn read(&self) -> Option<u64> {
            let mut buffer = [0; 128];
            let length = self.0.as_ref()?.read_at(&mut buffer, 0).ok()?;
            parse(&buffer[..length])
        }
    }

    /// Time on a CPU, time spent waiting for one, and how often it was given one.
    fn parse(text: &[u8]) -> Option<u64> {
        let (_on_cpu, rest) = procfs::number(text)?;
        procfs::number(rest).map(|(waiting, _)| waiting)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn parses_what_the_kernel_prints() {
            assert_eq!(parse(b"2152981 4711 17\n"), Some(4711));
            assert_eq!(parse(b""), None);
        }

        #[test]
        fn the_delay_never_falls() {
            let source = Source::new();
            let before = source.read().expect("Linux tells");
            std::thread::yield_now();
            assert!(source.read().expect("Linux tells") >= before);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod os {
    #[derive(Debug, Default)]
    pub(super) struct Source;

    impl Source {
        pub(super) fn new() -> Self {
            Self
        }

        #[expect(clippy::unused_self, reason = "the same interface on every platform")]
        pub(super) fn read(&self) -> Option<u64> {
            None
        }
    }
}
