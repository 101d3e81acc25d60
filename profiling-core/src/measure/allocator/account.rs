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

use super::{FLUSH_BYTES, MAX_SPANS, MAX_THREADS, SIZES};

/// The counters of one thread; what the fast path needs is one cache line.
///
/// The pending bytes begin at [`BASE`], so that they are positive, whoever frees what another thread has
/// allocated, and that no size can overflow them.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Block {
    /// What the thread has allocated less what it has freed. Written by the block's thread alone.
    pending: AtomicU64,
    /// The highest that the pending bytes were since the block was last settled. Like the three that follow,
    /// written by whichever thread settles the block: never to be read through [`own`].
    high: AtomicU64,
    /// Pending bytes above this take the slow path.
    top: AtomicU64,
    /// Pending bytes below this take the slow path.
    bottom: AtomicU64,
    /// The pending bytes when the block was last settled; written under the lock.
    settled: AtomicU64,
    /// The bytes that the thread has allocated, freed again or not. Written by the block's thread alone, as is
    /// all that follows.
    allocated: AtomicU64,
    allocations: AtomicU64,
    deallocations: AtomicU64,
    grown: AtomicU64,
    shrunk: AtomicU64,
    place: Cell<Place>,
    /// The allocations of each power of two, where they are asked for.
    sizes: [AtomicU64; SIZES],
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

/// What only ever grows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub(super) allocations: u64,
    pub(super) deallocations: u64,
    pub(super) grown: u64,
    pub(super) shrunk: u64,
    pub(super) allocated_bytes: u64,
}

/// What a call of the allocator did, with so many bytes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Call {
    Allocated(usize),
    Freed(usize),
    /// By so many bytes, as the next one.
    Grown(usize),
    Shrunk(usize),
}

/// The counters of the whole process at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Totals {
    pub(super) counts: Counts,
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
    handed_over: Cell<Counts>,
    /// The same of the allocations of each power of two.
    sizes: [Cell<u64>; SIZES],
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
    handed_over: Cell::new(Counts::NONE),
    sizes: [const { Cell::new(0) }; SIZES],
    live: Cell::new(0),
    peak: Cell::new(0),
    spans: [const { Cell::new(None) }; MAX_SPANS],
    #[cfg(target_os = "linux")]
    key: Cell::new(None),
};

/// Whether anything was ever counted.
static COUNTED: AtomicBool = AtomicBool::new(false);
/// Whether the size of any allocation was ever counted.
static SIZED: AtomicBool = AtomicBool::new(false);

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

