//! The boundary around a job's own execution: of what a worker has open and running, what came within is the
//! job's, and what came outside is not.
//!
//! A job without code around it needs no looks in between: whatever there is in the end that wasn't there at the
//! beginning is its own. The looks are outside of the measured window.

use tokio::runtime::RuntimeMetrics;

use super::allocator;
use super::ancestry::Ancestor;
use super::bystanders::Bystanders;
use super::descriptors::{self, Descriptor};
use super::family::{self, Descendant};
use super::inventory::{Inventory, Process};
use super::ledger::{Ledger, Origin, Ran};
use super::retention::{Heap, HeapDoubt, Inputs};
use super::ticks;
use crate::around::Around;

/// What a worker has open and running, and whose it is.
#[derive(Debug)]
pub(crate) struct Boundary {
    around: Around,
    now: Inventory,
    descriptors: Ledger<Descriptor>,
    threads: Ledger<u32>,
    processes: Ledger<Process>,
    own: Ancestor,
    tasks: Tasks,
    bystanders: Bystanders,
    /// The job's own threads, from the end of a call.
    lingering: Bystanders,
    /// The descriptors that were open before anything ran.
    opened_before: Option<u64>,
    /// No execution has begun.
    is_first: bool,
    heap: Heap,
    heap_doubt: Option<HeapDoubt>,
    /// What the looks themselves have left on the heap since the execution began.
    own_bytes: i64,
    /// How long the looks next to the call have taken.
    own_ticks: u64,
}

/// How many tasks of the job's runtime are those of the code around it, at most.
#[derive(Debug, Default)]
struct Tasks {
    metrics: Option<RuntimeMetrics>,
    alive: usize,
    around: usize,
}

impl Tasks {
    /// Counts them again. `by_around`: new ones may have been started by the code around the job.
    fn look(&mut self, by_around: bool) {
        let alive = self.metrics.as_ref().map_or(0, RuntimeMetrics::num_alive_tasks);
        if by_around || self.around > 0 {
            self.around += alive.saturating_sub(self.alive);
        }
        self.alive = alive;
        self.around = self.around.min(alive);
    }
}

impl Boundary {
    /// Before anything of the user's has run.
    pub(crate) fn new(around: Around, metrics: Option<RuntimeMetrics>) -> Self {
        let mut now = Inventory::default();
        now.look();
        let mut tasks = Tasks { metrics, ..Tasks::default() };
        tasks.look(false);
        Self {
            around,
            descriptors: Ledger::new(&now.descriptors),
            threads: Ledger::new(&now.threads),
            processes: Ledger::new(&now.processes),
            own: Ancestor { id: std::process::id(), session: family::own_session() },
            now,
            tasks,
            bystanders: Bystanders::default(),
            lingering: Bystanders::default(),
            opened_before: descriptors::count(),
            is_first: true,
            heap: Heap::default(),
            heap_doubt: None,
            own_bytes: 0,
            own_ticks: 0,
        }
    }

    /// An execution begins: its inputs are next.
    pub(crate) fn begin(&mut self) {
        if !self.around.is_any() {
            return;
        }
        let by_around = if self.is_first { self.around.fixture } else { self.around.after };
        self.tasks.look(by_around);
        if !self.is_first && !self.around.after && self.job_runs() {
            // Before `setup` runs, only that can have brought something.
            self.look(Ran { job: true, around: self.around_runs() });
        }
        (self.heap, self.own_bytes, self.own_ticks) = (Heap::default(), 0, 0);
    }

    /// The call is next.
    pub(crate) fn open(&mut self) {
        if !self.around.is_any() {
            return;
        }
        let begin = ticks::read();
        self.tasks.look(self.around.before);
        let code_ran = self.is_first || self.around.before || self.around.after;
        let ran = if code_ran { Ran { job: self.job_has_run(), around: true } } else { self.running() };
        self.is_first = false;
        self.look(ran);
        self.bystanders.watch(self.threads.of(Origin::Around).chain(self.threads.of(Origin::Either)));
        self.own_ticks += ticks::read().saturating_sub(begin);
    }

