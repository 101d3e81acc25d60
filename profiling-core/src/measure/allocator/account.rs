//! The account of the heap: a block of counters per thread, and the process's sum of them.
//!
//! A block is written by its thread alone, with plain loads and stores. Its *pending* bytes are what
//! the thread has allocated less what it has freed, ever; the process's live bytes contain them as
//! they were when the block was last settled. [`FLUSH_BYTES`] bounds how far the two drift apart: a
//! thread that would go further settles every block, under the lock. A thread that ends hands its counts
//! over.
//!
//! Threads whose block is not in the register count under the lock: those beyond [`MAX_THREADS`], and
//! every thread in its last moments.
//!
//! # The peak
//!
//! The live bytes of the account change only when blocks are settled. In between, the *height* of a block,
//! its highest pending bytes above what was settled, tells how high the process was, but for what the
//! other threads had pending then: at most [`FLUSH_BYTES`] each, up or down.

#![cfg_attr(
    not(any(target_os = "linux", target_vendor = "apple", all(windows, target_env = "msvc"))),
    allow(dead_code, reason = "without native thread-local variables, no block enters the register")
)]

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::{FLUSH_BYTES, MAX_SPANS, MAX_THREADS};

/// The counters of one thread; what the fast path needs shares a cache line.
///
/// `allocated` begins at [`BASE`], so that pending bytes are positive, whoever frees what another thread
/// has allocated, and that no size can overflow them.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Block {
    /// Written by the block's thread alone, as are the next two.
    allocations: AtomicU64,
    allocated: AtomicU64,
    released: AtomicU64,
    /// The highest that the pending bytes were since the block was last settled.
    high: AtomicU64,
    /// Pending bytes above this take the slow path.
    top: AtomicU64,
    /// Released bytes above this take the slow path: from here on, the pending bytes might be too low.
    released_limit: AtomicU64,
    /// The pending bytes when the block was last settled; written under the lock.
    settled: AtomicU64,
    /// Used by the block's thread alone.
    place: Cell<Place>,
}

/// Where a thread's counts go.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// It has counted nothing yet.
    Unseen,
    /// Into its block, which has this index in the register.
    Register(usize),
    /// Straight into the process's account.
    Process,
}

/// What calls of the allocator change.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Change {
    pub(super) allocations: u64,
    pub(super) allocated: u64,
    pub(super) released: u64,
}

/// The counters of the whole process at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Totals {
    pub(super) allocations: u64,
    pub(super) allocated_bytes: u64,
    pub(super) live_bytes: i64,
}

/// The account of the whole process.
#[derive(Debug)]
pub(super) struct Process {
    /// The blocks of the threads that are alive; null where there is none.
    register: [Cell<*const Block>; MAX_THREADS],
    /// How far the register is in use.
    used: Cell<usize>,
    /// What was counted by threads that are no longer in the register, or never were.
    handed_over: Cell<Change>,
    /// Live bytes: what was pending in every block when it was last settled, and what was handed over.
    live: Cell<i64>,
    /// The highest that the live bytes were since the account was last balanced.
    peak: Cell<i64>,
    /// The peak that each open span saw until the account was last balanced.
    spans: [Cell<Option<i64>>; MAX_SPANS],
    /// What takes the blocks of ending threads out of the register.
    #[cfg(target_os = "linux")]
    key: Cell<Option<libc::pthread_key_t>>,
}

/// Guards [`PROCESS`]. A spin lock: `std`'s may allocate, and this one is held for a few instructions.
static LOCK: AtomicBool = AtomicBool::new(false);
static PROCESS: Process = Process {
    register: [const { Cell::new(ptr::null()) }; MAX_THREADS],
    used: Cell::new(0),
    handed_over: Cell::new(Change { allocations: 0, allocated: 0, released: 0 }),
    live: Cell::new(0),
    peak: Cell::new(0),
    spans: [const { Cell::new(None) }; MAX_SPANS],
    #[cfg(target_os = "linux")]
    key: Cell::new(None),
};

/// Whether anything was ever counted.
static COUNTED: AtomicBool = AtomicBool::new(false);

// SAFETY: `PROCESS`, the only one there is, is reached through `locked` alone, by one thread at a time.
unsafe impl Sync for Process {}

/// Does `work`, which must neither allocate nor panic, with the process's account to itself.
pub(super) fn locked<R>(work: impl FnOnce(&Process) -> R) -> R {
    while LOCK.compare_exchange_weak(false, true, Acquire, Relaxed).is_err() {
        std::thread::yield_now();
    }
    let result = work(&PROCESS);
    LOCK.store(false, Release);
    result
}

