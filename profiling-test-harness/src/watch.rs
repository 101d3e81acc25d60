//! Looks at a worker from outside while it executes: what it can't see itself, or only afterwards.

use std::fs;
use std::time::{Duration, Instant};

use profiling_core::measure::{descriptors, family, memory};

/// How long after its last message a worker is looked at: shorter executions are left in peace.
const FIRST: Duration = Duration::from_millis(2);
/// How long between two looks at a worker without child processes.
const ALONE: Duration = Duration::from_millis(5);
/// Between looks at a family lies at least this many times what a look takes.
const REST: u32 = 4;
/// How long between two looks at a family, at least and at most.
const FAMILY: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// The highest figures that were seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub threads: Option<u64>,
    pub file_descriptors: Option<u64>,
    /// The memory of the worker and its descendants together, while there were any.
    pub tree_bytes: Option<u64>,
}

/// When to look at a worker, and what was seen.
#[derive(Debug)]
pub(crate) struct Watch {
    worker: u32,
    next: Instant,
    seen: Seen,
}

impl Watch {
    pub(crate) fn new(worker: u32) -> Self {
        Self { worker, next: Instant::now() + FIRST, seen: Seen::default() }
    }

    /// When to look next.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// What was seen since this was last asked for.
    pub(crate) fn take(&mut self) -> Seen {
        self.next = Instant::now() + FIRST;
        std::mem::take(&mut self.seen)
    }

    /// Looks, if it is time to.
    pub(crate) fn look(&mut self) {
        let begin = Instant::now();
        if begin < self.next {
            return;
        }
        self.seen.threads = self.seen.threads.max(threads(self.worker));
        self.seen.file_descriptors = self.seen.file_descriptors.max(descriptors::count_of(self.worker));
        let family = family::descendants_of(self.worker);
        let pause = if family.iter().any(|one| !one.ended) {
            let members = family.iter().filter(|one| !one.ended).map(|one| one.id).chain([self.worker]);
            // One that has just ended has no memory any more.
            let bytes: u64 = members.filter_map(memory::proportional_bytes).sum();
            self.seen.tree_bytes = self.seen.tree_bytes.max(Some(bytes).filter(|&bytes| bytes > 0));
            (begin.elapsed() * REST).clamp(FAMILY.0, FAMILY.1)
        } else {
            ALONE
        };
        self.next = Instant::now() + pause;
    }
}

/// The threads of a process; `None` where the platform doesn't tell.
fn threads(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Threads:"))?.trim().parse().ok()
}
