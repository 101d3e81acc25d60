//! CPU time, page faults and context switches of the whole process.

use std::time::Duration;

/// The process's CPU clock: user and system time of all threads, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuClock(Duration);

impl CpuClock {
    /// The CPU time that this process has used; `None` where the platform doesn't tell.
    #[must_use]
    pub fn now() -> Option<Self> {
        os::cpu_clock().map(Self)
    }

    /// The CPU time used since an earlier reading.
    #[must_use]
    pub fn nanoseconds_since(&self, earlier: &Self) -> u64 {
        super::nanoseconds(self.0.saturating_sub(earlier.0))
    }
}

/// What the kernel accounts to this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// CPU time in user mode.
    pub user_ns: u64,
    /// CPU time in the kernel.
    pub system_ns: u64,
    /// Page faults that needed no I/O.
    pub minor_faults: u64,
    /// Page faults that needed I/O.
    pub major_faults: u64,
    /// Context switches because a thread waited.
    pub voluntary_switches: Option<u64>,
    /// Context switches because another process wanted the CPU.
    pub involuntary_switches: Option<u64>,
}

impl Usage {
    /// What this process has used so far; `None` where the platform doesn't tell.
    #[must_use]
    pub fn now() -> Option<Self> {
        os::usage()
    }

    /// What child processes have used that were waited for, and their own such children.
    #[must_use]
    pub fn of_children() -> Option<Self> {
        os::children_usage()
    }

    /// What was used since an earlier reading.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let difference = |after: Option<u64>, before: Option<u64>| Some(after?.saturating_sub(before?));
        Self {
            user_ns: self.user_ns.saturating_sub(earlier.user_ns),
            system_ns: self.system_ns.saturating_sub(earlier.system_ns),
            minor_faults: self.minor_faults.saturating_sub(earlier.minor_faults),
            major_faults: self.major_faults.saturating_sub(earlier.major_faults),
            voluntary_switches: difference(self.voluntary_switches, earlier.voluntary_switches),
            involuntary_switches: difference(self.involuntary_switches, earlier.involuntary_switches),
        }
    }
}

#[cfg(unix)]
pub(super) use os::read_clock;
#[cfg(target_os = "macos")]
pub(super) use os::rusage;

#[cfg(unix)]
mod os {
    use std::mem::MaybeUninit;
    use std::time::Duration;

    use super::Usage;

    pub(super) fn cpu_clock() -> Option<Duration> {
        read_clock(libc::CLOCK_PROCESS_CPUTIME_ID)
    }

    /// What one of the system's clocks shows.
    pub(in crate::measure) fn read_clock(clock: libc::clockid_t) -> Option<Duration> {
        let mut time = MaybeUninit::<libc::timespec>::uninit();
        // SAFETY: `time` is valid for a write of one `timespec`, which is all that the call does.
        let status = unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) };
        if status != 0 {
            return None;
        }
        // SAFETY: the call succeeded, so it has written the whole `timespec`.
        let time = unsafe { time.assume_init() };
        Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
    }

    /// What `getrusage` tells of this process, or of its children.
    pub(in crate::measure) fn rusage(who: libc::c_int) -> Option<libc::rusage> {
        let mut usage = MaybeUninit::<libc::rusage>::uninit();
        // SAFETY: `usage` is valid for a write of one `rusage`, which is all that the call does.
        let status = unsafe { libc::getrusage(who, usage.as_mut_ptr()) };
        // SAFETY: where the call succeeded, it has written the whole `rusage`.
        (status == 0).then(|| unsafe { usage.assume_init() })
    }

    pub(super) fn usage() -> Option<Usage> {
        usage_of(libc::RUSAGE_SELF)
    }

    pub(super) fn children_usage() -> Option<Usage> {
        usage_of(libc::RUSAGE_CHILDREN)
    }

    fn usage_of(who: libc::c_int) -> Option<Usage> {
        let usage = rusage(who)?;
        Some(Usage {
            user_ns: timeval_ns(usage.ru_utime)?,
            system_ns: timeval_ns(usage.ru_stime)?,
            minor_faults: u64::try_from(usage.ru_minflt).ok()?,
            major_faults: u64::try_from(usage.ru_majflt).ok()?,
            voluntary_switches: u64::try_from(usage.ru_nvcsw).ok(),
            involuntary_switches: u64::try_from(usage.ru_nivcsw).ok(),
        })
    }

    fn timeval_ns(time: libc::timeval) -> Option<u64> {
        let seconds = u64::try_from(time.tv_sec).ok()?;
        let microseconds = u64::try_from(time.tv_usec).ok()?;
        Some(seconds * 1_000_000_000 + microseconds * 1_000)
    }
}

#[cfg(not(unix))]
mod os {
    use std::time::Duration;

    use super::Usage;

    pub(super) fn cpu_clock() -> Option<Duration> {
        None
    }

    pub(super) fn usage() -> Option<Usage> {
        None
    }

    pub(super) fn children_usage() -> Option<Usage> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_counted_from_the_earlier_reading() {
        let earlier = CpuClock(Duration::new(1, 999_999_999));
        let later = CpuClock(Duration::new(3, 1));
        assert_eq!(later.nanoseconds_since(&earlier), 1_000_000_002);
        assert_eq!(earlier.nanoseconds_since(&later), 0);
    }

    #[test]
    fn usage_is_counted_from_the_earlier_reading() {
        let earlier = Usage {
            user_ns: 10,
            system_ns: 20,
            minor_faults: 30,
            major_faults: 40,
            voluntary_switches: Some(50),
            involuntary_switches: None,
        };
        let later = Usage {
            user_ns: 11,
            system_ns: 22,
            minor_faults: 33,
            major_faults: 44,
            voluntary_switches: Some(55),
            involuntary_switches: Some(66),
        };
        let since = Usage {
            user_ns: 1,
            system_ns: 2,
            minor_faults: 3,
            major_faults: 4,
            voluntary_switches: Some(5),
            involuntary_switches: None,
        };
        assert_eq!(later.since(&earlier), since);
        // The kernel's split of user and system time may take back a little.
        assert_eq!(earlier.since(&later).user_ns, 0);
    }

    #[cfg(unix)]
    #[test]
    fn the_clock_runs_with_the_work() {
        let before = CpuClock::now().expect("there is one");
        std::hint::black_box((0..100_000).fold(0_u64, |sum, number| sum ^ std::hint::black_box(number)));
        assert!(CpuClock::now().expect("there is one").nanoseconds_since(&before) > 0);
        assert!(Usage::now().expect("there is one").minor_faults > 0);
    }
}
