//! Peak resident memory of one execution.
//!
//! `getrusage`'s maximum only ever grows, and on Linux even survives `exec`, so that after a warm-up
//! it says nothing about the next execution. Linux can reset its high-water mark instead: writing
//! `5` to `/proc/self/clear_refs` sets `VmHWM` of `/proc/self/status` to what is resident now
//! (proc(5)).

/// Reads how much memory was resident at most since the last reset.
#[derive(Debug, Default)]
pub struct PeakRss(os::Source);

impl PeakRss {
    /// Opens the kernel's files where there are any.
    #[must_use]
    pub fn new() -> Self {
        Self(os::Source::new())
    }

    /// Starts a new peak at what is resident now. `false` where the platform can't, or the process
    /// may not (it is not dumpable): the peak of this execution is then not measured.
    #[must_use]
    pub fn reset(&self) -> bool {
        self.0.reset()
    }

    /// The peak since the last reset, and what stands beside it.
    #[must_use]
    pub fn read(&self) -> Option<Memory> {
        self.0.read()
    }
}

/// What one look at the process's memory tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// The most that was resident since the last reset.
    pub peak_bytes: u64,
    /// The threads that there are now; `None` where the platform doesn't tell.
    pub threads: Option<u64>,
}

/// The memory that is resident in this process now, in bytes.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    os::resident_bytes()
}

/// The proportional set size of a process, in bytes: what it shares with others is divided among them, so
/// that sums over processes count nothing twice. Linux only.
#[must_use]
pub fn proportional_bytes(process: u32) -> Option<u64> {
    os::proportional_bytes(process)
}

#[cfg(target_os = "linux")]
mod os {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::Memory;
    use crate::measure::procfs;

    #[derive(Debug, Default)]
    pub(super) struct Source {
        clear_refs: Option<File>,
        status: Option<File>,
    }

    impl Source {
        pub(super) fn new() -> Self {
            Self {
                clear_refs: File::options().write(true).open("/proc/self/clear_refs").ok(),
                status: File::open("/proc/self/status").ok(),
            }
        }

        pub(super) fn reset(&self) -> bool {
            self.clear_refs.as_ref().is_some_and(|file| file.write_all_at(b"5", 0).is_ok())
        }

        pub(super) fn read(&self) -> Option<Memory> {
            procfs::read_whole(self.status.as_ref()?, memory).ok()?
        }
    }

    pub(super) fn resident_bytes() -> Option<u64> {
        bytes(&std::fs::read("/proc/self/status").ok()?, "\nVmRSS:")
    }

    pub(super) fn proportional_bytes(process: u32) -> Option<u64> {
        bytes(&std::fs::read(format!("/proc/{process}/smaps_rollup")).ok()?, "\nPss:")
    }

    fn memory(status: &[u8]) -> Option<Memory> {
        let threads = procfs::after(status, "\nThreads:").and_then(procfs::number);
        Some(Memory { peak_bytes: bytes(status, "\nVmHWM:")?, threads: threads.map(|(threads, _)| threads) })
    }

    /// The field of `/proc/self/status` or `/proc/self/smaps_rollup` that a line begins with; the kernel
    /// prints it in KiB.
    fn bytes(text: &[u8], name: &str) -> Option<u64> {
        let (kibibytes, unit) = procfs::number(procfs::after(text, name)?)?;
        unit.starts_with(b" kB").then(|| kibibytes * 1024)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn parses_what_the_kernel_prints() {
            let status = b"Name:\tVmHWM: 1 kB\nVmPeak:\t  9000 kB\nVmHWM:\t  102400 kB\nVmRSS:\t       8 kB\n";
            assert_eq!(bytes(status, "\nVmHWM:"), Some(100 << 20));
            assert_eq!(bytes(status, "\nVmRSS:"), Some(8 << 10));
            assert_eq!(bytes(status, "\nVmSwap:"), None);
            assert_eq!(bytes(b"\nVmHWM:\t12\n", "\nVmHWM:"), None);
        }

        #[test]
        fn what_stands_behind_a_long_line_is_read() -> std::io::Result<()> {
            for groups in [0, 1, 320, 5_000] {
                let groups: String = (0..groups).map(|group| format!(" {}", 1_000_000 + group)).collect();
                let (file, directory) = (tempfile::tempdir()?, "status");
                let path = file.path().join(directory);
                std::fs::write(&path, format!("Name:\tx\nGroups:\t{groups}\nVmHWM:\t  102400 kB\nThreads:\t7\n"))?;
                let source = Source { clear_refs: None, status: Some(File::open(path)?) };
                assert_eq!(source.read(), Some(Memory { peak_bytes: 100 << 20, threads: Some(7) }));
            }
            Ok(())
        }

        #[test]
        fn what_is_resident_is_no_more_than_its_peak() {
            let source = Source::new();
            assert!(source.reset());
            let resident = resident_bytes().expect("measured");
            assert!(resident > 0 && resident <= source.read().expect("measured").peak_bytes);
        }
    }
}

#[cfg(target_os = "macos")]
mod os {
    use std::mem::MaybeUninit;

    use super::Memory;

    /// macOS has no mark that can be reset. The largest resident size of the worker so far is an
    /// upper bound of the execution's, and close: a worker executes one case and nothing else.
    #[derive(Debug, Default)]
    pub(super) struct Source;

    impl Source {
        pub(super) fn new() -> Self {
            Self
        }

        #[expect(clippy::unused_self, reason = "the same interface on every platform")]
        pub(super) fn reset(&self) -> bool {
            true
        }

        #[expect(clippy::unused_self, reason = "the same interface on every platform")]
        pub(super) fn read(&self) -> Option<Memory> {
            // Bytes on macOS, KiB elsewhere.
            let peak = crate::measure::cpu::rusage(libc::RUSAGE_SELF)?.ru_maxrss;
            Some(Memory { peak_bytes: u64::try_from(peak).ok()?, threads: None })
        }
    }

    #[expect(deprecated, reason = "libc points to the crate mach2 for these; one call doesn't carry a dependency")]
    pub(super) fn resident_bytes() -> Option<u64> {
        let mut info = MaybeUninit::<libc::mach_task_basic_info>::uninit();
        let mut count = libc::MACH_TASK_BASIC_INFO_COUNT;
        // SAFETY: `info` is valid for a write of `count` words, the size of `mach_task_basic_info`,
        // which is what the flavour `MACH_TASK_BASIC_INFO` writes.
        let status = unsafe {
            libc::task_info(
                libc::mach_task_self(),
                libc::MACH_TASK_BASIC_INFO,
                info.as_mut_ptr().cast::<libc::integer_t>(),
                &raw mut count,
            )
        };
        if status != libc::KERN_SUCCESS {
            return None;
        }
        // SAFETY: the call succeeded, so it has written the whole structure.
        Some(unsafe { info.assume_init() }.resident_size)
    }

    pub(super) fn proportional_bytes(_process: u32) -> Option<u64> {
        None
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod os {
    use super::Memory;

    #[derive(Debug, Default)]
    pub(super) struct Source;

    impl Source {
        pub(super) fn new() -> Self {
            Self
        }

        #[expect(clippy::unused_self, reason = "the same interface on every platform")]
        pub(super) fn reset(&self) -> bool {
            false
        }

        #[expect(clippy::unused_self, reason = "the same interface on every platform")]
        pub(super) fn read(&self) -> Option<Memory> {
            None
        }
    }

    pub(super) fn resident_bytes() -> Option<u64> {
        None
    }

    pub(super) fn proportional_bytes(_process: u32) -> Option<u64> {
        None
    }
}
