//! What this process has open and running at one moment.

use super::descriptors::{self, Descriptor};
use super::family::{self, Descendant};
use super::threads;

/// A process that descends from this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Process {
    pub id: u32,
    /// Tells it from a later one with the same id.
    pub started: u64,
}

/// What was there at the last look, each kind in order. Its memory is used again for the next.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    pub descriptors: Vec<Descriptor>,
    pub threads: Vec<u32>,
    /// Without those that have ended.
    pub processes: Vec<Process>,
    /// All of them.
    pub family: Vec<Descendant>,
}

impl Inventory {
    /// Looks around.
    pub(super) fn look(&mut self) {
        descriptors::list(&mut self.descriptors);
        threads::list(&mut self.threads);
        self.threads.sort_unstable();
        self.family = family::descendants();
        let alive = self.family.iter().filter(|one| !one.ended);
        self.processes.clear();
        self.processes.extend(alive.map(|one| Process { id: one.id, started: one.started }));
        self.processes.sort_unstable();
    }
}
