//! Switches recording on and off, and hands over what was recorded.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::lane;
use super::store;
use crate::breakdown::Breakdown;
use crate::measure::ticks;

/// The execution that is recorded; 0 while none is.
static EPOCH: AtomicU32 = AtomicU32::new(0);

/// The number of the execution that is recorded; 0 while none is.
#[inline]
pub(super) fn epoch() -> u32 {
    EPOCH.load(Relaxed)
}

pub(super) use store::number_of;

/// Whether anything is recorded now.
#[inline]
pub(crate) fn is_open() -> bool {
    epoch() != 0
}

/// Does what would otherwise be part of the first stage.
pub(crate) fn prepare() {
    ticks::prepare();
    lane::prepare();
}

/// Gets the calling thread, of an async runtime, ready to record.
pub(crate) fn prepare_thread() {
    lane::prepare();
}

/// Begins to record an execution.
pub(crate) fn open() {
    static LAST: AtomicU32 = AtomicU32::new(0);
    // 0 is none, whatever the number of executions.
    let epoch = LAST.fetch_add(1, Relaxed).wrapping_add(1).max(1);
    store::with(|store| {
        // Whatever came too late for the execution before.
        lane::drain_all(store);
        store.epoch = epoch;
    });
    EPOCH.store(epoch, Relaxed);
}

/// Ends recording, if it is on.
pub(crate) fn close() {
    if EPOCH.swap(0, Relaxed) != 0 {
        store::with(lane::drain_all);
    }
}

/// Forgets what was recorded so far.
pub(crate) fn clear() {
    store::with(store::Store::clear);
}

/// What was recorded since it was last cleared.
pub(crate) fn breakdown() -> Breakdown {
    store::with(|store| store.breakdown())
}
