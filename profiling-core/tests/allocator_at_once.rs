//! Threads that count at once while others read, settle and leave: for `ThreadSanitizer`, which sees every
//! access to the account (`bash .ci/run races`), and exact without it.
//!
//! Threads meet through atomics and joins alone: `std` is not built for the sanitizer, which doesn't see what
//! its locks and channels order; nor is libtest. Every call is made by hand, on allocators that are not the global one.

#[path = "support/serial.rs"]
mod serial;

use std::alloc::{GlobalAlloc, Layout, System};
use std::process::ExitCode;
use std::ptr;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize};
use std::thread;

use profiling_core::measure::allocator::{allocation_sizes, live_bytes, thread_allocated_bytes};
use profiling_core::{AllocationSpan, CountingAllocator};

static PLAIN: CountingAllocator = CountingAllocator::system();
static SIZED: CountingAllocator<System, true> = CountingAllocator::system().with_histogram();

const THREADS: usize = 3;
const ROUNDS: usize = 40;
const STEPS: usize = 200;
/// Below and above what settles the account, and what a thread may do without.
const LENGTHS: [usize; 5] = [8, 100, 3_000, 40_000, 70_000];

fn main() -> ExitCode {
    serial::main(&[(
        "what_threads_count_at_once_is_no_race_and_exact",
        what_threads_count_at_once_is_no_race_and_exact,
    )])
}

/// What memory begins with.
type Length = [u8; size_of::<usize>()];

/// Memory that begins with its own length.
struct Memory(*mut u8);

impl Memory {
    fn new(allocator: &impl GlobalAlloc, length: usize) -> Self {
        // SAFETY: no length is 0.
        let pointer = unsafe { allocator.alloc(Self::layout(length)) };
        assert!(!pointer.is_null());
        // SAFETY: the memory is as long as a length, or longer.
        unsafe { pointer.cast::<Length>().write(length.to_ne_bytes()) };
        Self(pointer)
    }

    fn resize(&mut self, allocator: &impl GlobalAlloc, length: usize) {
        // SAFETY: the memory has this layout, and the new length is not 0.
        let pointer = unsafe { allocator.realloc(self.0, Self::layout(self.length()), length) };
        assert!(!pointer.is_null());
        // SAFETY: as in `new`.
        unsafe { pointer.cast::<Length>().write(length.to_ne_bytes()) };
        self.0 = pointer;
    }

    fn free(self, allocator: &impl GlobalAlloc) {
        // SAFETY: the memory has this layout, and is not used again.
        unsafe { allocator.dealloc(self.0, Self::layout(self.length())) };
    }

    fn length(&self) -> usize {
        // SAFETY: `new` and `resize` have written it.
        unsafe { usize::from_ne_bytes(self.0.cast::<Length>().read()) }
    }

    fn layout(length: usize) -> Layout {
        Layout::from_size_align(length, 8).expect("a layout")
    }
}

/// Allocates, resizes and frees; leaves some memory in `exchange`, and frees what others have left there.
fn work(number: usize, exchange: &AtomicPtr<u8>) -> u64 {
    let mut bytes = 0;
    for step in 0..STEPS {
        let [length, other] = [step + number, step / 3].map(|at| LENGTHS[at % LENGTHS.len()]);
        let mut memory = if step % 2 == 0 { Memory::new(&PLAIN, length) } else { Memory::new(&SIZED, length) };
        memory.resize(&PLAIN, other);
        bytes += (length + other.saturating_sub(length)) as u64;
        let found = if step % 4 == 0 { exchange.swap(memory.0, AcqRel) } else { memory.0 };
        if !found.is_null() {
            Memory(found).free(&SIZED);
        }
    }
    bytes
}

/// Reads whatever can be read until all have worked.
fn look(over: &AtomicBool) -> usize {
    let mut looks = 0;
    while !over.load(Acquire) {
        let span = AllocationSpan::begin();
        assert!(live_bytes().is_some());
        let figures = span.end();
        assert!(figures.allocations <= (THREADS * STEPS * ROUNDS) as u64);
        looks += 1;
    }
    looks
}

fn what_threads_count_at_once_is_no_race_and_exact() {
    static EXCHANGE: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
    static OVER: AtomicBool = AtomicBool::new(false);
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    Memory::new(&SIZED, 8).free(&SIZED);
    let sizes = allocation_sizes().expect("counted");
    let span = AllocationSpan::begin();
    let reader = thread::spawn(|| look(&OVER));
    let mut bytes = 0;
    for round in 1..=ROUNDS {
        // So that they work at once.
        let body = move |number| {
            STARTED.fetch_add(1, Release);
            while STARTED.load(Acquire) < round * THREADS {
                thread::yield_now();
            }
            let before = thread_allocated_bytes();
            let bytes = work(number, &EXCHANGE);
            let told = before.zip(thread_allocated_bytes()).map(|(before, after)| after - before);
            (bytes, told)
        };
        let threads: Vec<_> = (0..THREADS).map(|number| thread::spawn(move || body(number))).collect();
        for thread in threads {
            let (truth, told) = thread.join().expect("no panic");
            assert!(told.is_none_or(|told| told == truth), "{told:?}, but {truth}");
            bytes += truth;
        }
    }
    OVER.store(true, Release);
    assert!(reader.join().expect("no panic") > 0);
    let left = EXCHANGE.swap(ptr::null_mut(), Relaxed);
    assert!(!left.is_null());
    Memory(left).free(&PLAIN);
    let figures = span.end();
    let calls = (THREADS * STEPS * ROUNDS) as u64;
    assert_eq!((figures.allocations, figures.deallocations), (calls, calls));
    assert_eq!((figures.allocated_bytes, figures.retained_bytes), (bytes, 0));
    let since = allocation_sizes().expect("counted").since(&sizes);
    assert_eq!(since.counts().iter().sum::<u64>(), calls / 2);
}
