//! What one execution costs: one file per kind of figure, and the [`Meter`] that reads them all
//! around a job.
//!
//! The order of the readings is what makes them true. Opening the window, the slow readings come
//! first and the clock last; closing it, the clock comes first and the slow readings last. Between
//! the two clock readings there is nothing but the job.

pub mod allocator;
mod ancestry;
pub(crate) mod boundary;
mod bystanders;
pub mod clock;
pub mod cpu;
pub mod descriptors;
pub mod family;
pub mod hardware;
mod inventory;
pub mod io;
mod ledger;
pub mod leftovers;
pub mod markers;
pub mod memory;
#[cfg(target_os = "linux")]
mod procfs;
pub mod retention;
pub mod schedule;
pub mod thread;
pub mod threads;
pub mod ticks;

use std::time::Instant;

use self::allocator::AllocationSpan;
use self::cpu::{CpuClock, Usage};
use self::family::{Family, FamilyAfter};
use self::hardware::{InstructionCounter, Reading};
use self::io::{IoCounters, IoFigures};
use self::memory::PeakRss;
use self::schedule::QueueDelay;
use crate::sample::Sample;

/// Reads every figure around one execution. Made once per worker and used for every execution;
/// allocates nothing within the window.
#[derive(Debug, Default)]
pub struct Meter {
    rss: PeakRss,
    io: IoCounters,
    queue: QueueDelay,
    instructions: InstructionCounter,
    opened: Option<Opened>,
    closed: Option<Closed>,
}

/// The readings at the start of a window.
#[derive(Debug)]
struct Opened {
    family: Option<Family>,
    heap: Option<AllocationSpan>,
    rss: bool,
    io: Option<IoFigures>,
    usage: Option<Usage>,
    /// When the queue delay was read.
    queued_at: Instant,
    queued_ns: Option<u64>,
    instructions: Option<Reading>,
    cpu: Option<CpuClock>,
    clock: Instant,
}

/// What a window has shown, but for what child processes go on to use.
#[derive(Debug)]
struct Closed {
    sample: Sample,
    family: Option<(Family, FamilyAfter)>,
    /// Heap bytes that are live and were not.
    kept_heap_bytes: Option<i64>,
}

impl Meter {
    /// Opens the kernel's files that the readings come from.
    #[must_use]
    pub fn new() -> Self {
        Self { rss: PeakRss::new(), io: IoCounters::new(), queue: QueueDelay::new(), ..Self::default() }
    }

    /// A meter that reads the CPU's counter of instructions, too, where there is one. Threads that run
    /// already are not counted by it.
    #[must_use]
    pub fn with_instructions() -> Self {
        Self { instructions: InstructionCounter::new(), ..Self::new() }
    }

    /// Opens the measured window.
    pub fn start(&mut self) {
        self.closed = None;
        let family = Family::now();
        let rss = self.rss.reset();
        let queued_at = Instant::now();
        let queued_ns = self.queue.read();
        // What is read from here on is counted as read.
        let io = self.io.read_before();
        let heap = AllocationSpan::try_begin();
        let usage = Usage::now();
        let instructions = self.instructions.read();
        let cpu = CpuClock::now();
        self.opened = Some(Opened {
            family,
            heap,
            rss,
            io,
            usage,
            queued_at,
            queued_ns,
            instructions,
            cpu,
            clock: Instant::now(),
        });
    }