/// Counts allocations, or bytes by which one has grown, unless the slow path must.
#[inline]
pub(super) fn try_allocate(allocations: u64, bytes: usize) -> bool {
    thread::with_block(|block| block.try_allocate(allocations, bytes as u64)).unwrap_or(false)
}

/// Counts bytes that are freed, unless the slow path must.
#[inline]
pub(super) fn try_release(bytes: usize) -> bool {
    thread::with_block(|block| block.try_release(bytes as u64)).unwrap_or(false)
}

/// The bytes that the calling thread has allocated; `None` where its block doesn't count.
#[inline]
pub(super) fn thread_allocated() -> Option<u64> {
    thread::with_block(Block::thread_allocated).flatten()
}

/// The slow path: counts, registers the block of a thread that is new, and settles it where it has
/// drifted too far.
#[cold]
#[inline(never)]
pub(super) fn count(change: Change) {
    thread::with_block(|block| block.count(change));
}

/// Whether anything is counted in this process, as it is where the global allocator counts.
pub(super) fn counts() -> bool {
    if !COUNTED.load(Relaxed) {
        // Nothing may have been allocated so far.
        drop(std::hint::black_box(Box::new(0_u8)));
    }
    COUNTED.load(Relaxed)
}

impl Block {
    /// A block whose thread always takes the slow path.
    const fn new(place: Place) -> Self {
        Self {
            allocations: AtomicU64::new(0),
            allocated: AtomicU64::new(BASE),
            released: AtomicU64::new(0),
            high: AtomicU64::new(0),
            top: AtomicU64::new(0),
            released_limit: AtomicU64::new(0),
            settled: AtomicU64::new(BASE),
            place: Cell::new(place),
        }
    }

    #[inline]
    fn try_allocate(&self, allocations: u64, bytes: u64) -> bool {
        let allocated = own(&self.allocated).wrapping_add(bytes);
        let pending = allocated.wrapping_sub(own(&self.released));
        // Whatever is above `top` is a new high.
        if pending > self.high.load(Relaxed) {
            if pending > self.top.load(Relaxed) {
                return false;
            }
            self.high.store(pending, Relaxed);
        }
        self.allocated.store(allocated, Relaxed);
        self.allocations.store(own(&self.allocations).wrapping_add(allocations), Relaxed);
        true
    }

    #[inline]
    fn try_release(&self, bytes: u64) -> bool {
        let released = own(&self.released).wrapping_add(bytes);
        if released > self.released_limit.load(Relaxed) {
            return false;
        }
        self.released.store(released, Relaxed);
        true
    }

    #[inline]
    fn thread_allocated(&self) -> Option<u64> {
        match self.place.get() {
            Place::Register(_) => Some(own(&self.allocated).wrapping_sub(BASE)),
            // It has allocated nothing so far, if any thread is counted at all.
            Place::Unseen => COUNTED.load(Relaxed).then_some(0),
            Place::Process => None,
        }
    }

    fn count(&self, change: Change) {
        if let Place::Unseen = self.place.get() {
            self.enter();
        }
        if let Place::Register(_) = self.place.get() {
            self.add(change);
            let drift = self.drift();
            if (-FLUSH_BYTES..=FLUSH_BYTES).contains(&drift) {
                // Bytes were allocated meanwhile, so that more may be released.
                self.limit_released(drift);
            } else {
                locked(Process::settle);
            }
        } else {
            COUNTED.store(true, Relaxed);
            locked(|process| process.count(change));
        }
    }

    fn add(&self, change: Change) {
        self.allocations.store(own(&self.allocations).wrapping_add(change.allocations), Relaxed);
        self.allocated.store(own(&self.allocated).wrapping_add(change.allocated), Relaxed);
        self.released.store(own(&self.released).wrapping_add(change.released), Relaxed);
        let pending = self.pending();
        if pending > self.high.load(Relaxed) {
            self.high.store(pending, Relaxed);
        }
    }

    /// Puts the block into the register, if there is room, and if the block will leave it in time.
    fn enter(&self) {
        COUNTED.store(true, Relaxed);
        // What follows may itself allocate, on some platforms.
        self.place.set(Place::Process);
        if thread::will_leave()
            && let Some(index) = locked(|process| process.register(self))
        {
            self.place.set(Place::Register(index));
        }
    }

    /// Takes the block out of the register. The thread may go on to allocate and free.
    fn leave(&self) {
        if let Place::Register(index) = self.place.replace(Place::Process) {
            locked(|process| process.unregister(self, index));
            self.high.store(0, Relaxed);
            self.top.store(0, Relaxed);
            self.released_limit.store(0, Relaxed);
        }
    }

