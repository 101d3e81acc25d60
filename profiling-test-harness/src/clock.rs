//! A clock that two processes can compare, which `Instant` is not.

/// Nanoseconds since a moment that is the same for all processes; `None` where there is no such clock.
#[cfg(unix)]
pub(crate) fn shared_ns() -> Option<u64> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).ok()?.checked_mul(1_000_000_000)?.checked_add(u64::try_from(now.tv_nsec).ok()?)
}

/// Nanoseconds since a moment that is the same for all processes; `None` where there is no such clock.
#[cfg(not(unix))]
pub(crate) fn shared_ns() -> Option<u64> {
    None
}
