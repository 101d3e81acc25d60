//! What a worker has at the end of its executions that it didn't have before the first.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::descriptors::{self, Connection};
use super::family::{self, Descendant};
use super::threads::{self, Activity};

/// How long what is about to go is given to go: connections that close in the background, threads that
/// are about to end or to become idle.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// What this process has open and running before the first execution.
#[derive(Debug)]
pub struct Before {
    descriptors: Option<u64>,
    sockets: Vec<u64>,
    threads: Vec<u32>,
    family: Vec<Descendant>,
}

/// What was left behind; empty where the platform doesn't tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftovers {
    /// File descriptors that are open, more than before; negative where older ones were closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_descriptors: Option<i64>,
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
    /// Whether any process was started at all, of which all may have ended.
    #[serde(default)]
    pub started_processes: bool,
}

impl Before {
    /// Looks around.
    #[must_use]
    pub fn now() -> Self {
        Self {
            descriptors: descriptors::count(),
            sockets: descriptors::sockets().iter().map(|socket| socket.inode).collect(),
            threads: threads::ids(),
            family: family::descendants(),
        }
    }

    /// What is there now and was not before. Where it finds something that may be about to go, it calls
    /// `wait`, which should let a runtime do its work, and looks again.
    #[must_use]
    pub fn left(&self, wait: &mut dyn FnMut(Duration)) -> Leftovers {
        let begin = Instant::now();
        let mut left = self.look();
        let mut busy = self.busy_threads(left.threads);
        while !(busy.is_empty() && left.listens.is_empty() && left.connected.is_empty() && left.processes.is_empty())
            && begin.elapsed() < PATIENCE
        {
            wait(PAUSE);
            left = self.look();
            // A thread that was idle once is one that waits to be given something to do.
            let still_busy = self.busy_threads(left.threads);
            busy.retain(|thread| still_busy.contains(thread));
        }
        left.busy_threads = busy.into_iter().filter_map(threads::name).collect();
        left
    }

    fn look(&self) -> Leftovers {
        let mut left = Leftovers {
            file_descriptors: descriptors::count()
                .zip(self.descriptors)
                .map(|(now, before)| now.cast_signed() - before.cast_signed()),
            threads: self.new_threads().count() as u64,
            processes: self.processes(),
            started_processes: family::has_started_any(),
            ..Leftovers::default()
        };
        let new = descriptors::sockets().into_iter().filter(|socket| !self.sockets.contains(&socket.inode));
        for connection in new.filter_map(|socket| socket.connection()) {
            match connection {
                Connection::Listens { at } => left.listens.push(at),
                Connection::Connected { to } => left.connected.push(to),
            }
        }
        left
    }

    fn new_threads(&self) -> impl Iterator<Item = u32> {
        threads::ids().into_iter().filter(|thread| !self.threads.contains(thread))
    }

    fn busy_threads(&self, new: u64) -> Vec<u32> {
        if new == 0 {
            return Vec::new();
        }
        let busy = |thread: &u32| threads::activity(*thread).is_some_and(|activity| activity != Activity::Idle);
        self.new_threads().filter(busy).collect()
    }

    fn processes(&self) -> Vec<String> {
        let known =
            |one: &Descendant| self.family.iter().any(|known| (known.id, known.started) == (one.id, one.started));
        let left = family::descendants().into_iter().filter(|one| !one.ended && !known(one));
        left.map(|one| one.name).collect()
    }
}