    /// Closes the measured window. Does nothing where none is open.
    pub fn stop(&mut self) {
        let clock = Instant::now();
        let cpu = CpuClock::now();
        let instructions = self.instructions.read();
        let usage = Usage::now();
        let Some(opened) = self.opened.take() else { return };
        let heap = opened.heap.map(AllocationSpan::end);
        let io = opened.io.and_then(|before| Some(self.io.read()?.since(&before)));
        let queued_ns = self.queue.read();
        let queued_at = Instant::now();
        let spent = usage.zip(opened.usage).map(|(after, before)| after.since(&before));
        let memory = self.rss.read();
        let wall_ns = nanoseconds(clock.duration_since(opened.clock));
        let queued = queued_ns.zip(opened.queued_ns).map(|(after, before)| after.saturating_sub(before));
        // A thread that is sent away between the readings and the clock's waits there, too.
        let around = nanoseconds(queued_at.duration_since(opened.queued_at)).saturating_sub(wall_ns);
        let sample = Sample {
            wall_ns,
            cpu_ns: cpu.zip(opened.cpu).map(|(after, before)| after.nanoseconds_since(&before)),
            cpu_user_ns: spent.map(|usage| usage.user_ns),
            cpu_system_ns: spent.map(|usage| usage.system_ns),
            peak_rss_bytes: memory.filter(|_| opened.rss).map(|memory| memory.peak_bytes),
            peak_heap_bytes: heap.map(|figures| figures.peak_bytes),
            allocated_bytes: heap.map(|figures| figures.allocated_bytes),
            allocations: heap.map(|figures| figures.allocations),
            retained_heap_bytes: None,
            minor_faults: spent.map(|usage| usage.minor_faults),
            major_faults: spent.map(|usage| usage.major_faults),
            voluntary_switches: spent.and_then(|usage| usage.voluntary_switches),
            involuntary_switches: spent.and_then(|usage| usage.involuntary_switches),
            run_queue_delay_ns: queued.map(|queued| queued.saturating_sub(around)),
            read_bytes: io.map(|io| io.read_bytes),
            written_bytes: io.map(|io| io.written_bytes),
            device_read_bytes: io.map(|io| io.device_read_bytes),
            device_written_bytes: io.map(|io| io.device_written_bytes),
            peak_threads: memory.and_then(|memory| memory.threads),
            peak_file_descriptors: descriptors::count(),
            hardware_instructions: instructions
                .zip(opened.instructions)
                .and_then(|(after, before)| after.since(&before)),
        };
        let kept_heap_bytes = heap.map(|figures| figures.retained_bytes);
        self.closed = Some(Closed { sample, family: opened.family.zip(Family::after()), kept_heap_bytes });
    }

    /// The figures of the last window that was opened and closed, with those of child processes. Where
    /// some that the job has started are running, waits for them for up to
    /// [`LONGEST_WAIT`](family::LONGEST_WAIT) and calls `on_wait` first.
    ///
    /// [`Sample::retained_heap_bytes`] is for the caller to fill in, who knows when inputs and output
    /// are gone.
    pub fn take(&mut self, on_wait: &mut dyn FnMut()) -> Option<Sample> {
        let Closed { mut sample, family, .. } = self.closed.take()?;
        let family = family.and_then(|(before, after)| before.settle(after, on_wait)).unwrap_or_default();
        let add = |figure: &mut Option<u64>, more: u64| *figure = figure.map(|figure| figure + more);
        add(&mut sample.cpu_ns, family.cpu_ns);
        add(&mut sample.cpu_user_ns, family.user_ns);
        add(&mut sample.cpu_system_ns, family.system_ns);
        Some(sample)
    }

    /// How many bytes of the heap were live at the end of the last window and not at its beginning, output included.
    #[must_use]
    pub fn kept_heap_bytes(&self) -> Option<i64> {
        self.closed.as_ref()?.kept_heap_bytes
    }

    /// Forgets a window that was opened and never closed, as a panic leaves it.
    pub fn abandon(&mut self) {
        self.opened = None;
        self.closed = None;
    }

    /// What the measurement itself adds to the wall-clock time of an execution: the median of windows
    /// with nothing in them.
    #[must_use]
    pub fn overhead_ns(&mut self) -> Option<u64> {
        let window = |_| {
            self.start();
            self.stop();
            self.take(&mut || ()).map(|sample| sample.wall_ns)
        };
        let mut windows = (0..EMPTY_WINDOWS).map(window).collect::<Option<Vec<u64>>>()?;
        windows.sort_unstable();
        windows.get(windows.len() / 2).copied()
    }
}

/// How many empty windows [`Meter::overhead_ns`] measures.
const EMPTY_WINDOWS: usize = 31;

/// The nanoseconds of a duration; 584 years and more are `u64::MAX`.
#[must_use]
pub fn nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
