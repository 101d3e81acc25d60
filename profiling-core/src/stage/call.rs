//! Readings of the thread around a stage, and their sum over the polls of a future.

#[cfg(feature = "tracing")]
use std::sync::atomic::Ordering::Relaxed;

use super::cpu::{CpuReading, LONG};
use super::lane::{self, ABSENT};
use super::recorder;
#[cfg(feature = "tracing")]
use super::store::NOT_RECORDED;
use super::store::Record;
use crate::measure::{allocator, ticks};

/// What the thread's clocks and counters show at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    ticks: u64,
    /// At that moment or shortly before.
    cpu: CpuReading,
    allocated: u64,
    /// Whether the CPU clock is read again at the end, however soon that comes.
    with_cpu: bool,
}

/// What the thread has used since a reading; what was not measured is [`ABSENT`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Spent {
    pub(super) ticks: u64,
    pub(super) cpu_ns: u64,
    pub(super) allocated: u64,
}

impl Reading {
    pub(super) const NONE: Self = Self { ticks: 0, cpu: CpuReading::NONE, allocated: ABSENT, with_cpu: false };

    pub(super) fn has_cpu(&self) -> bool {
        self.with_cpu
    }

    /// The clock comes last.
    #[inline]
    pub(super) fn now(with_cpu: bool) -> Self {
        let allocated = allocated();
        if !with_cpu {
            let ticks = ticks::read();
            if let Some(cpu) = CpuReading::last(ticks) {
                return Self { ticks, cpu, allocated, with_cpu };
            }
        }
        let cpu = CpuReading::now();
        Self { ticks: cpu.ticks, cpu, allocated, with_cpu }
    }

    /// The clock comes first. CPU time is read where as many ticks have gone by, or where it was to be.
    #[inline]
    pub(super) fn spent(&self, long: u64) -> Spent {
        let ticks = ticks::read().saturating_sub(self.ticks);
        let allocated = difference(allocated(), self.allocated);
        let cpu_ns = if self.with_cpu || ticks >= long { self.cpu.spent(self.ticks, ticks) } else { ABSENT };
        Spent { ticks, cpu_ns, allocated }
    }
}

#[inline]
fn allocated() -> u64 {
    allocator::thread_allocated_bytes().unwrap_or(ABSENT)
}

#[inline]
fn difference(after: u64, before: u64) -> u64 {
    if after == ABSENT || before == ABSENT { ABSENT } else { after.saturating_sub(before) }
}

fn sum(one: u64, other: u64) -> u64 {
    if one == ABSENT || other == ABSENT { ABSENT } else { one.saturating_add(other) }
}

/// A poll that takes as many ticks or more has its CPU time read; and so has every one after as many ticks
/// in which it was not. That leaves less than [`LONG`] unread.
const LONG_POLL: u64 = LONG / 2;
/// Polls after which a future is judged by their length.
const TRIAL: u64 = 16;
/// Polls shorter than this, in ticks, on average are too short to read the CPU clock around them.
const SHORT: u64 = 15_000;

/// One call of a stage that is entered again and again, on whatever threads: a future, or a span.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    /// 0 where nothing is recorded.
    epoch: u32,
    name: u8,
    parent: u8,
    /// How often it was entered and left.
    entered: u64,
    first: u64,
    last: u64,
    /// CPU time as far as it was read.
    spent: Spent,
    /// The ticks in which CPU time was not.
    unread: u64,
    /// Whether CPU time is read even of a short call.
    sampled: bool,
}

/// Within a [`Call`], on one thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inside {
    epoch: u32,
    previous: u8,
    reading: Reading,
}

impl Call {
    /// A call that is not recorded.
    pub(crate) const IDLE: Self = Self::new(0, 0, 0);

    pub(super) const fn new(epoch: u32, name: u8, parent: u8) -> Self {
        let spent = Spent { ticks: 0, cpu_ns: 0, allocated: 0 };
        Self { epoch, name, parent, entered: 0, first: 0, last: 0, spent, unread: 0, sampled: false }
    }

    /// A call of the stage of that name, in the thread's innermost one.
    #[cfg(feature = "tracing")]
    pub(crate) fn of(name: &'static str) -> Self {
        let epoch = recorder::epoch();
        if epoch == 0 {
            return Self::IDLE;
        }
        let Some(number) = recorder::number_of(name) else {
            Self::not_recorded();
            return Self::IDLE;
        };
        Self::new(epoch, number, lane::current(epoch))
    }

    /// The same call as a child of another one.
    #[cfg(feature = "tracing")]
    pub(crate) fn within(self, parent: Option<&Self>) -> Self {
        Self { parent: parent.map_or(0, |parent| parent.name), ..self }
    }

    /// Counts a call for which there is no room.
    #[cfg(feature = "tracing")]
    pub(crate) fn not_recorded() {
        NOT_RECORDED.fetch_add(1, Relaxed);
    }

    pub(crate) fn is_recorded(&self) -> bool {
        self.epoch != 0 && self.epoch == recorder::epoch()
    }

    /// Makes the stage the thread's innermost.
    pub(crate) fn enter(&mut self) -> Option<Inside> {
        if !self.is_recorded() {
            return None;
        }
        let previous = if self.first == 0 {
            let (previous, sampled) = lane::begin(self.name, self.epoch);
            self.sampled = sampled;
            previous
        } else {
            lane::enter(self.name, self.epoch)
        };
        let reading = Reading::now(self.reads());
        if self.first == 0 {
            self.first = reading.ticks;
        }
        Some(Inside { epoch: self.epoch, previous, reading })
    }

    /// Whether CPU time is read whenever it is entered.
    fn reads(&self) -> bool {
        let are_short = self.entered >= TRIAL && self.spent.ticks / self.entered < SHORT;
        (self.sampled || self.unread >= LONG_POLL) && !are_short
    }

    /// Ends what `enter` began, on the same thread.
    pub(crate) fn leave(&mut self, inside: &Inside) {
        let spent = inside.reading.spent(LONG_POLL);
        lane::leave(inside.previous, inside.epoch);
        self.last = self.last.max(inside.reading.ticks + spent.ticks);
        self.entered += 1;
        self.spent.ticks += spent.ticks;
        self.spent.allocated = sum(self.spent.allocated, spent.allocated);
        if spent.cpu_ns == ABSENT {
            self.unread += spent.ticks;
        } else {
            self.spent.cpu_ns += spent.cpu_ns;
        }
    }

    /// CPU time, where it was read but for so little, 2 % or less than [`LONG`], that the wall time may stand
    /// for it.
    fn cpu_ns(&self) -> u64 {
        let busy = self.spent.ticks;
        // Of the short ones, those that were chosen beforehand.
        let is_read = self.sampled || busy >= LONG;
        if !is_read || self.unread >= busy || self.unread >= LONG.max(busy / 50) {
            return ABSENT;
        }
        self.spent.cpu_ns + ticks::estimated_ns(self.unread)
    }

    /// Records the call, unless it was never entered or its execution has ended.
    pub(crate) fn finish(&mut self, until: Until) {
        if self.entered > 0 && self.is_recorded() {
            let end = match until {
                Until::Now => ticks::read().max(self.last),
                Until::Left => self.last,
            };
            lane::record(&Record {
                epoch: self.epoch,
                name: self.name,
                parent: self.parent,
                wall: end.saturating_sub(self.first),
                busy: self.spent.ticks,
                cpu_ns: self.cpu_ns(),
                allocated: self.spent.allocated,
            });
        }
        *self = Self::IDLE;
    }
}

/// When a [`Call`] has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// Only now: it was waiting.
    Now,
    /// When it was last left.
    Left,
}
