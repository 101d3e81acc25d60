//! What one execution costs: one file per kind of figure, and the [`Meter`] that reads them all
//! around a job.
//!
//! The order of the readings is what makes them true. Opening the window, the slow readings come
//! first and the clock last; closing it, the clock comes first and the slow readings last. Between
//! the two clock readings there is nothing but the job.

pub mod allocator;
pub mod cpu;
pub mod io;
pub mod memory;
pub mod thread;
pub mod ticks;

use std::time::Instant;

use self::allocator::AllocationSpan;
use self::cpu::{CpuClock, Usage};
use self::io::{IoCounters, IoFigures};
use self::memory::PeakRss;
use crate::sample::Sample;

/// Reads every figure around one execution. Made once per worker and used for every execution;
/// allocates nothing after [`Meter::new`].
#[derive(Debug, Default)]
pub struct Meter {
    rss: PeakRss,
    io: IoCounters,
    opened: Option<Opened>,
    sample: Option<Sample>,
}

/// The readings at the start of a window.
#[derive(Debug)]
struct Opened {
    heap: Option<AllocationSpan>,
    rss: bool,
    io: Option<IoFigures>,
    usage: Option<Usage>,
    cpu: Option<CpuClock>,
    clock: Instant,
}

impl Meter {
    /// Opens the kernel's files that the readings come from.
    #[must_use]
    pub fn new() -> Self {
        Self { rss: PeakRss::new(), io: IoCounters::new(), opened: None, sample: None }
    }

    /// Opens the measured window.
    pub fn start(&mut self) {
        self.sample = None;
        let rss = self.rss.reset();
        let io = self.io.read_before();
        let heap = AllocationSpan::try_begin();
        let usage = Usage::now();
        let cpu = CpuClock::now();
        self.opened = Some(Opened { heap, rss, io, usage, cpu, clock: Instant::now() });
    }

    /// Closes the measured window. Does nothing where none is open.
    pub fn stop(&mut self) {
        let clock = Instant::now();
        let cpu = CpuClock::now();
        let usage = Usage::now();
        let Some(opened) = self.opened.take() else { return };
        let heap = opened.heap.map(AllocationSpan::end);
        let io = opened.io.and_then(|before| Some(self.io.read()?.since(&before)));
        let spent = usage.zip(opened.usage).map(|(after, before)| after.since(&before));
        self.sample = Some(Sample {
            wall_ns: nanoseconds(clock.duration_since(opened.clock)),
            cpu_ns: cpu.zip(opened.cpu).map(|(after, before)| after.nanoseconds_since(&before)),
            cpu_user_ns: spent.map(|usage| usage.user_ns),
            cpu_system_ns: spent.map(|usage| usage.system_ns),
            peak_rss_bytes: if opened.rss { self.rss.read() } else { None },
            peak_heap_bytes: heap.map(|figures| figures.peak_bytes),
            allocated_bytes: heap.map(|figures| figures.allocated_bytes),
            allocations: heap.map(|figures| figures.allocations),
            retained_heap_bytes: None,
            minor_faults: spent.map(|usage| usage.minor_faults),
            major_faults: spent.map(|usage| usage.major_faults),
            voluntary_switches: spent.and_then(|usage| usage.voluntary_switches),
            involuntary_switches: spent.and_then(|usage| usage.involuntary_switches),
            read_bytes: io.map(|io| io.read_bytes),
            written_bytes: io.map(|io| io.written_bytes),
            device_read_bytes: io.map(|io| io.device_read_bytes),
            device_written_bytes: io.map(|io| io.device_written_bytes),
        });
    }

    /// The figures of the last window that was opened and closed. [`Sample::retained_heap_bytes`] is
    /// for the caller to fill in, who knows when inputs and output are gone.
    pub fn take(&mut self) -> Option<Sample> {
        self.sample.take()
    }

    /// Forgets a window that was opened and never closed, as a panic leaves it.
    pub fn abandon(&mut self) {
        self.opened = None;
        self.sample = None;
    }
}

/// The nanoseconds of a duration; 584 years and more are `u64::MAX`.
#[must_use]
pub fn nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
