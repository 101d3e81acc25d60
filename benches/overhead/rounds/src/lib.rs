//! Measures a loop in short batches, on pinned threads, and tells of the batches that nobody disturbed.

use std::hint::spin_loop;
use std::mem::MaybeUninit;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long a batch is to take: far less than a scheduler's slice, far more than reading the clock.
const BATCH: Duration = Duration::from_micros(200);

/// What `body` took in each batch that was not interrupted, in nanoseconds per iteration.
///
/// `body(n)` does the work `n` times, on so many `threads` at once, each on a processor of its own. A
/// batch begins on all of them at the same time, and counts if none of them was preempted.
pub fn measure(threads: usize, first_cpu: usize, length: Duration, body: fn(u64)) -> Vec<f64> {
    let turn = Turn::new(threads);
    let (ready, cpus) = (Barrier::new(threads), cpus());
    thread::scope(|scope| {
        for thread in 1..threads {
            let (turn, ready, cpu) = (&turn, &ready, cpus[(first_cpu + thread) % cpus.len()]);
            scope.spawn(move || {
                pin(cpu);
                ready.wait();
                while turn.run(body).is_some() {}
            });
        }
        pin(cpus[first_cpu % cpus.len()]);
        ready.wait();
        lead(&turn, length, body)
    })
}

/// Does batch after batch on the first thread, and decides how long they are.
fn lead(turn: &Turn, length: Duration, body: fn(u64)) -> Vec<f64> {
    // What is kept is allocated before anything is measured.
    let mut kept = Vec::with_capacity(1 << 16);
    let (mut iterations, mut warm) = (16, 0);
    let begin = Instant::now();
    while begin.elapsed() < length && kept.len() < kept.capacity() {
        turn.iterations.store(iterations, Ordering::Relaxed);
        let took = turn.run(body).expect("the first thread ends it");
        let per_batch = BATCH.as_secs_f64() * 1e9;
        if took < per_batch / 2.0 && warm < 30 {
            iterations *= 2;
        } else if let Some(mean) = turn.undisturbed().filter(|_| warm >= 5) {
            kept.push(mean / iterations as f64);
        }
        warm += 1;
    }
    turn.over.store(true, Ordering::Relaxed);
    turn.meet();
    kept
}

/// What the threads of one measurement share.
struct Turn {
    threads: usize,
    iterations: AtomicU64,
    over: AtomicBool,
    arrived: AtomicUsize,
    nanoseconds: AtomicU64,
    preempted: AtomicBool,
}

impl Turn {
    fn new(threads: usize) -> Self {
        Self {
            threads,
            iterations: AtomicU64::new(0),
            over: AtomicBool::new(false),
            arrived: AtomicUsize::new(0),
            nanoseconds: AtomicU64::new(0),
            preempted: AtomicBool::new(false),
        }
    }

    /// Waits for all threads; none of them sleeps.
    fn meet(&self) {
        let all = self.threads;
        let mine = self.arrived.fetch_add(1, Ordering::AcqRel);
        let complete = (mine / all + 1) * all;
        while self.arrived.load(Ordering::Acquire) < complete {
            spin_loop();
        }
    }

    /// One batch on this thread; `None` where it is over.
    fn run(&self, body: fn(u64)) -> Option<f64> {
        self.meet();
        if self.over.load(Ordering::Relaxed) {
            return None;
        }
        let (iterations, switches) = (self.iterations.load(Ordering::Relaxed), switches());
        self.meet();
        let begin = Instant::now();
        body(iterations);
        let took = begin.elapsed().as_nanos() as u64;
        self.nanoseconds.fetch_add(took, Ordering::Relaxed);
        if self::switches() != switches {
            self.preempted.store(true, Ordering::Relaxed);
        }
        self.meet();
        Some(took as f64)
    }

    /// The mean time of the threads in the batch that is done, unless one of them was preempted.
    fn undisturbed(&self) -> Option<f64> {
        let nanoseconds = self.nanoseconds.swap(0, Ordering::Relaxed) as f64;
        (!self.preempted.swap(false, Ordering::Relaxed)).then_some(nanoseconds / self.threads as f64)
    }
}

/// The processors that this process may use.
fn cpus() -> Vec<usize> {
    let mut set: MaybeUninit<libc::cpu_set_t> = MaybeUninit::zeroed();
    // SAFETY: zeroes are an empty set, which the call fills.
    let set = unsafe {
        assert_eq!(libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), set.as_mut_ptr()), 0);
        set.assume_init()
    };
    // SAFETY: every number is within the set.
    (0..libc::CPU_SETSIZE as usize).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect()
}

fn pin(cpu: usize) {
    // SAFETY: zeroes are an empty set, which lives as long as the call.
    let done = unsafe {
        let mut set: libc::cpu_set_t = MaybeUninit::zeroed().assume_init();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    assert_eq!(done, 0, "processor {cpu}");
}

/// How often this thread has lost its processor; waiting for a lock is not that.
fn switches() -> i64 {
    let mut usage: MaybeUninit<libc::rusage> = MaybeUninit::zeroed();
    // SAFETY: the call fills what it is given.
    let usage = unsafe {
        assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()), 0);
        usage.assume_init()
    };
    usage.ru_nivcsw
}

