//! A clock that two processes can compare, which `Instant` is not.

/// Nanoseconds since a moment that is the same for all processes; `None` where there is no such clock.
///
/// By the C library: rustix looks for the kernel's own function, which isn't there under Valgrind.
#[cfg(unix)]
#[must_use]
pub fn shared_ns() -> Option<u64> {
    super::cpu::read_clock(libc::CLOCK_MONOTONIC).map(super::nanoseconds)
}

/// Nanoseconds since a moment that is the same for all processes; `None` where there is no such clock.
#[cfg(not(unix))]
#[must_use]
pub fn shared_ns() -> Option<u64> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn it_runs() {
        let before = shared_ns().expect("there is one");
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert!(shared_ns().expect("there is one") - before >= 1_000_000);
    }
}