    /// The call has ended, and has left so many bytes more on the heap, with its output.
    pub(crate) fn close(&mut self, kept_heap_bytes: Option<i64>) {
        if !self.around.is_any() {
            return;
        }
        let begin = ticks::read();
        self.tasks.look(false);
        self.heap.in_call = kept_heap_bytes.unwrap_or(0);
        self.heap.running = self.tasks.around > 0 || self.bystanders.have_run();
        self.look(Ran { job: true, around: self.heap.running });
        self.lingering.watch(self.threads.of(Origin::Job).chain(self.threads.of(Origin::Either)));
        self.own_ticks += ticks::read().saturating_sub(begin);
    }

    /// What the call could do with its inputs.
    pub(crate) fn note_inputs(&mut self, inputs: Inputs) {
        self.heap.inputs = inputs;
    }

    /// Drops the output, and notes how much of the heap went with it.
    pub(crate) fn drop_output<T>(&mut self, output: T) {
        let before = std::mem::needs_drop::<T>().then(allocator::live_bytes).flatten();
        drop(output);
        if let Some((before, after)) = before.zip(allocator::live_bytes()) {
            self.heap.output = before - after;
        }
    }

    /// What the looks have left on the heap in this execution.
    pub(crate) fn own_bytes(&self) -> i64 {
        self.own_bytes
    }

    /// How long the looks right before and right after the call have taken in this execution.
    pub(crate) fn own_ns(&self) -> u64 {
        ticks::estimated_ns(self.own_ticks)
    }

    /// Forgets the doubts about executions that were warm-ups.
    pub(crate) fn forget(&mut self) {
        self.heap_doubt = None;
    }

    /// The bytes that the job has retained in this execution, of so many that were left.
    pub(crate) fn retained(&mut self, left: i64) -> i64 {
        if !self.around.is_any() {
            return left;
        }
        let Around { fixture: _, before, after } = self.around;
        if !before && !after {
            self.heap.inputs = Inputs::Given;
        }
        let (retained, doubt) = self.heap.retained(left);
        self.heap_doubt = doubt.or(self.heap_doubt);
        retained
    }

    /// Looks again after the last execution, when nothing of the user's runs but what was started. `first`: for
    /// the first time.
    pub(super) fn look_at_end(&mut self, first: bool) {
        let code_ran = self.around.is_any() && first && (self.around.after || self.is_first);
        self.tasks.look(code_ran);
        let ran = match (self.around.is_any(), code_ran) {
            (false, _) => Ran { job: true, around: false },
            (true, true) => Ran { job: self.job_has_run(), around: true },
            (true, false) => self.running(),
        };
        self.look(ran);
    }

    pub(super) fn opened_before(&self) -> Option<u64> {
        self.opened_before
    }

    pub(super) fn around(&self) -> Around {
        self.around
    }

    pub(super) fn heap_doubt(&self) -> Option<HeapDoubt> {
        self.heap_doubt
    }

    pub(super) fn descriptors(&self) -> &Ledger<Descriptor> {
        &self.descriptors
    }

    pub(super) fn threads(&self) -> &Ledger<u32> {
        &self.threads
    }

    pub(super) fn processes(&self) -> &Ledger<Process> {
        &self.processes
    }

    pub(super) fn family(&self) -> &[Descendant] {
        &self.now.family
    }

    fn running(&self) -> Ran {
        Ran { job: self.job_runs(), around: self.around_runs() }
    }

    fn around_runs(&self) -> bool {
        self.tasks.around > 0 || self.threads.has(Origin::Around) || self.threads.has(Origin::Either)
    }

    fn job_runs(&self) -> bool {
        self.tasks.alive > self.tasks.around || self.threads.has(Origin::Job) || self.threads.has(Origin::Either)
    }

    /// Whether something that the job has started may have run since the last call.
    fn job_has_run(&self) -> bool {
        self.tasks.alive > self.tasks.around || self.lingering.have_run()
    }

    fn look(&mut self, ran: Ran) {
        let before = allocator::live_bytes();
        self.now.look();
        self.descriptors.see(&self.now.descriptors, |known, new| {
            // A copy of a descriptor is no other socket.
            known.origin_of(|one| one.is_same_socket(&new)).unwrap_or_else(|| ran.origin())
        });
        self.threads.see(&self.now.threads, |_, _| ran.origin());
        let (own, family) = (self.own, &self.now.family);
        self.processes.see(&self.now.processes, |known, new| own.origin(new, family, known, ran));
        if let Some((before, after)) = before.zip(allocator::live_bytes()) {
            self.own_bytes += after - before;
        }
    }
}