    /// Bytes allocated less bytes released, above [`BASE`].
    fn pending(&self) -> u64 {
        let mut allocated = self.allocated.load(Acquire);
        for _ in 0..16 {
            let released = self.released.load(Acquire);
            let still = self.allocated.load(Acquire);
            if still == allocated {
                return allocated.wrapping_sub(released);
            }
            // The block's thread is allocating, and may have released as much meanwhile.
            allocated = still;
        }
        allocated.wrapping_sub(self.released.load(Relaxed))
    }

    /// How far the pending bytes are above what was settled.
    fn drift(&self) -> i64 {
        difference(self.pending(), self.settled.load(Relaxed))
    }

    /// Begins a new high and new limits. Returns how far above what was settled the pending bytes have
    /// been, and are now.
    fn settle(&self) -> (i64, i64) {
        let (pending, settled) = (self.pending(), self.settled.load(Relaxed));
        let high = self.high.load(Relaxed).max(pending);
        if (high, pending) == (settled, settled) {
            // Most threads wait, and their cache lines are best left alone.
            return (0, 0);
        }
        self.settled.store(pending, Relaxed);
        // A thread that is counting right now may overwrite some of this with what it was before, and
        // may so drift twice as far. Only the peak knows of it.
        self.high.store(pending, Relaxed);
        self.top.store(pending.wrapping_add_signed(FLUSH_BYTES), Relaxed);
        self.limit_released(0);
        (difference(high, settled), difference(pending, settled))
    }

    /// Limits how much may be released before the pending bytes, which are `drift` above what was
    /// settled, must be looked at again.
    fn limit_released(&self, drift: i64) {
        self.released_limit.store(self.released.load(Relaxed).wrapping_add_signed(drift + FLUSH_BYTES), Relaxed);
    }
}

/// What the pending bytes of a new block are.
const BASE: u64 = 1 << 62;

/// How far one number of pending bytes is above another.
fn difference(pending: u64, other: u64) -> i64 {
    pending.wrapping_sub(other).cast_signed()
}

/// Reads a counter on the thread that alone writes to it: that of the block.
#[inline]
fn own(counter: &AtomicU64) -> u64 {
    // SAFETY: no other thread writes to the counter, and reading it while others read it is no race.
    // A load that is not atomic can be part of the instruction that uses it, which is cheaper.
    unsafe { *counter.as_ptr() }
}

impl Change {
    fn plus(self, other: Self) -> Self {
        Self {
            allocations: self.allocations.wrapping_add(other.allocations),
            allocated: self.allocated.wrapping_add(other.allocated),
            released: self.released.wrapping_add(other.released),
        }
    }
}

impl Process {
    /// Finds a place for a block.
    fn register(&self, block: &Block) -> Option<usize> {
        let used = self.used.get();
        let index = self.register[..used].iter().position(|place| place.get().is_null()).unwrap_or(used);
        self.register.get(index)?.set(block);
        self.used.set(used.max(index + 1));
        block.settle();
        Some(index)
    }

    /// Takes over what a block has counted.
    fn unregister(&self, block: &Block, index: usize) {
        self.settle();
        self.register[index].set(ptr::null());
        while self.used.get().checked_sub(1).is_some_and(|last| self.register[last].get().is_null()) {
            self.used.set(self.used.get() - 1);
        }
        let counted = Change {
            allocations: block.allocations.swap(0, Relaxed),
            allocated: block.allocated.swap(BASE, Relaxed).wrapping_sub(BASE),
            released: block.released.swap(0, Relaxed),
        };
        self.handed_over.set(self.handed_over.get().plus(counted));
    }

    /// The blocks of the register.
    fn blocks(&self) -> impl Iterator<Item = &Block> {
        // SAFETY: a block is in the register only while its thread is alive, which takes it out under
        // the lock before its thread-local variables go; and the lock is held for as long as `self`
        // can be reached.
        self.register[..self.used.get()].iter().filter_map(|place| unsafe { place.get().as_ref() })
    }

    /// Counts what a thread without a block does.
    fn count(&self, change: Change) {
        self.settle();
        self.handed_over.set(self.handed_over.get().plus(change));
        let live = self.live.get() + change.allocated.wrapping_sub(change.released).cast_signed();
        self.live.set(live);
        self.peak.set(self.peak.get().max(live));
    }

    /// Brings the account up to date with every block.
    fn settle(&self) {
        let before = self.live.get();
        let (mut live, mut peak) = (before, self.peak.get());
        for block in self.blocks() {
            let (height, drift) = block.settle();
            peak = peak.max(before + height);
            live += drift;
        }
        self.live.set(live);
        self.peak.set(peak.max(live));
    }

