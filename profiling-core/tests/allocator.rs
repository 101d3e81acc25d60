//! The counting allocator against what it was told. Every call is made by hand, on an allocator that is
//! not the global one: nothing but the test is counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cmp::Ordering;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use profiling_core::measure::allocator::{
    FLUSH_BYTES, MAX_SPANS, MAX_THREADS, allocation_sizes, live_bytes, thread_allocated_bytes,
};
use profiling_core::{AllocationFigures, AllocationSpan, CountingAllocator};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

static ALLOCATOR: CountingAllocator = CountingAllocator::system();

const FLUSH: u64 = FLUSH_BYTES.unsigned_abs();

const NOTHING: AllocationFigures = AllocationFigures {
    allocations: 0,
    deallocations: 0,
    grown: 0,
    shrunk: 0,
    allocated_bytes: 0,
    peak_bytes: 0,
    retained_bytes: 0,
};

/// The figures are of the whole process: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    let guard = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    // A span can begin once anything was counted.
    drop(Block::new(1));
    guard
}

/// Memory from the counting allocator.
#[derive(Debug)]
struct Block {
    pointer: NonNull<u8>,
    size: usize,
}

// SAFETY: the block owns its memory, which any thread may use, resize and free.
unsafe impl Send for Block {}

impl Block {
    fn new(size: usize) -> Self {
        // SAFETY: `layout` lets no size of 0 pass.
        let pointer = unsafe { ALLOCATOR.alloc(Self::layout(size)) };
        Self { pointer: NonNull::new(pointer).expect("memory"), size }
    }

    fn zeroed(size: usize) -> Self {
        // SAFETY: `layout` lets no size of 0 pass.
        let pointer = unsafe { ALLOCATOR.alloc_zeroed(Self::layout(size)) };
        Self { pointer: NonNull::new(pointer).expect("memory"), size }
    }

    fn resize(&mut self, size: usize) {
        assert_ne!(size, 0);
        // SAFETY: the memory was allocated with this layout, and the new size is not 0.
        let pointer = unsafe { ALLOCATOR.realloc(self.pointer.as_ptr(), Self::layout(self.size), size) };
        self.pointer = NonNull::new(pointer).expect("memory");
        self.size = size;
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the memory is the block's, of this size; only `zeroed` blocks are read.
        unsafe { std::slice::from_raw_parts(self.pointer.as_ptr(), self.size) }
    }

    fn layout(size: usize) -> Layout {
        assert_ne!(size, 0);
        Layout::from_size_align(size, 8).expect("a layout")
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: the memory was allocated with this layout, and is not used again.
        unsafe { ALLOCATOR.dealloc(self.pointer.as_ptr(), Self::layout(self.size)) };
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).expect("a size")
}

#[test]
fn counts_every_method() {
    let _alone = alone();
    let span = AllocationSpan::begin();
    let mut first = Block::new(100);
    let second = Block::zeroed(200);
    first.resize(150);
    first.resize(30);
    assert!(second.bytes().iter().all(|&byte| byte == 0));
    drop(second);
    let figures = span.end();
    assert_eq!(
        figures,
        AllocationFigures {
            allocations: 2,
            deallocations: 1,
            grown: 1,
            shrunk: 1,
            allocated_bytes: 350,
            peak_bytes: 350,
            retained_bytes: 30
        }
    );
}

#[test]
fn growing_and_shrinking_are_told_apart() {
    let _alone = alone();
    let mut block = Block::new(1);
    let span = AllocationSpan::begin();
    for size in [10, 10, 100_000, 7, 7, 300_000, 299_999, 1] {
        block.resize(size);
    }
    let figures = span.end();
    let allocated_bytes = 9 + 99_990 + 299_993;
    assert_eq!(figures, AllocationFigures { grown: 3, shrunk: 3, allocated_bytes, peak_bytes: 299_999, ..NOTHING });
}

/// An allocation and its end, by an allocator that counts sizes too.
fn sized_pair(size: usize) {
    static SIZED: CountingAllocator<System, true> = CountingAllocator::system().with_histogram();
    let layout = Layout::from_size_align(size, 1).expect("a layout");
    // SAFETY: the size is not 0; the memory is freed as it was allocated.
    unsafe {
        let pointer = if size.is_multiple_of(2) { SIZED.alloc(layout) } else { SIZED.alloc_zeroed(layout) };
        assert!(!pointer.is_null());
        SIZED.dealloc(pointer, layout);
    }
}

