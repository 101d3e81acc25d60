//! What a worker has at the end of its executions that it didn't have before the first.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::boundary::Boundary;
use super::descriptors::{self, Connection, Descriptor};
use super::family;
use super::ledger::Origin;
use super::retention::HeapDoubt;
use super::threads::{self, Activity};

/// How long what is about to go is given to go: connections that close in the background, threads that
/// are about to end or to become idle.
const PATIENCE: Duration = Duration::from_millis(250);
/// The same of processes, which have something to do before they end, on a busy machine too.
const PATIENCE_WITH_PROCESSES: Duration = Duration::from_secs(1);
/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// What was left behind; empty where the platform doesn't tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftovers {
    /// File descriptors that are open, more than before; negative where older ones were closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_descriptors: Option<i64>,
    /// What the job has left behind.
    #[serde(flatten)]
    pub job: Left,
    /// What the job may have left behind, or else the code around it or something which that has started.
    #[serde(default)]
    pub unclear: Left,
    /// Why it can't be told who has kept what is left on the heap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heap_doubt: Option<HeapDoubt>,
    /// Whether any process was started at all, of which all may have ended.
    #[serde(default)]
    pub started_processes: bool,
}

/// Things that were left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The addresses of sockets that listen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listens: Vec<String>,
    /// The addresses that sockets are connected to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connected: Vec<String>,
    /// How many threads there are that were not there before, idle or not.
    #[serde(default)]
    pub threads: u64,
    /// The names of those threads that are not idle: they run, sleep, or wait in a blocking call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub busy_threads: Vec<String>,
    /// The names of processes that are still running.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<String>,
}

impl Left {
    /// Whether some of it may be about to go.
    fn may_go(&self) -> bool {
        !(self.listens.is_empty() && self.connected.is_empty() && self.processes.is_empty())
    }

    fn patience(&self) -> Duration {
        if self.processes.is_empty() { PATIENCE } else { PATIENCE_WITH_PROCESSES }
    }
}

impl Boundary {
    /// What is there now that the job has brought, or may have. Where it finds something that may be about to go, it
    /// calls `wait`, which should let a runtime do its work, and looks again.
    pub(crate) fn left(&mut self, wait: &mut dyn FnMut(Duration)) -> Leftovers {
        let begin = Instant::now();
        self.look_at_end(true);
        let mut busy = [Origin::Job, Origin::Either].map(|origin| self.busy_threads(origin));
        let mut left = self.report();
        while (busy.iter().any(|busy| !busy.is_empty()) || left.job.may_go() || left.unclear.may_go())
            && begin.elapsed() < left.job.patience().max(left.unclear.patience())
        {
            wait(PAUSE);
            self.look_at_end(false);
            left = self.report();
            for (busy, origin) in busy.iter_mut().zip([Origin::Job, Origin::Either]) {
                // A thread that was idle once is one that waits to be given something to do.
                let still_busy = self.busy_threads(origin);
                busy.retain(|thread| still_busy.contains(thread));
            }
        }
        let [job, unclear] = busy.map(|busy| busy.into_iter().filter_map(threads::name).collect());
        (left.job.busy_threads, left.unclear.busy_threads) = (job, unclear);
        left
    }

    fn report(&self) -> Leftovers {
        Leftovers {
            file_descriptors: self.descriptors_left(),
            job: self.left_by(Origin::Job),
            unclear: self.left_by(Origin::Either),
            heap_doubt: self.heap_doubt(),
            started_processes: family::has_started_any(),
        }
    }

    fn left_by(&self, origin: Origin) -> Left {
        let mut left = Left { threads: self.threads().of(origin).count() as u64, ..Left::default() };
        for socket in self.descriptors().of(origin).filter(|one| !self.serves_others(origin, one)) {
            match socket.connection() {
                Some(Connection::Listens { at }) => left.listens.push(at),
                Some(Connection::Connected { to }) => left.connected.push(to),
                None => {}
            }
        }
        if self.processes().has(origin) {
            let ids: Vec<_> = self.processes().of(origin).map(|one| (one.id, one.started)).collect();
            let family = self.family().iter().filter(|one| ids.contains(&(one.id, one.started)));
            left.processes = family.map(|one| one.name.clone()).collect();
        }
        left
    }

    /// Whether a socket that may be the job's is one that a listener of the code around it has accepted.
    fn serves_others(&self, origin: Origin, socket: &Descriptor) -> bool {
        origin == Origin::Either
            && socket.address().is_some_and(|own| {
                let mut listeners = self.descriptors().of(Origin::Around).filter_map(|one| one.connection());
                listeners.any(|listener| listener == Connection::Listens { at: own.clone() })
            })
    }

    fn busy_threads(&self, origin: Origin) -> Vec<u32> {
        let busy = |thread: &u32| threads::activity(*thread).is_some_and(|activity| activity != Activity::Idle);
        self.threads().of(origin).filter(busy).collect()
    }

    /// Where the code around the job opens and closes some, too, those are counted that are known to be the job's.
    fn descriptors_left(&self) -> Option<i64> {
        let before = self.opened_before();
        if !self.around().is_any() {
            return descriptors::count().zip(before).map(|(now, before)| now.cast_signed() - before.cast_signed());
        }
        let (job, either) = (self.descriptors().of(Origin::Job).count(), self.descriptors().has(Origin::Either));
        (before.is_some() && !either).then(|| i64::try_from(job).unwrap_or(i64::MAX))
    }
}