/// What a binary is asked on its command line: `<loop> <threads> <first processor> <milliseconds>`.
pub struct Request {
    pub name: String,
    pub threads: usize,
    pub first_cpu: usize,
    pub length: Duration,
}

impl Request {
    pub fn from_arguments() -> Self {
        let mut arguments = std::env::args().skip(1);
        let mut next = |what: &str| arguments.next().unwrap_or_else(|| panic!("no {what}"));
        let name = next("loop");
        let mut number = |what| next(what).parse::<u64>().unwrap_or_else(|_| panic!("{what}: a number"));
        Self {
            name,
            threads: number("threads") as usize,
            first_cpu: number("first processor") as usize,
            length: Duration::from_millis(number("milliseconds")),
        }
    }

    /// Measures and prints: how many batches counted, the fastest, and the median, in nanoseconds.
    pub fn answer(&self, body: fn(u64)) {
        let mut kept = measure(self.threads, self.first_cpu, self.length, body);
        kept.sort_by(f64::total_cmp);
        let Some((&fastest, &median)) = kept.first().zip(kept.get(kept.len() / 2)) else {
            println!("0 0 0");
            return;
        };
        println!("{} {fastest} {median}", kept.len());
    }
}

/// The loops over the allocator. They stand in every binary, as `#[global_allocator]` does, and in this
/// library: what rustc makes of a call of the allocator depends on whether it sees both at once.
#[macro_export]
macro_rules! loops {
    () => {
        /// A size that is known when the loop is compiled. LLVM makes one call of `alloc_zeroed` of an
        /// allocation and its zeroes, or of `calloc` where it sees through the allocator to `malloc`; but
        /// where it sees through an allocator that counts, `malloc` and stores, which are faster.
        #[inline(never)]
        fn box_64(iterations: u64) {
            for _ in 0..iterations {
                drop(::std::hint::black_box(::std::boxed::Box::new([0_u8; 64])));
            }
        }

        /// Not zeroes, so that all of them are asked for the same.
        #[inline(never)]
        fn ones_64(iterations: u64) {
            for _ in 0..iterations {
                drop(::std::hint::black_box(::std::boxed::Box::new([1_u8; 64])));
            }
        }

        /// Asks for zeroes, on all allocators.
        #[inline(never)]
        fn zeroed_64(iterations: u64) {
            for _ in 0..iterations {
                drop(::std::hint::black_box(::std::vec![0_u8; ::std::hint::black_box(64)]));
            }
        }

        /// The memory stays untouched: writing it would take longer than to allocate it.
        #[inline(never)]
        fn box_64k(iterations: u64) {
            for _ in 0..iterations {
                drop(::std::hint::black_box(::std::boxed::Box::<[u8; 65_536]>::new_uninit()));
            }
        }

        /// A size that is known when the loop runs.
        #[inline(never)]
        fn vec_64(iterations: u64) {
            for _ in 0..iterations {
                let size = ::std::hint::black_box(64);
                drop(::std::hint::black_box(::std::vec::Vec::<u8>::with_capacity(size)));
            }
        }

        #[inline(never)]
        fn vec_64k(iterations: u64) {
            for _ in 0..iterations {
                let size = ::std::hint::black_box(65_536);
                drop(::std::hint::black_box(::std::vec::Vec::<u8>::with_capacity(size)));
            }
        }

        /// An allocation that is grown once.
        #[inline(never)]
        fn grow_64(iterations: u64) {
            for _ in 0..iterations {
                let mut bytes = ::std::hint::black_box(::std::vec::Vec::<u8>::with_capacity(32));
                bytes.reserve_exact(::std::hint::black_box(64));
                drop(::std::hint::black_box(bytes));
            }
        }

        fn find(name: &str) -> Option<fn(u64)> {
            Some(match name {
                "box-64" => box_64,
                "box-64k" => box_64k,
                "ones-64" => ones_64,
                "zeroed-64" => zeroed_64,
                "vec-64" => vec_64,
                "vec-64k" => vec_64k,
                "grow-64" => grow_64,
                _ => return None,
            })
        }
    };
}

/// The same loops, compiled apart from the allocator.
mod library {
    crate::loops!();

    pub(crate) fn named(name: &str) -> Option<fn(u64)> {
        find(name)
    }
}

/// The loop of this name: of the library where it ends in `-lib`, else of the binary.
pub fn find(name: &str, own: fn(&str) -> Option<fn(u64)>) -> fn(u64) {
    let found = match name.strip_suffix("-lib") {
        Some(name) => library::named(name),
        None => own(name),
    };
    found.unwrap_or_else(|| panic!("no loop {name}"))
}

/// `main` of a binary whose global allocator is measured, within the life of what it needs.
#[macro_export]
macro_rules! allocator_main {
    ($($setup:tt)*) => {
        $crate::loops!();

        fn main() {
            let request = $crate::Request::from_arguments();
            let body = $crate::find(&request.name, find);
            $($setup)*
            request.answer(body);
            // Nobody needs the report of what lives until here.
            ::std::process::exit(0);
        }
    };
}