#[test]
fn a_histogram_counts_every_allocation_at_its_power_of_two() {
    const THREADS: usize = 4;
    let _alone = alone();
    let sizes = || (0..26).flat_map(|power| [1 << power, (1 << power) + 1, (2 << power) - 1]);
    sized_pair(1);
    let before = allocation_sizes().expect("counted");
    // Some of the threads have ended when it is read, and one has not.
    thread::scope(|scope| (1..THREADS).for_each(|_| drop(scope.spawn(|| sizes().for_each(sized_pair)))));
    sizes().for_each(sized_pair);
    // An allocator without a histogram leaves it alone.
    drop(Block::new(64));
    let found = allocation_sizes().expect("counted").since(&before);
    for (power, &count) in found.counts().iter().enumerate() {
        let of_this_power = sizes().filter(|&size: &usize| power < 26 && size >> power == 1).count();
        assert_eq!(count, (THREADS * of_this_power) as u64, "2^{power}");
    }
}

#[test]
fn sizes_around_the_threshold_are_exact() {
    let _alone = alone();
    for size in [1, 64, FLUSH - 1, FLUSH, FLUSH + 1, 2 * FLUSH, 2 * FLUSH + 1, 100 << 20] {
        let size = usize::try_from(size).expect("a size");
        for times in 1..4 {
            let span = AllocationSpan::begin();
            let blocks: Vec<Block> = (0..times).map(|_| Block::new(size)).collect();
            drop(blocks);
            drop(Block::new(size));
            let figures = span.end();
            let all = (size * times) as u64;
            assert_eq!(figures.allocations, times as u64 + 1, "{times} times {size} bytes");
            assert_eq!(figures.deallocations, times as u64 + 1, "{times} times {size} bytes");
            assert_eq!(figures.allocated_bytes, all + size as u64, "{times} times {size} bytes");
            assert_eq!(figures.peak_bytes, all, "{times} times {size} bytes");
            assert_eq!(figures.retained_bytes, 0, "{times} times {size} bytes");
        }
    }
}

#[test]
fn what_is_refused_is_not_counted() {
    let _alone = alone();
    let impossible = Layout::from_size_align(isize::MAX.unsigned_abs() - 7, 8).expect("a layout");
    let block = Block::new(8);
    let span = AllocationSpan::begin();
    // SAFETY: the size is not 0.
    let refused = unsafe { ALLOCATOR.alloc(impossible) };
    // SAFETY: the size is not 0.
    let refused_zeroed = unsafe { ALLOCATOR.alloc_zeroed(impossible) };
    // SAFETY: the memory was allocated with this layout, and the new size is not 0.
    let refused_growth =
        unsafe { ALLOCATOR.realloc(block.pointer.as_ptr(), Block::layout(block.size), impossible.size()) };
    let figures = span.end();
    assert!(refused.is_null() && refused_zeroed.is_null() && refused_growth.is_null());
    assert_eq!(figures, NOTHING);
}

#[test]
fn spans_nest_and_overlap() {
    let _alone = alone();
    let outer = AllocationSpan::begin();
    let first = Block::new(1000);
    let inner = AllocationSpan::begin();
    let second = Block::new(500);
    drop(first);
    let overlapping = AllocationSpan::begin();
    assert_eq!(
        inner.end(),
        AllocationFigures {
            allocations: 1,
            deallocations: 1,
            allocated_bytes: 500,
            peak_bytes: 500,
            retained_bytes: -500,
            ..NOTHING
        }
    );
    let third = Block::new(200);
    drop((second, third));
    assert_eq!(
        outer.end(),
        AllocationFigures { allocations: 3, deallocations: 3, allocated_bytes: 1700, peak_bytes: 1500, ..NOTHING }
    );
    drop(Block::new(300));
    assert_eq!(
        overlapping.end(),
        AllocationFigures {
            allocations: 2,
            deallocations: 3,
            allocated_bytes: 500,
            peak_bytes: 200,
            retained_bytes: -500,
            ..NOTHING
        }
    );
}

