//! What tokio's stable metrics tell of the runtime of an async job.

use std::future::poll_fn;
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor, RuntimeMetrics};

use crate::breakdown::RuntimeProfile;
use crate::measure::{nanoseconds, ticks};
use crate::statistics::Distribution;

/// How long to wait for busy workers to park: what they do is counted only then.
const LONGEST: Duration = Duration::from_millis(1);

/// The metrics of one runtime, over executions. Its memory is constant in their number.
#[derive(Debug)]
pub(crate) struct RuntimeWatch {
    metrics: RuntimeMetrics,
    has_threads: bool,
    before: Counters,
    busy_ns: Distribution,
    parks: Distribution,
    alive_tasks: Distribution,
    global_queue_depth: Distribution,
}

/// What only ever grows, over all workers.
#[derive(Debug, Clone, Copy, Default)]
struct Counters {
    busy_ns: u64,
    parks: u64,
}

impl RuntimeWatch {
    /// Boxed: it holds every distribution.
    pub(crate) fn new(handle: &Handle) -> Box<Self> {
        Box::new(Self {
            metrics: handle.metrics(),
            has_threads: !matches!(handle.runtime_flavor(), RuntimeFlavor::CurrentThread),
            before: Counters::default(),
            busy_ns: Distribution::new(),
            parks: Distribution::new(),
            alive_tasks: Distribution::new(),
            global_queue_depth: Distribution::new(),
        })
    }

    /// Reads the counters before an execution.
    pub(crate) fn begin(&mut self) {
        self.before = self.counters();
    }

    /// Records the execution since then, whose own future was polled for so long.
    pub(crate) fn end(&mut self, polled_ns: u64) {
        let (alive_tasks, queued) = (self.metrics.num_alive_tasks(), self.metrics.global_queue_depth());
        self.await_parked();
        let now = self.counters();
        self.busy_ns.add(now.busy_ns.saturating_sub(self.before.busy_ns) + polled_ns);
        self.parks.add(now.parks.saturating_sub(self.before.parks));
        self.alive_tasks.add(alive_tasks as u64);
        self.global_queue_depth.add(queued as u64);
    }

    /// Forgets the executions so far.
    pub(crate) fn clear(&mut self) {
        [&mut self.busy_ns, &mut self.parks, &mut self.alive_tasks, &mut self.global_queue_depth]
            .into_iter()
            .for_each(Distribution::clear);
    }

    /// The executions since it was cleared; `None` where there were none.
    pub(crate) fn profile(&self) -> Option<RuntimeProfile> {
        Some(RuntimeProfile {
            workers: u32::try_from(self.metrics.num_workers()).unwrap_or(u32::MAX),
            busy_ns: self.busy_ns.summary(1.0).filter(|_| self.has_threads),
            parks: Some(self.parks.summary(1.0)?),
            alive_tasks: self.alive_tasks.summary(1.0),
            global_queue_depth: self.global_queue_depth.summary(1.0),
        })
    }

    fn counters(&self) -> Counters {
        (0..self.metrics.num_workers()).fold(Counters::default(), |sum, worker| Counters {
            busy_ns: sum.busy_ns + nanoseconds(self.metrics.worker_total_busy_duration(worker)),
            parks: sum.parks + self.metrics.worker_park_count(worker),
        })
    }

    fn await_parked(&self) {
        let begin = Instant::now();
        // The count is odd while the worker is parked.
        let parked = |worker| self.metrics.worker_park_unpark_count(worker) % 2 == 1;
        while self.has_threads && !(0..self.metrics.num_workers()).all(parked) && begin.elapsed() < LONGEST {
            std::thread::yield_now();
        }
    }
}

/// A future, and how long it is polled, which tokio doesn't count of the one that `block_on` waits for.
pub(crate) async fn polled<F: Future>(future: F, polled_ns: &mut u64) -> F::Output {
    let mut future = pin!(future);
    let mut polled = 0;
    let output = poll_fn(|context| {
        let begin = ticks::read();
        let poll = future.as_mut().poll(context);
        polled += ticks::read().saturating_sub(begin);
        poll
    });
    let output = output.await;
    *polled_ns = ticks::estimated_ns(polled);
    output
}
