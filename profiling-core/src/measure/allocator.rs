//! The counting global allocator: what a job asks of the heap, of whatever thread.
//!
//! # How it counts
//!
//! Every thread counts in a block of its own: plain loads and stores, no atomic read-modify-write, and
//! nothing after the inner allocator's methods, which can so return straight to the caller. Another
//! thread can add up what every block holds; a thread that ends leaves its counts behind. The histogram
//! of sizes is compiled in where it is asked for; nothing tests for it elsewhere.
//!
//! # How exact it is
//!
//! Counts and live bytes are exact whenever no other thread is allocating at the very moment of the
//! reading. The peak is exact where one thread allocates between the readings; each further one can
//! make it wrong by at most [`FLUSH_BYTES`], up or down.
//!
//! An allocation, or a growth, that the inner allocator refuses is not counted where it is larger than
//! twice [`FLUSH_BYTES`]; a smaller one, which few programs survive, may be counted as though it had been
//! made.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cmp::Ordering;

use self::account::{Call, Process, Totals, locked};

mod account;

/// How far a thread's counters may be ahead of the process's account, in bytes.
pub const FLUSH_BYTES: i64 = 64 * 1024;

/// How many [`AllocationSpan`]s can be open at once.
pub const MAX_SPANS: usize = 64;

/// How many threads at once can count at full speed. Any further ones are counted as exactly, but one at
/// a time.
pub const MAX_THREADS: usize = 1024;

/// How many powers of two a size may be of.
const SIZES: usize = 64;

/// A global allocator that counts what passes through it and leaves the work to another one.
///
/// `profiling_test_harness::main!()` installs it. By hand:
///
/// ```
/// use profiling_core::{AllocationSpan, CountingAllocator};
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator::system();
///
/// let span = AllocationSpan::begin();
/// drop(vec![0_u8; 1 << 20]);
/// let figures = span.end();
/// assert_eq!(figures.allocations, 1);
/// assert_eq!(figures.peak_bytes, 1 << 20);
/// assert_eq!(figures.retained_bytes, 0);
/// ```
///
/// With [`with_histogram`](Self::with_histogram) it also counts how large the allocations are, which
/// costs some more. Its type says so, since the choice is made when it is compiled:
///
/// ```
/// use std::alloc::System;
///
/// use profiling_core::CountingAllocator;
/// use profiling_core::measure::allocator::allocation_sizes;
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator<System, true> = CountingAllocator::system().with_histogram();
///
/// let before = allocation_sizes().expect("counted");
/// drop(std::hint::black_box(vec![0_u8; 1000]));
/// let sizes = allocation_sizes().expect("counted").since(&before);
/// // 2^9 is the highest power of two that is not above 1000.
/// assert_eq!(sizes.counts()[9], 1);
/// assert_eq!(sizes.counts().iter().sum::<u64>(), 1);
/// ```
#[derive(Debug, Default)]
pub struct CountingAllocator<A = System, const HISTOGRAM: bool = false> {
    inner: A,
}

impl CountingAllocator {
    /// Counts in front of the operating system's allocator.
    #[must_use]
    pub const fn system() -> Self {
        Self::new(System)
    }
}

impl<A> CountingAllocator<A> {
    /// Counts in front of another allocator, to which all four methods are forwarded.
    pub const fn new(inner: A) -> Self {
        Self { inner }
    }

    /// Counts the allocations of each power of two as well, for [`allocation_sizes`].
    #[must_use]
    pub const fn with_histogram(self) -> CountingAllocator<A, true>
    where
        A: Copy,
    {
        CountingAllocator { inner: self.inner }
    }
}

impl<A: GlobalAlloc, const HISTOGRAM: bool> CountingAllocator<A, HISTOGRAM> {
    /// Counts an allocation that is about to be made, unless the slow path must.
    #[inline]
    fn try_allocate(layout: Layout) -> bool {
        let counted = account::try_count(Call::Allocated(layout.size()));
        if HISTOGRAM && counted {
            account::count_size(layout.size());
        }
        counted
    }

