//! The cheapest clock there is: the CPU's time stamp counter where it runs evenly and the kernel trusts
//! it, else [`Instant`].
//!
//! A reading takes 9 ns where `Instant::now` takes 22. How long a tick is follows from two pairs of
//! readings of both clocks, one at the beginning and one when somebody asks.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::nanoseconds;

/// Whether the time stamp counter is read.
static COUNTER: AtomicBool = AtomicBool::new(false);
/// How long both clocks run together before they are compared.
const TOGETHER: Duration = Duration::from_millis(1);
/// The first pair of readings.
static ORIGIN: OnceLock<Anchor> = OnceLock::new();

/// What both clocks showed at the same moment.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    instant: Instant,
    ticks: u64,
}

/// Chooses the clock. Ticks that were read before mean nothing.
pub fn prepare() {
    ORIGIN.get_or_init(|| {
        COUNTER.store(counter::is_trusted(), Relaxed);
        Anchor::now()
    });
}

/// The clock, in ticks of a length that [`nanoseconds_per_tick`] tells. [`prepare`] comes first.
#[inline]
#[must_use]
pub fn read() -> u64 {
    if COUNTER.load(Relaxed) { counter::read() } else { since_origin() }
}

#[cold]
fn since_origin() -> u64 {
    ORIGIN.get().map_or(0, |origin| nanoseconds(origin.instant.elapsed()))
}

/// So many ticks in nanoseconds, to one part in a hundred or better.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and far below 2^64")]
pub fn estimated_ns(ticks: u64) -> u64 {
    /// The bits of the unit, once both clocks have run together for long enough; 0 before.
    static UNIT: AtomicU64 = AtomicU64::new(0);
    let known = f64::from_bits(UNIT.load(Relaxed));
    if known > 0.0 {
        return (ticks as f64 * known) as u64;
    }
    let Some(origin) = ORIGIN.get() else { return ticks };
    let unit = origin.unit();
    if origin.instant.elapsed() > TOGETHER {
        UNIT.store(unit.to_bits(), Relaxed);
    }
    (ticks as f64 * unit) as u64
}

/// How long a tick is. Waits for the clocks to have run for a millisecond together, which tells it to
/// one part in ten thousand.
#[must_use]
pub fn nanoseconds_per_tick() -> f64 {
    prepare();
    let Some(origin) = ORIGIN.get().filter(|_| COUNTER.load(Relaxed)) else { return 1.0 };
    if let Some(rest) = TOGETHER.checked_sub(origin.instant.elapsed()) {
        std::thread::sleep(rest);
    }
    origin.unit()
}

impl Anchor {
    /// How long a tick was since then, in nanoseconds.
    fn unit(&self) -> f64 {
        if !COUNTER.load(Relaxed) {
            return 1.0;
        }
        let now = Self::now();
        let ticks = now.ticks.saturating_sub(self.ticks).max(1);
        nanoseconds(now.instant.duration_since(self.instant)) as f64 / ticks as f64
    }

    /// The tightest of a few pairs: a thread may be interrupted between two readings.
    fn now() -> Self {
        let pair = |_| {
            let before = counter::read();
            let instant = Instant::now();
            let after = counter::read();
            (after.wrapping_sub(before), Self { instant, ticks: before + after.wrapping_sub(before) / 2 })
        };
        let pairs = (0..8).map(pair);
        pairs.min_by_key(|(apart, _)| *apart).map_or_else(|| unreachable!("there are eight"), |(_, anchor)| anchor)
    }
}

#[cfg(target_arch = "x86_64")]
mod counter {
    /// The CPU says that the counter runs at one rate through all its states, and on Linux, the kernel
    /// has not found it to differ between CPUs.
    pub(super) fn is_trusted() -> bool {
        invariant() && kernel_agrees()
    }

    #[allow(unused_unsafe, reason = "`__cpuid` is safe from Rust 1.94 on")]
    fn invariant() -> bool {
        const POWER: u32 = 0x8000_0007;
        // SAFETY: every x86-64 CPU has the instruction, and the highest leaf is asked for first.
        unsafe {
            core::arch::x86_64::__cpuid(0x8000_0000).eax >= POWER
                && core::arch::x86_64::__cpuid(POWER).edx & (1 << 8) != 0
        }
    }

    #[cfg(target_os = "linux")]
    fn kernel_agrees() -> bool {
        let sources = std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/available_clocksource");
        sources.is_ok_and(|sources| sources.split_whitespace().any(|source| source == "tsc"))
    }

    #[cfg(not(target_os = "linux"))]
    fn kernel_agrees() -> bool {
        true
    }

    #[inline]
    pub(super) fn read() -> u64 {
        // SAFETY: every x86-64 CPU has the instruction, and no system that Rust has a standard library
        // for keeps it from user mode.
        unsafe { core::arch::x86_64::_rdtsc() }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod counter {
    pub(super) fn is_trusted() -> bool {
        false
    }

    pub(super) fn read() -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_as_long_as_they_say() {
        prepare();
        let (instant, begin) = (Instant::now(), read());
        std::thread::sleep(Duration::from_millis(20));
        let ticks = read() - begin;
        let elapsed = instant.elapsed();
        let measured = ticks as f64 * nanoseconds_per_tick();
        assert!((measured / nanoseconds(elapsed) as f64 - 1.0).abs() < 0.02, "{measured} ns in {elapsed:?}");
    }
}