#[test]
fn a_span_may_begin_and_end_on_different_threads() {
    let _alone = alone();
    let (span, block) = thread::spawn(|| (AllocationSpan::begin(), Block::new(777))).join().expect("no panic");
    drop(block);
    assert_eq!(
        span.end(),
        AllocationFigures { allocations: 1, deallocations: 1, allocated_bytes: 777, peak_bytes: 777, ..NOTHING }
    );
}

#[test]
fn more_spans_than_there_are_slots_are_refused() {
    let _alone = alone();
    let mut spans: Vec<AllocationSpan> = (0..MAX_SPANS).map(|_| AllocationSpan::begin()).collect();
    assert!(AllocationSpan::try_begin().is_none());
    let refused = thread::spawn(|| drop(AllocationSpan::begin())).join().expect_err("a panic");
    let message = refused.downcast_ref::<String>().map_or("", String::as_str);
    assert!(message.contains("64"), "{message}");
    // One that is dropped gives its slot back as one that ends does.
    drop(spans.pop());
    let another = AllocationSpan::begin();
    drop(Block::new(10));
    assert_eq!(another.end().peak_bytes, 10);
    drop(spans);
}

#[test]
fn live_bytes_are_those_of_all_threads() {
    let _alone = alone();
    let before = live_bytes().expect("counted");
    let (hold, release) = (Barrier::new(3), Barrier::new(3));
    thread::scope(|scope| {
        for size in [10, 1_000_000] {
            let (hold, release) = (&hold, &release);
            scope.spawn(move || {
                let block = Block::new(size);
                hold.wait();
                release.wait();
                drop(block);
            });
        }
        hold.wait();
        assert_eq!(live_bytes().expect("counted") - before, 1_000_010);
        release.wait();
    });
}

