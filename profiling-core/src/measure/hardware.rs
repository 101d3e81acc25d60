//! Instructions that the CPU retired, by its own counter.
//!
//! Linux alone, and there only where the kernel permits it (`/proc/sys/kernel/perf_event_paranoid` up to
//! 2, no seccomp filter in the way) and the CPU shows its counters, which those of virtual machines
//! mostly don't.

/// The counter of this process: instructions in user mode, of the thread that opened it and of every
/// thread and process that was started after that by one that is counted.
#[derive(Debug, Default)]
pub struct InstructionCounter(os::Counter);

/// What the counter showed at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    count: u64,
    /// How long there was something to count, in nanoseconds.
    enabled_ns: u64,
    /// How long it was counted: less where others wanted the CPU's few counters.
    running_ns: u64,
}

impl InstructionCounter {
    /// Opens the counter where there is one.
    #[must_use]
    pub fn new() -> Self {
        Self(os::Counter::open(os::INSTRUCTIONS))
    }

    /// The counter as it stands; `None` where there is none.
    #[must_use]
    pub fn read(&self) -> Option<Reading> {
        self.0.read()
    }
}

impl Reading {
    /// The instructions since an earlier reading; `None` where some of them were not counted.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Option<u64> {
        let enabled = self.enabled_ns.checked_sub(earlier.enabled_ns)?;
        let running = self.running_ns.checked_sub(earlier.running_ns)?;
        if enabled != running {
            return None;
        }
        self.count.checked_sub(earlier.count)
    }
}

#[cfg(target_os = "linux")]
mod os {
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::FromRawFd;

    use super::Reading;

    /// What to count: type and configuration of `perf_event_attr`.
    pub(super) type Event = (u32, u64);

    /// `PERF_TYPE_HARDWARE`, `PERF_COUNT_HW_INSTRUCTIONS`.
    pub(super) const INSTRUCTIONS: Event = (0, 1);

    /// `perf_event_attr` of Linux 2.6.32, which every later one takes.
    #[repr(C)]
    struct Attributes {
        kind: u32,
        size: u32,
        config: u64,
        sample_period: u64,
        sample_type: u64,
        read_format: u64,
        flags: u64,
        wakeup_events: u32,
        breakpoint_type: u32,
        breakpoint_address: u64,
    }

    /// `PERF_ATTR_SIZE_VER0`.
    const SIZE: u32 = 64;
    const _: () = assert!(size_of::<Attributes>() == SIZE as usize);

    /// One of the bits that are a C bit-field, which begins at the other end on big-endian machines.
    const fn flag(bit: u32) -> u64 {
        if cfg!(target_endian = "big") { 1 << (63 - bit) } else { 1 << bit }
    }

    const INHERIT: u64 = flag(1);
    const EXCLUDE_KERNEL: u64 = flag(5);
    const EXCLUDE_HYPERVISOR: u64 = flag(6);
    /// `PERF_FORMAT_TOTAL_TIME_ENABLED`, `PERF_FORMAT_TOTAL_TIME_RUNNING`.
    const WITH_TIMES: u64 = 1 | 2;
    /// `PERF_FLAG_FD_CLOEXEC`.
    const CLOSE_ON_EXEC: libc::c_ulong = 8;

    #[derive(Debug, Default)]
    pub(super) struct Counter(Option<File>);

    impl Counter {
        pub(super) fn open((kind, config): Event) -> Self {
            let attributes = Attributes {
                kind,
                size: SIZE,
                config,
                sample_period: 0,
                sample_type: 0,
                read_format: WITH_TIMES,
                flags: INHERIT | EXCLUDE_KERNEL | EXCLUDE_HYPERVISOR,
                wakeup_events: 0,
                breakpoint_type: 0,
                breakpoint_address: 0,
            };
            let (this_thread, any_cpu, no_group): (libc::pid_t, libc::c_int, libc::c_int) = (0, -1, -1);
            // SAFETY: the kernel reads `size` bytes of `attributes`, which lives until the call is over.
            let descriptor = unsafe {
                libc::syscall(
                    libc::SYS_perf_event_open,
                    &raw const attributes,
                    this_thread,
                    any_cpu,
                    no_group,
                    CLOSE_ON_EXEC,
                )
            };
            let descriptor = i32::try_from(descriptor).ok().filter(|&descriptor| descriptor >= 0);
            // SAFETY: the call has just made this descriptor, and nobody else knows of it.
            Self(descriptor.map(|descriptor| unsafe { File::from_raw_fd(descriptor) }))
        }

        pub(super) fn read(&self) -> Option<Reading> {
            let mut bytes = [0; 24];
            let length = self.0.as_ref()?.read(&mut bytes).ok()?;
            let word = |index: usize| Some(u64::from_ne_bytes(bytes.get(8 * index..8 * index + 8)?.try_into().ok()?));
            if length != bytes.len() {
                return None;
            }
            Some(Reading { count: word(0)?, enabled_ns: word(1)?, running_ns: word(2)? })
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// The CPU time in nanoseconds, which the kernel counts where the CPU counts nothing.
        const TASK_CLOCK: Event = (1, 1);

        fn work() -> u64 {
            (0..10_000_000).fold(0_u64, |sum, number| sum ^ std::hint::black_box(number))
        }

        #[test]
        fn threads_that_are_started_later_are_counted() {
            let counter = Counter::open(TASK_CLOCK);
            let Some(before) = counter.read() else {
                eprintln!("skipped: this kernel permits no counters");
                return;
            };
            std::thread::spawn(work).join().expect("it doesn't panic");
            let with_thread = counter.read().expect("as before").since(&before).expect("nobody else counts");
            assert!(with_thread > 1_000_000, "{with_thread}");
        }

        #[test]
        fn an_event_that_does_not_exist_is_no_counter() {
            assert_eq!(Counter::open((u32::MAX, u64::MAX)).read(), None);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod os {
    use super::Reading;

    pub(super) const INSTRUCTIONS: () = ();

    #[derive(Debug, Default)]
    pub(super) struct Counter;

    impl Counter {
        pub(super) fn open((): ()) -> Self {
            Self
        }

        #[expect(clippy::unused_self, reason = "the same interface on every platform")]
        pub(super) fn read(&self) -> Option<Reading> {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_in_part_is_not_counted() {
        let reading = |count, enabled_ns, running_ns| Reading { count, enabled_ns, running_ns };
        assert_eq!(reading(7, 20, 18).since(&reading(5, 10, 8)), Some(2));
        assert_eq!(reading(7, 20, 17).since(&reading(5, 10, 8)), None);
        assert_eq!(reading(4, 20, 18).since(&reading(5, 10, 8)), None);
    }
}
