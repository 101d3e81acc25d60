//! How calls get from a thread to the store without a lock: every thread has a lane, a ring of calls that
//! it alone appends to, and that whoever holds the store's lock empties.

use std::cell::Cell;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

use super::cpu::LONG;
use super::store::{self, NAMES, Record, Store};

/// Threads that have a lane at once. Any further ones record under the store's lock.
const LANES: usize = 64;
/// Calls that a lane holds.
const LENGTH: usize = 128;
/// In place of a figure that was not measured.
pub(super) const ABSENT: u64 = u64::MAX;

/// The time, in ticks, that earns a stage a call that has its CPU time read though it is short. A long one
/// has it read anyway, and earns no more than it may have spent.
const TOKEN: u64 = LONG;
/// What a stage has in hand at the beginning of an execution, and at the most.
const MOST_TOKENS: u64 = 4 * TOKEN;

/// The calls that a thread has recorded and the store has not taken yet.
struct Lane {
    claimed: AtomicBool,
    /// The number of calls ever appended; written by the thread alone.
    head: AtomicUsize,
    /// The number of calls ever taken; written under the store's lock.
    tail: AtomicUsize,
    /// By name, what may be spent on readings of the CPU clock around short calls.
    credit: [AtomicU64; NAMES],
    calls: [Slot; LENGTH],
}

/// A [`Record`].
struct Slot([AtomicU64; 5]);

static POOL: [Lane; LANES] = [const { Lane::new() }; LANES];
/// How far the pool was ever in use.
static USED: AtomicUsize = AtomicUsize::new(0);

/// What is known of the calling thread.
struct Thread {
    /// The execution that the rest is about.
    epoch: Cell<u32>,
    /// The name of the stage that was entered last.
    current: Cell<u8>,
    lane: Cell<Option<&'static Lane>>,
}

/// Gives the lane back when the thread ends.
struct Ending;

thread_local! {
    /// Has no destructor, and so costs nothing to reach.
    static THREAD: Thread = const { Thread { epoch: Cell::new(0), current: Cell::new(0), lane: Cell::new(None) } };
    static ENDING: Ending = const { Ending };
}

impl Lane {
    const fn new() -> Self {
        Self {
            claimed: AtomicBool::new(false),
            head: AtomicUsize::new(0),
            tail: AtomicUsize::new(0),
            credit: [const { AtomicU64::new(0) }; NAMES],
            calls: [const { Slot([const { AtomicU64::new(0) }; 5]) }; LENGTH],
        }
    }

    fn claim() -> Option<&'static Self> {
        let free = |lane: &&Self| lane.claimed.compare_exchange(false, true, Acquire, Relaxed).is_ok();
        let index = POOL.iter().position(|lane| free(&lane))?;
        USED.fetch_max(index + 1, Relaxed);
        Some(&POOL[index])
    }

    #[inline]
    fn push(&self, record: &Record) {
        let head = self.head.load(Relaxed);
        if head.wrapping_sub(self.tail.load(Acquire)) >= LENGTH {
            store::with(|store| self.drain(store));
        }
        let slot = &self.calls[head % LENGTH].0;
        let words = [record.key(), record.wall, record.busy, record.cpu_ns, record.allocated];
        for (place, word) in slot.iter().zip(words) {
            place.store(word, Relaxed);
        }
        self.head.store(head.wrapping_add(1), Release);
    }

    /// Moves the calls into the store, whose lock the caller holds.
    #[cold]
    #[inline(never)]
    fn drain(&self, store: &mut Store) {
        let (head, mut tail) = (self.head.load(Acquire), self.tail.load(Relaxed));
        while tail != head {
            let [key, figures @ ..] = &self.calls[tail % LENGTH].0;
            let [wall, busy, cpu_ns, allocated] = figures.each_ref().map(|figure| figure.load(Relaxed));
            store.add(&Record::of(key.load(Relaxed), wall, busy, cpu_ns, allocated));
            tail = tail.wrapping_add(1);
        }
        self.tail.store(tail, Release);
    }

    /// Spends what a reading of the CPU clock costs, if it is there.
    #[inline]
    fn spend(&self, name: u8) -> bool {
        let credit = &self.credit[usize::from(name) % NAMES];
        let left = credit.load(Relaxed);
        if left < TOKEN {
            return false;
        }
        credit.store(left - TOKEN, Relaxed);
        true
    }

    #[inline]
    fn earn(&self, name: u8, ticks: u64) {
        let credit = &self.credit[usize::from(name) % NAMES];
        let earned = credit.load(Relaxed) + ticks.min(TOKEN);
        credit.store(earned.min(MOST_TOKENS), Relaxed);
    }
}