    /// Brings the account up to date, moves the peak so far into every open span, and begins a new peak
    /// at what is live now.
    pub(super) fn balance(&self) -> Totals {
        self.settle();
        let peak = self.peak.replace(self.live.get());
        for span in &self.spans {
            span.set(span.get().map(|seen| seen.max(peak)));
        }
        let sum = self.blocks().fold(self.handed_over.get(), |sum, block| {
            sum.plus(Change {
                allocations: block.allocations.load(Relaxed),
                allocated: block.allocated.load(Relaxed).wrapping_sub(BASE),
                released: 0,
            })
        });
        Totals { allocations: sum.allocations, allocated_bytes: sum.allocated, live_bytes: self.live.get() }
    }

    /// Opens a span, whose peak begins at what is live now; `None` where [`MAX_SPANS`] are open.
    pub(super) fn open(&self) -> Option<(usize, Totals)> {
        let slot = self.spans.iter().position(|span| span.get().is_none())?;
        let totals = self.balance();
        self.spans[slot].set(Some(totals.live_bytes));
        Some((slot, totals))
    }

    /// The counters now, and the highest live bytes since the span was opened.
    pub(super) fn read(&self, slot: usize) -> (Totals, i64) {
        let totals = self.balance();
        (totals, self.spans[slot].get().unwrap_or(totals.live_bytes))
    }

    /// Closes a span.
    pub(super) fn close(&self, slot: usize) {
        self.spans[slot].set(None);
    }
}

/// The block of the calling thread, where the linker knows thread-local variables: they cost nothing to
/// make and can be used until the thread's very end.
#[cfg(any(target_os = "linux", target_vendor = "apple", all(windows, target_env = "msvc")))]
mod thread {
    use super::{Block, Place};

    thread_local! {
        /// Has no destructor, and so is never gone.
        static BLOCK: Block = const { Block::new(Place::Unseen) };
    }

    /// Never fails. `try_with`, since `with` is not meant to be inlined, and costs more than the counting.
    #[inline]
    pub(super) fn with_block<R>(work: impl FnOnce(&Block) -> R) -> Option<R> {
        BLOCK.try_with(work).ok()
    }

    pub(super) use self::end::will_leave;

    /// On Linux, `std`'s destructors run before those of pthread keys, which may be the first in a thread
    /// to call the allocator: a destructor of `std`'s that is registered then never runs. A key's does,
    /// in the same round of destructors or in the next.
    #[cfg(target_os = "linux")]
    mod end {
        use std::ffi::c_void;
        use std::ptr::NonNull;

        use super::super::{Block, Process, locked};
        use super::BLOCK;

        /// Sees to it that the thread's block leaves the register when the thread ends.
        pub(in super::super) fn will_leave() -> bool {
            let Some(key) = locked(Process::key) else { return false };
            // SAFETY: the key was created and is never deleted; its value is never dereferenced.
            unsafe { libc::pthread_setspecific(key, NonNull::<c_void>::dangling().as_ptr()) == 0 }
        }

        extern "C" fn leave(_: *mut c_void) {
            BLOCK.with(Block::leave);
        }

        impl Process {
            /// The key whose destructor takes blocks out of the register.
            fn key(&self) -> Option<libc::pthread_key_t> {
                self.key.get().or_else(|| {
                    let mut key = 0;
                    // SAFETY: `key` is valid for a write, and `leave` is what a destructor must be.
                    let created = unsafe { libc::pthread_key_create(&raw mut key, Some(leave)) == 0 };
                    self.key.set(created.then_some(key));
                    self.key.get()
                })
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    mod end {
        use super::super::Block;
        use super::BLOCK;

        struct Ending;

        impl Drop for Ending {
            fn drop(&mut self) {
                BLOCK.with(Block::leave);
            }
        }

        thread_local! {
            static ENDING: Ending = const { Ending };
        }

        /// Sees to it that the thread's block leaves the register when the thread ends.
        pub(in super::super) fn will_leave() -> bool {
            ENDING.try_with(|_| ()).is_ok()
        }
    }
}

/// Elsewhere, `std` allocates for thread-local variables, and takes them away in an order that it
/// doesn't tell. There, everything is counted under the lock.
#[cfg(not(any(target_os = "linux", target_vendor = "apple", all(windows, target_env = "msvc"))))]
mod thread {
    use super::{Block, Place};

    struct Shared(Block);

    // SAFETY: a block with this place is never written.
    unsafe impl Sync for Shared {}

    static BLOCK: Shared = Shared(Block::new(Place::Process));

    #[inline]
    #[expect(clippy::unnecessary_wraps, reason = "the same interface on every platform")]
    pub(super) fn with_block<R>(work: impl FnOnce(&Block) -> R) -> Option<R> {
        Some(work(&BLOCK.0))
    }

    pub(super) fn will_leave() -> bool {
        false
    }
}
