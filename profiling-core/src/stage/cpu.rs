//! The CPU time of the thread within a stage, from few readings of its clock.
//!
//! A reading is a system call, which takes longer than most stages do. So each thread keeps its last one,
//! and a stage that begins soon after makes do with it. What the thread has used by the end is then that of
//! the stage and of the moment before, which is told apart by what is most likely.

use std::cell::Cell;

use super::lane::ABSENT;
use crate::measure::{thread, ticks};

/// A call that takes as many ticks or more has its CPU time read: 15 to 60 µs.
pub(super) const LONG: u64 = 60_000;
/// How old, in ticks, the last reading may be where a stage begins: 8 to 30 µs.
const FRESH: u64 = LONG / 2;

/// What the thread's CPU clock showed, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct CpuReading {
    pub(super) ticks: u64,
    ns: u64,
}

thread_local! {
    static LAST: Cell<CpuReading> = const { Cell::new(CpuReading::NONE) };
}

impl CpuReading {
    pub(super) const NONE: Self = Self { ticks: 0, ns: ABSENT };

    /// Reads the thread's CPU clock; the other one comes last.
    #[cold]
    #[inline(never)]
    pub(super) fn now() -> Self {
        let ns = thread::cpu_ns().unwrap_or(ABSENT);
        let now = Self { ns, ticks: ticks::read() };
        LAST.set(now);
        now
    }

    /// The thread's last reading, unless it is too old.
    #[inline]
    pub(super) fn last(ticks: u64) -> Option<Self> {
        let last = LAST.get();
        (ticks.wrapping_sub(last.ticks) < FRESH).then_some(last)
    }

    /// The CPU time that the thread has used in so many ticks `from` a moment on, at or soon after this
    /// reading, until now.
    #[cold]
    #[inline(never)]
    pub(super) fn spent(self, from: u64, ticks: u64) -> u64 {
        let now = Self::now();
        if now.ns == ABSENT || self.ns == ABSENT {
            return ABSENT;
        }
        let before = ticks::estimated_ns(from.saturating_sub(self.ticks));
        share(now.ns.saturating_sub(self.ns), before, ticks::estimated_ns(ticks))
    }
}

/// How much of the CPU time `used` in a moment and the stage that follows it is the stage's, given the wall
/// time of both. It is wrong by the length of the moment at the most.
///
/// If the thread has used as much as the stage took, the stage has not waited, as far as can be seen. If it
/// has used less, the stage has waited; then it is unlikely that the thread has waited in the moment before,
/// too.
fn share(used: u64, before: u64, wall: u64) -> u64 {
    if used >= wall { wall } else { used.saturating_sub(before) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_share_is_wrong_by_the_moment_before_at_the_most(
            (before, before_cpu) in (0..30_000_u64).prop_flat_map(|wall| (Just(wall), 0..=wall)),
            (wall, cpu) in (0..10_000_000_u64).prop_flat_map(|wall| (Just(wall), 0..=wall)),
        ) {
            let share = share(before_cpu + cpu, before, wall);
            prop_assert!(share <= wall);
            prop_assert!(share.abs_diff(cpu) <= before);
        }

        #[test]
        fn a_share_is_right_where_at_most_one_of_both_has_waited(
            (before, before_cpu) in (0..30_000_u64).prop_flat_map(|wall| (Just(wall), 0..=wall)),
            (wall, waited) in (60_000..10_000_000_u64).prop_flat_map(|wall| (Just(wall), 30_000..=wall)),
        ) {
            prop_assert_eq!(share(before_cpu + wall, before, wall), wall);
            prop_assert_eq!(share(before + wall - waited, before, wall), wall - waited);
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_last_reading_is_the_threads_own_and_grows_old() {
        ticks::prepare();
        let reading = CpuReading::now();
        assert!(CpuReading::last(reading.ticks).is_some());
        assert!(CpuReading::last(reading.ticks + FRESH).is_none());
        let elsewhere = move || CpuReading::last(reading.ticks).is_none();
        assert!(std::thread::spawn(elsewhere).join().expect("no panic"));
    }
}