#[test]
fn ten_thousand_short_threads_lose_nothing() {
    const THREADS: u64 = 10_000;
    const AT_ONCE: u64 = 8;
    let _alone = alone();
    let live = live_bytes().expect("counted");
    let span = AllocationSpan::begin();
    for _ in 0..THREADS / AT_ONCE {
        let threads: Vec<_> = (0..AT_ONCE)
            .map(|thread| {
                thread::spawn(move || {
                    drop(Block::new(100_000));
                    let mut small = Block::new(48);
                    small.resize(64 + usize::try_from(thread).expect("small"));
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("no panic");
        }
    }
    let figures = span.end();
    let grown_to: u64 = (0..AT_ONCE).map(|thread| 64 + thread).sum();
    assert_eq!((figures.allocations, figures.deallocations), (2 * THREADS, 2 * THREADS));
    assert_eq!((figures.grown, figures.shrunk), (THREADS, 0));
    assert_eq!(figures.allocated_bytes, 100_000 * THREADS + grown_to * (THREADS / AT_ONCE));
    assert_eq!(figures.retained_bytes, 0);
    assert_eq!(live_bytes().expect("counted"), live);
    assert!(figures.peak_bytes >= 100_000 - FLUSH && figures.peak_bytes <= AT_ONCE * (100_071 + FLUSH));
}

#[test]
fn more_threads_than_the_register_holds_are_counted() {
    const SIZE: usize = 70_000;
    let _alone = alone();
    let threads = MAX_THREADS + 50;
    let (hold, release) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
    let [told, mistold, untold] = [const { AtomicU64::new(0) }; 3];
    let live = live_bytes().expect("counted");
    let span = AllocationSpan::begin();
    thread::scope(|scope| {
        for _ in 0..threads {
            let body = || {
                let blocks = [Block::new(SIZE), Block::new(8)];
                match thread_allocated_bytes() {
                    Some(bytes) if bytes == (SIZE + 8) as u64 => told.fetch_add(1, Relaxed),
                    Some(_) => mistold.fetch_add(1, Relaxed),
                    None => untold.fetch_add(1, Relaxed),
                };
                hold.wait();
                release.wait();
                drop(blocks);
            };
            thread::Builder::new().stack_size(64 << 10).spawn_scoped(scope, body).expect("a thread");
        }
        hold.wait();
        assert_eq!(live_bytes().expect("counted") - live, signed(threads * (SIZE + 8)));
        release.wait();
    });
    let figures = span.end();
    assert_eq!((figures.allocations, figures.deallocations), (2 * threads as u64, 2 * threads as u64));
    assert_eq!(figures.allocated_bytes, (threads * (SIZE + 8)) as u64);
    assert_eq!(figures.retained_bytes, 0);
    // Reading the live bytes in the middle has made the peak exact.
    assert_eq!(figures.peak_bytes, (threads * (SIZE + 8)) as u64);
    let [told, mistold, untold] = [told, mistold, untold].map(AtomicU64::into_inner);
    assert_eq!((mistold, told + untold), (0, threads as u64));
    // The test's own thread has a place, too, and those of tests that are just ending may.
    let places = if BY_THREAD { MAX_THREADS as u64 - 20..=MAX_THREADS as u64 - 1 } else { 0..=0 };
    assert!(places.contains(&told), "{told}");
    // The places in the register are free again.
    drop(thread::spawn(|| Block::new(5)).join().expect("no panic"));
    assert_eq!(live_bytes().expect("counted"), live);
}

#[test]
fn memory_that_is_handed_over_stays_exact() {
    const BLOCKS: usize = 2_000;
    const SIZE: usize = 1 << 20;
    let _alone = alone();
    let span = AllocationSpan::begin();
    // At most one block waits, one is being made and one is being freed.
    let (sender, receiver) = sync_channel(0);
    let producer = thread::spawn(move || {
        for _ in 0..BLOCKS {
            sender.send(Block::new(SIZE)).expect("a consumer");
            sender.send(Block::new(16)).expect("a consumer");
        }
    });
    let consumer = thread::spawn(move || receiver.into_iter().map(|block: Block| block.size).sum::<usize>());
    producer.join().expect("no panic");
    assert_eq!(consumer.join().expect("no panic"), BLOCKS * (SIZE + 16));
    let figures = span.end();
    assert_eq!((figures.allocations, figures.deallocations), (2 * BLOCKS as u64, 2 * BLOCKS as u64));
    assert_eq!(figures.allocated_bytes, (BLOCKS * (SIZE + 16)) as u64);
    assert_eq!(figures.retained_bytes, 0);
    let (least, most) = (SIZE as u64 - 2 * FLUSH, 2 * (SIZE as u64 + 16) + 2 * FLUSH);
    assert!((least..=most).contains(&figures.peak_bytes), "{figures:?}");
}

#[test]
fn a_thread_that_only_frees_is_counted() {
    let _alone = alone();
    let blocks: Vec<Block> = (0..10_000).map(|_| Block::new(1_000)).collect();
    let span = AllocationSpan::begin();
    thread::spawn(move || drop(blocks)).join().expect("no panic");
    assert_eq!(span.end(), AllocationFigures { deallocations: 10_000, retained_bytes: -10_000_000, ..NOTHING });
}

/// Where threads count in blocks of their own.
const BY_THREAD: bool = cfg!(any(target_os = "linux", target_vendor = "apple", all(windows, target_env = "msvc")));

#[test]
fn a_thread_is_told_what_it_has_allocated_itself() {
    let _alone = alone();
    let foreign = Block::new(3_000_000);
    let body = move || {
        let mut told = vec![thread_allocated_bytes()];
        drop(foreign);
        told.push(thread_allocated_bytes());
        let mut block = Block::new(100);
        told.push(thread_allocated_bytes());
        block.resize(150);
        block.resize(20);
        drop(block);
        told.push(thread_allocated_bytes());
        // Several times as much as settles the block.
        drop([Block::zeroed(1_000_000), Block::new(2_000_000)]);
        thread::spawn(|| drop(Block::new(70_000))).join().expect("no panic");
        told.push(thread_allocated_bytes());
        told
    };
    let told = thread::spawn(body).join().expect("no panic");
    let truth = [0, 0, 100, 150, 3_000_150].map(|bytes| BY_THREAD.then_some(bytes));
    assert_eq!(told, truth);
}

/// Allocates and frees when its thread ends.
struct Late(usize);

impl Drop for Late {
    fn drop(&mut self) {
        let block = Block::new(self.0);
        drop(Block::new(self.0));
        drop(block);
    }
}

#[test]
fn destructors_of_thread_locals_are_counted() {
    thread_local! {
        static EARLY: Late = const { Late(1_000) };
        static LATE: Late = const { Late(100_000) };
    }
    let _alone = alone();
    let span = AllocationSpan::begin();
    for _ in 0..100 {
        let body = || {
            EARLY.with(|_| ());
            drop(Block::new(1));
            LATE.with(|_| ());
        };
        thread::spawn(body).join().expect("no panic");
    }
    let figures = span.end();
    assert_eq!((figures.allocations, figures.deallocations), (500, 500));
    assert_eq!(figures.allocated_bytes, 100 * 202_001);
    assert_eq!((figures.peak_bytes, figures.retained_bytes), (200_000, 0));
}

/// Threads that `std` knows nothing of, and destructors that run after those of `std`.
#[cfg(target_os = "linux")]
mod foreign {
    use std::ffi::c_void;
    use std::mem::MaybeUninit;
    use std::ptr;
    use std::sync::OnceLock;
    use std::thread;

    use super::{AllocationSpan, Block, Late, alone};

    /// A key whose destructor allocates and frees. It was made after the allocator's own, so that it is
    /// destroyed after it.
    fn late_key() -> libc::pthread_key_t {
        static KEY: OnceLock<libc::pthread_key_t> = OnceLock::new();
        *KEY.get_or_init(|| {
            let mut key = 0;
            // SAFETY: the key is valid for a write; the destructor takes any value.
            assert_eq!(unsafe { libc::pthread_key_create(&raw mut key, Some(destroy)) }, 0);
            key
        })
    }

    extern "C" fn destroy(_: *mut c_void) {
        drop(Late(100_000));
        drop(Late(10));
    }

    fn set_late_key() {
        // SAFETY: the key was created and is never deleted; its value is never dereferenced.
        assert_eq!(unsafe { libc::pthread_setspecific(late_key(), ptr::dangling()) }, 0);
    }

    #[test]
    fn destructors_that_run_after_the_allocators_own_are_counted() {
        let _alone = alone();
        let span = AllocationSpan::begin();
        for _ in 0..100 {
            let body = || {
                set_late_key();
                drop(Block::new(50));
            };
            thread::spawn(body).join().expect("no panic");
        }
        let figures = span.end();
        assert_eq!((figures.allocations, figures.allocated_bytes), (500, 100 * 200_070));
        assert_eq!((figures.peak_bytes, figures.retained_bytes), (200_000, 0));
    }

    #[test]
    fn a_thread_may_first_allocate_in_its_last_moments() {
        extern "C" fn body(_: *mut c_void) -> *mut c_void {
            set_late_key();
            ptr::null_mut()
        }
        let _alone = alone();
        late_key();
        let span = AllocationSpan::begin();
        for _ in 0..100 {
            let mut thread = MaybeUninit::uninit();
            // SAFETY: `thread` is valid for a write, and the function takes any argument.
            let made = unsafe { libc::pthread_create(thread.as_mut_ptr(), ptr::null(), body, ptr::null_mut()) };
            assert_eq!(made, 0);
            // SAFETY: the thread was made, and is joined once.
            assert_eq!(unsafe { libc::pthread_join(thread.assume_init(), ptr::null_mut()) }, 0);
        }
        let figures = span.end();
        assert_eq!((figures.allocations, figures.allocated_bytes), (400, 100 * 200_020));
        assert_eq!((figures.peak_bytes, figures.retained_bytes), (200_000, 0));
    }
}

/// One step of a script that several threads act out in turn.
#[derive(Debug, Clone)]
enum Step {
    New(usize),
    Free(Index),
    Resize(Index, usize),
    /// Ends the inner span and begins another.
    Look,
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 1_usize..300, 3 => 1_usize..70_000, 1 => 1_usize..300_000]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => size().prop_map(Step::New),
        7 => any::<Index>().prop_map(Step::Free),
        3 => (any::<Index>(), size()).prop_map(|(index, size)| Step::Resize(index, size)),
        1 => Just(Step::Look),
    ]
}

/// Does to a block what it is told.
struct Actor {
    orders: Sender<(Option<Block>, Option<usize>)>,
    results: Receiver<Option<Block>>,
}

impl Actor {
    fn new() -> Self {
        let (orders, todo) = channel::<(Option<Block>, Option<usize>)>();
        let (done, results) = channel();
        thread::spawn(move || {
            for order in todo {
                let result = match order {
                    (None, Some(size)) => Some(Block::new(size)),
                    (Some(mut block), Some(size)) => {
                        block.resize(size);
                        Some(block)
                    }
                    (block, None) => {
                        drop(block);
                        None
                    }
                };
                done.send(result).expect("somebody waits");
            }
        });
        Self { orders, results }
    }

    fn act(&self, block: Option<Block>, size: Option<usize>) -> Option<Block> {
        self.orders.send((block, size)).expect("the thread waits");
        self.results.recv().expect("the thread answers")
    }
}

/// A span, and what it must find.
struct Watch {
    span: AllocationSpan,
    truth: AllocationFigures,
    peak: i64,
}

impl Watch {
    fn begin() -> Self {
        Self { span: AllocationSpan::begin(), truth: NOTHING, peak: 0 }
    }

    fn see(&mut self, call: fn(&mut AllocationFigures) -> &mut u64, bytes: i64) {
        *call(&mut self.truth) += 1;
        self.truth.allocated_bytes += bytes.max(0).unsigned_abs();
        self.truth.retained_bytes += bytes;
        self.peak = self.peak.max(self.truth.retained_bytes);
    }

    /// Counts are exact; the peak is wrong by no more than further threads may make it.
    fn end(self, further_threads: u64) {
        let figures = self.span.end();
        assert_eq!(figures, AllocationFigures { peak_bytes: figures.peak_bytes, ..self.truth });
        let error = figures.peak_bytes.abs_diff(self.peak.unsigned_abs());
        assert!(error <= further_threads * FLUSH, "{figures:?}, but the peak is {}", self.peak);
    }
}

fn act_out(actors: &[Actor], script: &[(Index, Step)]) {
    let further = actors.len() as u64 - 1;
    let (mut outer, mut inner) = (Watch::begin(), Watch::begin());
    let mut blocks: Vec<Block> = Vec::new();
    for (actor, step) in script {
        let actor = &actors[actor.index(actors.len())];
        let mut see = |call, bytes| {
            outer.see(call, bytes);
            inner.see(call, bytes);
        };
        match step {
            Step::New(size) => {
                blocks.extend(actor.act(None, Some(*size)));
                see(|figures| &mut figures.allocations, signed(*size));
            }
            Step::Free(index) if !blocks.is_empty() => {
                let block = blocks.swap_remove(index.index(blocks.len()));
                see(|figures| &mut figures.deallocations, -signed(block.size));
                actor.act(Some(block), None);
            }
            Step::Resize(index, size) if !blocks.is_empty() => {
                let block = blocks.swap_remove(index.index(blocks.len()));
                match size.cmp(&block.size) {
                    Ordering::Greater => see(|figures| &mut figures.grown, signed(*size) - signed(block.size)),
                    Ordering::Less => see(|figures| &mut figures.shrunk, signed(*size) - signed(block.size)),
                    Ordering::Equal => {}
                }
                blocks.extend(actor.act(Some(block), Some(*size)));
            }
            Step::Free(_) | Step::Resize(..) => {}
            Step::Look => std::mem::replace(&mut inner, Watch::begin()).end(further),
        }
    }
    for block in blocks {
        let bytes = -signed(block.size);
        actors[0].act(Some(block), None);
        outer.see(|figures| &mut figures.deallocations, bytes);
        inner.see(|figures| &mut figures.deallocations, bytes);
    }
    inner.end(further);
    outer.end(further);
}

fn scripts(threads: usize, cases: u32) {
    let _alone = alone();
    let actors: Vec<Actor> = (0..threads).map(|_| Actor::new()).collect();
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(script in vec((any::<Index>(), step()), 1..150))| act_out(&actors, &script));
}