/// Counts a call, unless the slow path must.
#[inline]
pub(super) fn try_count(call: Call) -> bool {
    thread::with_block(|block| block.try_count(call)).unwrap_or(false)
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
pub(super) fn count(call: Call) {
    thread::with_block(|block| block.count(call));
}

/// Counts the size of an allocation that is counted already.
#[inline]
pub(super) fn count_size(bytes: usize) {
    if !SIZED.load(Relaxed) {
        SIZED.store(true, Relaxed);
    }
    thread::with_block(|block| block.count_size(bytes));
}

/// Whether the sizes of allocations are counted in this process.
pub(super) fn counts_sizes() -> bool {
    counts() && SIZED.load(Relaxed)
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
            pending: AtomicU64::new(BASE),
            high: AtomicU64::new(0),
            top: AtomicU64::new(0),
            bottom: AtomicU64::new(u64::MAX),
            settled: AtomicU64::new(BASE),
            allocated: AtomicU64::new(0),
            allocations: AtomicU64::new(0),
            deallocations: AtomicU64::new(0),
            grown: AtomicU64::new(0),
            shrunk: AtomicU64::new(0),
            place: Cell::new(place),
            sizes: [const { AtomicU64::new(0) }; SIZES],
        }
    }

    #[inline]
    fn try_count(&self, call: Call) -> bool {
        let moved = match call {
            Call::Allocated(bytes) | Call::Grown(bytes) => self.try_rise(bytes as u64),
            Call::Freed(bytes) | Call::Shrunk(bytes) => self.try_fall(bytes as u64),
        };
        if moved {
            self.add(call);
        }
        moved
    }

    #[inline]
    fn try_rise(&self, bytes: u64) -> bool {
        let pending = own(&self.pending).wrapping_add(bytes);
        // Whatever is above `top` is a new high.
        if pending > self.high.load(Relaxed) {
            if pending > self.top.load(Relaxed) {
                return false;
            }
            self.high.store(pending, Relaxed);
        }
        self.pending.store(pending, Relaxed);
        true
    }

    #[inline]
    fn try_fall(&self, bytes: u64) -> bool {
        let pending = own(&self.pending).wrapping_sub(bytes);
        if pending < self.bottom.load(Relaxed) {
            return false;
        }
        self.pending.store(pending, Relaxed);
        true
    }

    #[inline]
    fn thread_allocated(&self) -> Option<u64> {
        match self.place.get() {
            Place::Register(_) => Some(own(&self.allocated)),
            // It has allocated nothing so far, if any thread is counted at all.
            Place::Unseen => COUNTED.load(Relaxed).then_some(0),
            Place::Process => None,
        }
    }

    /// Adds a call to the counts.
    #[inline]
    fn add(&self, call: Call) {
        match call {
            Call::Allocated(bytes) => {
                add(&self.allocations, 1);
                add(&self.allocated, bytes as u64);
            }
            Call::Freed(_) => add(&self.deallocations, 1),
            Call::Grown(bytes) => {
                add(&self.grown, 1);
                add(&self.allocated, bytes as u64);
            }
            Call::Shrunk(_) => add(&self.shrunk, 1),
        }
    }

    fn count(&self, call: Call) {
        if let Place::Unseen = self.place.get() {
            self.enter();
        }
        if let Place::Register(_) = self.place.get() {
            let pending = own(&self.pending).wrapping_add_signed(call.live_bytes());
            self.pending.store(pending, Relaxed);
            self.high.store(self.high.load(Relaxed).max(pending), Relaxed);
            self.add(call);
            let drift = difference(pending, self.settled.load(Relaxed));
            if !(-FLUSH_BYTES..=FLUSH_BYTES).contains(&drift) {
                locked(Process::settle);
            }
        } else {
            COUNTED.store(true, Relaxed);
            locked(|process| process.count(call));
        }
    }

    fn count_size(&self, bytes: usize) {
        let power = (bytes | 1).ilog2() as usize;
        if let Place::Register(_) = self.place.get() {
            add(&self.sizes[power], 1);
        } else {
            locked(|process| process.sizes[power].update(|size| size.wrapping_add(1)));
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
            self.bottom.store(u64::MAX, Relaxed);
        }
    }

    /// Begins a new high and new limits. Returns how far above what was settled the pending bytes have
    /// been, and are now.
    fn settle(&self) -> (i64, i64) {
        let (pending, settled) = (self.pending.load(Relaxed), self.settled.load(Relaxed));
        let high = self.high.load(Relaxed).max(pending);
        if (high, pending) == (settled, settled) {
            // Most threads wait, and their cache lines are best left alone.
            return (0, 0);
        }
        self.begin_at(pending);
        (difference(high, settled), difference(pending, settled))
    }

    /// Begins with these pending bytes, to which the limits are relative.
    fn begin_at(&self, pending: u64) {
        self.settled.store(pending, Relaxed);
        // A thread that is counting right now may go by the limits that were before, or overwrite the new
        // high, and may so drift twice as far. Only the peak knows of it.
        self.high.store(pending, Relaxed);
        self.top.store(pending.wrapping_add_signed(FLUSH_BYTES), Relaxed);
        self.bottom.store(pending.wrapping_add_signed(-FLUSH_BYTES), Relaxed);
    }

    /// Takes the counts, of a block that counts no longer.
    fn take(&self) -> Counts {
        Counts {
            allocations: self.allocations.swap(0, Relaxed),
            deallocations: self.deallocations.swap(0, Relaxed),
            grown: self.grown.swap(0, Relaxed),
            shrunk: self.shrunk.swap(0, Relaxed),
            allocated_bytes: self.allocated.swap(0, Relaxed),
        }
    }

    fn counts(&self) -> Counts {
        Counts {
            allocations: self.allocations.load(Relaxed),
            deallocations: self.deallocations.load(Relaxed),
            grown: self.grown.load(Relaxed),
            shrunk: self.shrunk.load(Relaxed),
            allocated_bytes: self.allocated.load(Relaxed),
        }
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

/// Adds to a counter on the thread that alone writes to it.
#[inline]
fn add(counter: &AtomicU64, amount: u64) {
    counter.store(own(counter).wrapping_add(amount), Relaxed);
}

impl Counts {
    const NONE: Self = Self { allocations: 0, deallocations: 0, grown: 0, shrunk: 0, allocated_bytes: 0 };

    fn of(call: Call) -> Self {
        match call {
            Call::Allocated(bytes) => Self { allocations: 1, allocated_bytes: bytes as u64, ..Self::NONE },
            Call::Freed(_) => Self { deallocations: 1, ..Self::NONE },
            Call::Grown(bytes) => Self { grown: 1, allocated_bytes: bytes as u64, ..Self::NONE },
            Call::Shrunk(_) => Self { shrunk: 1, ..Self::NONE },
        }
    }

    fn plus(self, other: Self) -> Self {
        self.with(other, u64::wrapping_add)
    }

    /// What was counted since.
    pub(super) fn less(self, other: Self) -> Self {
        self.with(other, u64::wrapping_sub)
    }

    fn with(self, other: Self, combine: fn(u64, u64) -> u64) -> Self {
        Self {
            allocations: combine(self.allocations, other.allocations),
            deallocations: combine(self.deallocations, other.deallocations),
            grown: combine(self.grown, other.grown),
            shrunk: combine(self.shrunk, other.shrunk),
            allocated_bytes: combine(self.allocated_bytes, other.allocated_bytes),
        }
    }
}

impl Call {
    /// How many more bytes are live.
    fn live_bytes(self) -> i64 {
        match self {
            Self::Allocated(bytes) | Self::Grown(bytes) => (bytes as u64).cast_signed(),
            Self::Freed(bytes) | Self::Shrunk(bytes) => (bytes as u64).cast_signed().wrapping_neg(),
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
        block.begin_at(BASE);
        Some(index)
    }

    /// Takes over what a block has counted.
    fn unregister(&self, block: &Block, index: usize) {
        self.settle();
        self.register[index].set(ptr::null());
        while self.used.get().checked_sub(1).is_some_and(|last| self.register[last].get().is_null()) {
            self.used.set(self.used.get() - 1);
        }
        self.handed_over.set(self.handed_over.get().plus(block.take()));
        for (sum, size) in self.sizes.iter().zip(&block.sizes) {
            sum.set(sum.get().wrapping_add(size.swap(0, Relaxed)));
        }
    }

    /// The blocks of the register.
    fn blocks(&self) -> impl Iterator<Item = &Block> {
        // SAFETY: a block is in the register only while its thread is alive, which takes it out under
        // the lock before its thread-local variables go; and the lock is held for as long as `self`
        // can be reached.
        self.register[..self.used.get()].iter().filter_map(|place| unsafe { place.get().as_ref() })
    }

    /// Counts what a thread without a block does.
    fn count(&self, call: Call) {
        self.settle();
        self.handed_over.set(self.handed_over.get().plus(Counts::of(call)));
        let live = self.live.get().wrapping_add(call.live_bytes());
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
        let counts = self.blocks().fold(self.handed_over.get(), |sum, block| sum.plus(block.counts()));
        Totals { counts, live_bytes: self.live.get() }
    }

    /// How many allocations of each power of two there were.
    pub(super) fn sizes(&self) -> [u64; SIZES] {
        let ended = self.sizes.each_ref().map(Cell::get);
        self.blocks().fold(ended, |mut sums, block| {
            for (sum, size) in sums.iter_mut().zip(&block.sizes) {
                *sum = sum.wrapping_add(size.load(Relaxed));
            }
            sums
        })
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