    /// Allocates first and then counts, so that what is refused is not counted.
    ///
    /// # Safety
    ///
    /// As of `alloc`.
    #[cold]
    #[inline(never)]
    unsafe fn alloc_slowly(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds the contract of `alloc`.
        let pointer = unsafe { self.inner.alloc(layout) };
        Self::count_unless_refused(pointer, layout)
    }

    /// Allocates first and then counts, so that what is refused is not counted.
    ///
    /// # Safety
    ///
    /// As of `alloc_zeroed`.
    #[cold]
    #[inline(never)]
    unsafe fn alloc_zeroed_slowly(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds the contract of `alloc_zeroed`.
        let pointer = unsafe { self.inner.alloc_zeroed(layout) };
        Self::count_unless_refused(pointer, layout)
    }

    /// # Safety
    ///
    /// As of `dealloc`.
    #[cold]
    #[inline(never)]
    unsafe fn dealloc_slowly(&self, pointer: *mut u8, layout: Layout) {
        account::count(Call::Freed(layout.size()));
        // SAFETY: the caller upholds the contract of `dealloc`.
        unsafe { self.inner.dealloc(pointer, layout) };
    }

    /// Reallocates first and then counts, so that what is refused is not counted.
    ///
    /// # Safety
    ///
    /// As of `realloc`.
    #[cold]
    #[inline(never)]
    unsafe fn realloc_slowly(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller upholds the contract of `realloc`.
        let moved = unsafe { self.inner.realloc(pointer, layout, new_size) };
        if let Some(call) = resizing(layout, new_size).filter(|_| !moved.is_null()) {
            account::count(call);
        }
        moved
    }

    fn count_unless_refused(pointer: *mut u8, layout: Layout) -> *mut u8 {
        if !pointer.is_null() {
            account::count(Call::Allocated(layout.size()));
            if HISTOGRAM {
                account::count_size(layout.size());
            }
        }
        pointer
    }
}

// SAFETY: every method forwards to `inner` with the caller's own arguments and returns what `inner`
// returned; counting touches no memory of the caller, never unwinds and never allocates.
unsafe impl<A: GlobalAlloc, const HISTOGRAM: bool> GlobalAlloc for CountingAllocator<A, HISTOGRAM> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if Self::try_allocate(layout) {
            // SAFETY: the caller upholds the contract of `alloc`.
            unsafe { self.inner.alloc(layout) }
        } else {
            // SAFETY: the caller upholds the contract of `alloc`.
            unsafe { self.alloc_slowly(layout) }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // Forwarded, so that untouched zeroed memory stays unmapped as the inner allocator has it.
        if Self::try_allocate(layout) {
            // SAFETY: the caller upholds the contract of `alloc_zeroed`.
            unsafe { self.inner.alloc_zeroed(layout) }
        } else {
            // SAFETY: the caller upholds the contract of `alloc_zeroed`.
            unsafe { self.alloc_zeroed_slowly(layout) }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if account::try_count(Call::Freed(layout.size())) {
            // SAFETY: the caller upholds the contract of `dealloc`.
            unsafe { self.inner.dealloc(pointer, layout) }
        } else {
            // SAFETY: the caller upholds the contract of `dealloc`.
            unsafe { self.dealloc_slowly(pointer, layout) }
        }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let counted = resizing(layout, new_size).is_none_or(account::try_count);
        if counted {
            // SAFETY: the caller upholds the contract of `realloc`.
            unsafe { self.inner.realloc(pointer, layout, new_size) }
        } else {
            // SAFETY: the caller upholds the contract of `realloc`.
            unsafe { self.realloc_slowly(pointer, layout, new_size) }
        }
    }
}

/// What it is to count of a reallocation; nothing where the size stays.
#[inline]
fn resizing(layout: Layout, new_size: usize) -> Option<Call> {
    match new_size.cmp(&layout.size()) {
        Ordering::Greater => Some(Call::Grown(new_size - layout.size())),
        Ordering::Less => Some(Call::Shrunk(layout.size() - new_size)),
        Ordering::Equal => None,
    }
}