#[test]
fn one_thread_is_exact_in_everything() {
    scripts(1, 150);
}

#[test]
fn several_threads_in_turn_keep_the_peak_within_its_bound() {
    scripts(2, 150);
    scripts(5, 100);
}

/// What one of several threads does while the others run.
#[derive(Debug, Clone)]
enum Deed {
    New(usize),
    Free(Index),
    Resize(Index, usize),
    /// Hands a block over to the next thread.
    Give(Index),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => size().prop_map(Deed::New),
        3 => any::<Index>().prop_map(Deed::Free),
        2 => (any::<Index>(), size()).prop_map(|(index, size)| Deed::Resize(index, size)),
        3 => any::<Index>().prop_map(Deed::Give),
    ]
}

/// Does it all; returns the blocks that are left, the number of allocations and the bytes allocated.
fn perform(deeds: &[Deed], taken: &Receiver<Block>, given: &Sender<Block>) -> (Vec<Block>, u64, u64) {
    let (mut blocks, mut allocations, mut bytes) = (Vec::new(), 0, 0);
    for deed in deeds {
        blocks.extend(taken.try_iter());
        match deed {
            Deed::New(size) => {
                blocks.push(Block::new(*size));
                allocations += 1;
                bytes += *size as u64;
            }
            _ if blocks.is_empty() => {}
            Deed::Free(index) => drop(blocks.swap_remove(index.index(blocks.len()))),
            Deed::Resize(index, size) => {
                let block = index.get_mut(&mut blocks);
                bytes += size.saturating_sub(block.size) as u64;
                block.resize(*size);
            }
            Deed::Give(index) => {
                let block = blocks.swap_remove(index.index(blocks.len()));
                // The next thread may have ended: the block is then freed here.
                let _ = given.send(block);
            }
        }
    }
    (blocks, allocations, bytes)
}

