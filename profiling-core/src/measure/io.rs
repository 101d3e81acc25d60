//! Bytes read and written, from `/proc/self/io` (proc(5)); Linux only.

/// Reads the process's I/O counters.
#[derive(Debug, Default)]
pub struct IoCounters(os::Source);

/// The process's I/O so far, or between two readings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IoFigures {
    /// Bytes read through system calls (`rchar`).
    pub read_bytes: u64,
    /// Bytes written through system calls (`wchar`).
    pub written_bytes: u64,
    /// Bytes fetched from a block device (`read_bytes`).
    pub device_read_bytes: u64,
    /// Bytes on their way to a block device (`write_bytes`).
    pub device_written_bytes: u64,
}

impl IoCounters {
    /// Opens the kernel's file where there is one.
    #[must_use]
    pub fn new() -> Self {
        Self(os::Source::new())
    }

    /// The counters so far, without this reading itself; `None` where the platform has none.
    #[must_use]
    pub fn read(&self) -> Option<IoFigures> {
        self.0.read().map(|(figures, _)| figures)
    }

    /// The counters so far, this reading included: the base that a later [`read`](Self::read) is
    /// compared with.
    #[must_use]
    pub fn read_before(&self) -> Option<IoFigures> {
        let (mut figures, own) = self.0.read()?;
        figures.read_bytes += own;
        Some(figures)
    }
}

impl IoFigures {
    /// What was read and written since an earlier reading.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            read_bytes: self.read_bytes.saturating_sub(earlier.read_bytes),
            written_bytes: self.written_bytes.saturating_sub(earlier.written_bytes),
            device_read_bytes: self.device_read_bytes.saturating_sub(earlier.device_read_bytes),
            device_written_bytes: self.device_written_bytes.saturating_sub(earlier.device_written_bytes),
        }
    }
}

#[cfg(target_os = "linux")]
mod os {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::IoFigures;
    use crate::measure::procfs;

    #[derive(Debug, Default)]
    pub(super) struct Source(Option<File>);

    impl Source {
        pub(super) fn new() -> Self {
            Self(File::open("/proc/self/io").ok())
        }

        /// The counters, and how many bytes reading them took.
        pub(super) fn read(&self) -> Option<(IoFigures, u64)> {
            let mut buffer = [0; 1024];
            let length = self.0.as_ref()?.read_at(&mut buffer, 0).ok()?;
            Some((parse(&buffer[..length])?, length as u64))
        }
    }

    fn parse(text: &[u8]) -> Option<IoFigures> {
        let field = |name: &str| procfs::number(procfs::after(text, name)?).map(|(bytes, _)| bytes);
        Some(IoFigures {
            read_bytes: field("rchar:")?,
            written_bytes: field("wchar:")?,
            device_read_bytes: field("\nread_bytes:")?,
            device_written_bytes: field("\nwrite_bytes:")?,
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn parses_what_the_kernel_prints() {
            let text = b"rchar: 10\nwchar: 20\nsyscr: 1\nsyscw: 2\nread_bytes: 4096\nwrite_bytes: 8192\n\
                        cancelled_write_bytes: 3\n";
            let figures = parse(text).expect("all four fields");
            assert_eq!((figures.read_bytes, figures.written_bytes), (10, 20));
            assert_eq!((figures.device_read_bytes, figures.device_written_bytes), (4096, 8192));
            assert_eq!(parse(b"rchar: 10\n"), None);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod os {
    use super::IoFigures;

    #[derive(Debug, Default)]
    pub(super) struct Source;

    impl Source {
        pub(super) fn new() -> Self {
            Self
        }

        #[expect(clippy::unused_self, reason = "the same interface on every platform")]
        pub(super) fn read(&self) -> Option<(IoFigures, u64)> {
            None
        }
    }
}