/// Whether a [`CountingAllocator`] is the global allocator of this process.
#[must_use]
pub fn is_installed() -> bool {
    account::counts()
}

/// The bytes that are live on the heap now; `None` where nothing counts them.
#[must_use]
pub fn live_bytes() -> Option<i64> {
    is_installed().then(|| locked(Process::balance).live_bytes)
}

/// How many allocations of each power of two the process has made; `None` where that is not counted, as
/// it is by [`CountingAllocator::with_histogram`].
#[must_use]
pub fn allocation_sizes() -> Option<AllocationSizes> {
    account::counts_sizes().then(|| AllocationSizes { counts: locked(Process::sizes) })
}

/// A histogram of the sizes of allocations, by power of two. Growing an allocation is not another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllocationSizes {
    counts: [u64; SIZES],
}

impl AllocationSizes {
    /// At place `n`, the number of allocations of at least `2^n` and less than `2^(n + 1)` bytes.
    #[must_use]
    pub const fn counts(&self) -> &[u64; SIZES] {
        &self.counts
    }

    /// What was counted between an earlier reading and this one.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self { counts: std::array::from_fn(|n| self.counts[n].wrapping_sub(earlier.counts[n])) }
    }
}

/// The bytes that the calling thread has requested so far, freed again or not; `None` where nothing
/// counts them, or not by thread.
#[inline]
#[must_use]
pub fn thread_allocated_bytes() -> Option<u64> {
    account::thread_allocated()
}

/// What a region of code asked of the heap, on all threads of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllocationFigures {
    /// The number of allocations; growing or shrinking one is not another.
    pub allocations: u64,
    /// The number of allocations that were freed, whoever made them, and when.
    pub deallocations: u64,
    /// How often an allocation was made larger.
    pub grown: u64,
    /// How often an allocation was made smaller.
    pub shrunk: u64,
    /// The bytes requested, by allocations and by growing them, freed again or not.
    pub allocated_bytes: u64,
    /// The most that was live at once, above what was live at entry.
    pub peak_bytes: u64,
    /// What is live at the end above what was live at entry; negative where older memory was freed.
    pub retained_bytes: i64,
}

/// A region of code whose allocations are counted. Spans may nest and overlap.
#[derive(Debug)]
pub struct AllocationSpan {
    slot: usize,
    entry: Totals,
}

impl AllocationSpan {
    /// Begins to count.
    ///
    /// # Panics
    ///
    /// Where no [`CountingAllocator`] is the global allocator, or [`MAX_SPANS`] spans are open.
    #[must_use]
    pub fn begin() -> Self {
        assert!(
            is_installed(),
            "allocations are not counted in this process: add \
             `#[global_allocator] static ALLOCATOR: profiling_core::CountingAllocator = \
             profiling_core::CountingAllocator::system();` to the program, or use `try_begin`"
        );
        Self::try_begin().expect("at most 64 allocation spans can be open at once")
    }

    /// Begins to count; `None` where [`begin`](Self::begin) would panic.
    #[must_use]
    pub fn try_begin() -> Option<Self> {
        if !is_installed() {
            return None;
        }
        let (slot, entry) = locked(Process::open)?;
        Some(Self { slot, entry })
    }

    /// The figures from the beginning until now.
    #[must_use]
    pub fn end(self) -> AllocationFigures {
        let (now, peak) = locked(|process| process.read(self.slot));
        let counts = now.counts.less(self.entry.counts);
        AllocationFigures {
            allocations: counts.allocations,
            deallocations: counts.deallocations,
            grown: counts.grown,
            shrunk: counts.shrunk,
            allocated_bytes: counts.allocated_bytes,
            peak_bytes: (peak - self.entry.live_bytes).max(0).unsigned_abs(),
            retained_bytes: now.live_bytes - self.entry.live_bytes,
        }
    }
}

impl Drop for AllocationSpan {
    fn drop(&mut self) {
        locked(|process| process.close(self.slot));
    }
}