#[test]
fn threads_at_once_count_exactly() {
    const THREADS: usize = 4;
    let _alone = alone();
    let config = ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(plans in vec(vec(deed(), 0..400), THREADS))| {
        let span = AllocationSpan::begin();
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| channel()).unzip();
        let threads: Vec<_> = receivers
            .into_iter()
            .enumerate()
            .zip(plans)
            .map(|((number, taken), plan)| {
                let given = senders[(number + 1) % THREADS].clone();
                thread::spawn(move || perform(&plan, &taken, &given))
            })
            .collect();
        drop(senders);
        let (mut left, mut allocations, mut bytes) = (Vec::new(), 0, 0);
        for thread in threads {
            let (blocks, made, made_bytes) = thread.join().expect("no panic");
            left.extend(blocks);
            allocations += made;
            bytes += made_bytes;
        }
        let figures = span.end();
        let live: usize = left.iter().map(|block| block.size).sum();
        prop_assert_eq!(figures.allocations, allocations);
        prop_assert_eq!(figures.allocated_bytes, bytes);
        prop_assert_eq!(figures.retained_bytes, signed(live));
        prop_assert!(figures.peak_bytes + THREADS as u64 * FLUSH >= live as u64);
        let span = AllocationSpan::begin();
        drop(left);
        prop_assert_eq!(span.end().retained_bytes, -signed(live));
    });
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("below a size")
    }
}