impl Thread {
    /// Brings the thread up to date with the execution under way.
    #[inline]
    fn join(&self, epoch: u32) {
        if self.epoch.get() != epoch {
            self.reset(epoch);
        }
    }

    /// Forgets what an earlier execution has left behind, and sees to it that the thread has a lane.
    #[cold]
    #[inline(never)]
    fn reset(&self, epoch: u32) {
        self.epoch.set(epoch);
        self.current.set(0);
        // A thread in its last moments can no longer be told to give a lane back.
        if self.lane.get().is_none() && ENDING.try_with(|_| ()).is_ok() {
            self.lane.set(Lane::claim());
        }
        if let Some(lane) = self.lane.get() {
            lane.credit.iter().for_each(|credit| credit.store(MOST_TOKENS, Relaxed));
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let lane = THREAD.try_with(|thread| thread.lane.take()).ok().flatten();
        if let Some(lane) = lane {
            store::with(|store| lane.drain(store));
            lane.claimed.store(false, Release);
        }
    }
}

/// Gives the calling thread a lane, so that this is not part of what it measures first.
pub(super) fn prepare() {
    let _ = THREAD.try_with(|thread| thread.reset(0));
}

/// Makes a stage the thread's innermost. Returns the one that was, and whether the call's CPU time is read
/// though it should be short.
#[inline]
pub(super) fn begin(name: u8, epoch: u32) -> (u8, bool) {
    let entered = THREAD.try_with(|thread| {
        thread.join(epoch);
        let previous = thread.current.replace(name);
        (previous, thread.lane.get().is_none_or(|lane| lane.spend(name)))
    });
    entered.unwrap_or((0, true))
}

/// Makes a stage the thread's innermost. Returns the one that was.
pub(super) fn enter(name: u8, epoch: u32) -> u8 {
    let entered = THREAD.try_with(|thread| {
        thread.join(epoch);
        thread.current.replace(name)
    });
    entered.unwrap_or(0)
}

/// The thread's innermost stage.
#[cfg(feature = "tracing")]
pub(super) fn current(epoch: u32) -> u8 {
    let current = THREAD.try_with(|thread| {
        thread.join(epoch);
        thread.current.get()
    });
    current.unwrap_or(0)
}

/// Leaves a stage as [`leave`] does, whose call is nothing yet: what [`begin`] has spent is there again.
pub(super) fn take_back(previous: u8, name: u8, epoch: u32) {
    leave(previous, epoch);
    let _ = THREAD.try_with(|thread| {
        if let Some(lane) = thread.lane.get() {
            lane.earn(name, TOKEN);
        }
    });
}

/// Makes the stage that was the innermost one it again.
#[inline]
pub(super) fn leave(previous: u8, epoch: u32) {
    let _ = THREAD.try_with(|thread| {
        if thread.epoch.get() == epoch {
            thread.current.set(previous);
        }
    });
}

/// Leaves a stage as [`leave`] does, and records its call.
#[inline]
pub(super) fn finish(previous: u8, record: &Record) {
    let finished = THREAD.try_with(|thread| {
        thread.join(record.epoch);
        thread.current.set(previous);
        thread.record(record)
    });
    if !finished.unwrap_or(false) {
        store::with(|store| store.add(record));
    }
}

/// Records a call that has left its stage.
pub(super) fn record(record: &Record) {
    let recorded = THREAD.try_with(|thread| {
        thread.join(record.epoch);
        thread.record(record)
    });
    if !recorded.unwrap_or(false) {
        store::with(|store| store.add(record));
    }
}

impl Thread {
    /// Whether there was a lane to record in.
    #[inline]
    fn record(&self, record: &Record) -> bool {
        let Some(lane) = self.lane.get() else { return false };
        lane.earn(record.name, record.used());
        lane.push(record);
        true
    }
}

/// Moves what every thread has recorded into the store.
pub(super) fn drain_all(store: &mut Store) {
    POOL[..USED.load(Relaxed)].iter().for_each(|lane| lane.drain(store));
}
