//! The CPU time of the calling thread alone.

/// The CPU time that the calling thread has used, user and system, in nanoseconds; `None` where the
/// platform doesn't tell. A system call: it takes a third of a microsecond.
#[must_use]
pub fn cpu_ns() -> Option<u64> {
    os::cpu_ns()
}

#[cfg(unix)]
mod os {
    use crate::measure::{cpu, nanoseconds};

    pub(super) fn cpu_ns() -> Option<u64> {
        cpu::read_clock(libc::CLOCK_THREAD_CPUTIME_ID).map(nanoseconds)
    }
}

#[cfg(not(unix))]
mod os {
    pub(super) fn cpu_ns() -> Option<u64> {
        None
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn another_threads_work_is_not_counted() {
        let work = || (0..1_000_000).fold(0_u64, |sum, n| sum ^ std::hint::black_box(n));
        let before = cpu_ns().expect("there is a clock");
        std::thread::spawn(move || {
            let before = cpu_ns().expect("there is a clock");
            std::hint::black_box(work());
            assert!(cpu_ns().expect("there is a clock") - before > 100_000);
        })
        .join()
        .expect("the work was done");
        assert!(cpu_ns().expect("there is a clock") - before < 1_000_000);
    }
}