/// Threads that only allocate until all of them wait, and then only free, are highest as they wait: the
/// peak is known without a reading in between, which would make it exact.
#[test]
fn the_peak_of_threads_at_once_is_within_its_bound_of_the_truth() {
    const THREADS: usize = 6;
    const ROUNDS: usize = 200;
    let _alone = alone();
    let (full, empty) = (Barrier::new(THREADS), Barrier::new(THREADS));
    let held: [AtomicU64; ROUNDS] = [const { AtomicU64::new(0) }; ROUNDS];
    let span = AllocationSpan::begin();
    thread::scope(|scope| {
        for thread in 0..THREADS as u64 {
            let (full, empty, held) = (&full, &empty, &held);
            scope.spawn(move || {
                let mut numbers = Numbers(thread + 1);
                let mut blocks = Vec::new();
                for held in held {
                    let largest = [100, 5_000, 200_000][numbers.below(3)];
                    blocks.extend((0..numbers.below(200)).map(|_| Block::new(1 + numbers.below(largest))));
                    held.fetch_add(blocks.iter().map(|block| block.size as u64).sum(), Relaxed);
                    full.wait();
                    blocks.truncate(numbers.below(10));
                    empty.wait();
                }
            });
        }
    });
    let figures = span.end();
    let truth = held.iter().map(|held| held.load(Relaxed)).max().expect("rounds");
    assert!(figures.peak_bytes.abs_diff(truth) <= THREADS as u64 * FLUSH, "{figures:?}, but the peak is {truth}");
    assert_eq!((figures.allocations, figures.retained_bytes), (figures.deallocations, 0));
}

/// What threads that share nothing else add up with atomics, beside the allocator.
#[derive(Default)]
struct Shadow {
    allocations: AtomicU64,
    deallocations: AtomicU64,
    grown: AtomicU64,
    shrunk: AtomicU64,
    allocated: AtomicU64,
    live: AtomicI64,
    peak: AtomicI64,
}

impl Shadow {
    fn moved(&self, counter: &AtomicU64, bytes: i64) {
        counter.fetch_add(1, Relaxed);
        self.allocated.fetch_add(bytes.max(0).unsigned_abs(), Relaxed);
        self.peak.fetch_max(self.live.fetch_add(bytes, Relaxed) + bytes, Relaxed);
    }

    fn new_block(&self, size: usize) -> Block {
        let block = Block::new(size);
        self.moved(&self.allocations, signed(size));
        block
    }

    fn free(&self, block: Block) {
        let size = block.size;
        drop(block);
        self.moved(&self.deallocations, -signed(size));
    }

    fn resize(&self, block: &mut Block, size: usize) {
        let more = signed(size) - signed(block.size);
        block.resize(size);
        match more {
            0 => {}
            1.. => self.moved(&self.grown, more),
            _ => self.moved(&self.shrunk, more),
        }
    }

    fn figures(&self, peak_bytes: u64) -> AllocationFigures {
        AllocationFigures {
            allocations: self.allocations.load(Relaxed),
            deallocations: self.deallocations.load(Relaxed),
            grown: self.grown.load(Relaxed),
            shrunk: self.shrunk.load(Relaxed),
            allocated_bytes: self.allocated.load(Relaxed),
            peak_bytes,
            retained_bytes: self.live.load(Relaxed),
        }
    }
}

/// A short life: allocates, resizes, frees, and swaps blocks with other threads, some of which it leaves
/// behind.
fn live_shortly(shadow: &Shadow, exchange: &Mutex<Vec<Block>>, numbers: &mut Numbers, largest: usize) {
    let mut blocks = Vec::new();
    for _ in 0..=numbers.below(500) {
        match numbers.below(8) {
            0..=2 => blocks.push(shadow.new_block(1 + numbers.below(largest))),
            3 => exchange.lock().expect("no panic").extend(blocks.pop()),
            4 => blocks.extend(exchange.lock().expect("no panic").pop()),
            5 if !blocks.is_empty() => {
                let (index, size) = (numbers.below(blocks.len()), 1 + numbers.below(largest));
                shadow.resize(&mut blocks[index], size);
            }
            _ if !blocks.is_empty() => shadow.free(blocks.swap_remove(numbers.below(blocks.len()))),
            _ => {}
        }
    }
    for block in blocks {
        shadow.free(block);
    }
}

/// Threads come, work and go, while others read: everything is exact in the end, and the peak is within
/// its bound of what the atomics saw, but for the one call that each thread may be in at the time.
#[test]
fn threads_that_come_and_go_agree_with_atomics() {
    const AT_ONCE: usize = 4;
    const LARGEST: usize = 4_000;
    let _alone = alone();
    let (shadow, exchange, over) = (Shadow::default(), Mutex::new(Vec::new()), AtomicBool::new(false));
    let span = AllocationSpan::begin();
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) {
                live_bytes().expect("counted");
                drop(AllocationSpan::begin());
                thread::sleep(Duration::from_micros(200));
            }
        });
        let begin = Instant::now();
        for round in 0.. {
            thread::scope(|scope| {
                for thread in 1..=AT_ONCE as u64 {
                    let (shadow, exchange) = (&shadow, &exchange);
                    scope.spawn(move || {
                        live_shortly(shadow, exchange, &mut Numbers((round << 8) + thread), LARGEST);
                    });
                }
            });
            if begin.elapsed() > Duration::from_millis(1_500) {
                break;
            }
        }
        over.store(true, Relaxed);
    });
    for block in exchange.into_inner().expect("no panic") {
        shadow.free(block);
    }
    let figures = span.end();
    assert_eq!(figures, shadow.figures(figures.peak_bytes));
    let (truth, threads) = (shadow.peak.load(Relaxed).unsigned_abs(), AT_ONCE as u64 + 1);
    let error = figures.peak_bytes.abs_diff(truth);
    assert!(error <= threads * (FLUSH + LARGEST as u64), "{figures:?}, but the peak is {truth}");
}
