//! Looks at a worker from outside while it executes: what it can't see itself, or only afterwards.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use profiling_core::measure::{descriptors, family, memory};
use profiling_core::profile::{TreePeak, TreePeakMethod};
use profiling_core::sample::Column;
use profiling_core::samples::CaseSamples;

use crate::attribution;
use crate::cgroup::Cgroup;
use crate::report::figures;

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
}

/// When to look at a worker, and what was seen.
#[derive(Debug)]
pub(crate) struct Watch {
    worker: u32,
    next: Instant,
    seen: Seen,
    tree: Tree,
    /// A directory, and how much its files may hold together.
    room: Option<(PathBuf, u64)>,
    exceeded: Option<u64>,
}

impl Watch {
    /// `group`: the control group that holds the worker and its descendants, and nothing else.
    /// `room`: a directory of the worker's, and how much its files may hold together.
    pub(crate) fn new(worker: u32, group: Option<Cgroup>, room: Option<(PathBuf, u64)>) -> Self {
        Self {
            worker,
            next: Instant::now() + FIRST,
            seen: Seen::default(),
            tree: Tree { group, ..Tree::default() },
            room,
            exceeded: None,
        }
    }

    /// The worker begins now.
    pub(crate) fn begin(&mut self) {
        self.next = Instant::now() + FIRST;
    }

    /// When to look next.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// What was seen since this was last asked for.
    pub(crate) fn take(&mut self) -> Seen {
        self.look_at_files();
        self.begin();
        std::mem::take(&mut self.seen)
    }

    /// That there was more in the worker's directory than may be.
    pub(crate) fn exceeded(&self) -> Option<String> {
        let (held, (_, most)) = (self.exceeded?, self.room.as_ref()?);
        let [held, most] = [held, *most].map(figures::bytes);
        Some(format!("its files in the temporary directory hold {held}, and there is room for {most}"))
    }

    fn look_at_files(&mut self) {
        if let Some((directory, most)) = &self.room {
            let held = attribution::bytes_in(directory);
            self.exceeded = self.exceeded.max(Some(held).filter(|held| held > most));
        }
    }

    /// Looks, if it is time to.
    pub(crate) fn look(&mut self) {
        let begin = Instant::now();
        if begin < self.next {
            return;
        }
        self.seen.threads = self.seen.threads.max(threads(self.worker));
        self.seen.file_descriptors = self.seen.file_descriptors.max(descriptors::count_of(self.worker));
        self.look_at_files();
        let family = family::descendants_of(self.worker);
        let pause = if family.iter().any(|one| !one.ended) {
            let members = family.iter().filter(|one| !one.ended).map(|one| one.id).chain([self.worker]);
            // One that has just ended has no memory any more.
            let bytes: u64 = members.filter_map(memory::proportional_bytes).sum();
            self.tree.look(bytes);
            (begin.elapsed() * REST).clamp(FAMILY.0, FAMILY.1)
        } else {
            ALONE
        };
        self.next = Instant::now() + pause;
    }

    /// What the worker and its descendants have used together, and the group, which nobody is in any more. To
    /// be asked for once they have ended, before anyone removes their files. `started_processes`: the worker
    /// knows of descendants, which may have been too short for a look.
    pub(crate) fn end(&mut self, started_processes: bool) -> (Tree, Option<Cgroup>) {
        let mut tree = std::mem::take(&mut self.tree);
        let group = tree.end(started_processes);
        (tree, group)
    }
}

/// The memory of a worker and its descendants together.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    group: Option<Cgroup>,
    /// The largest sum that was seen while there were descendants.
    sampled_bytes: Option<u64>,
    /// The most memory in the group that held files; `None` where nobody has looked.
    cache_bytes: Option<u64>,
    /// The group's own peak; `None` where there were no descendants.
    peak_bytes: Option<u64>,
}

impl Tree {
    fn look(&mut self, bytes: u64) {
        self.sampled_bytes = self.sampled_bytes.max(Some(bytes).filter(|&bytes| bytes > 0));
        self.look_at_cache();
    }

    fn look_at_cache(&mut self) {
        self.cache_bytes = self.cache_bytes.max(self.group.as_ref().and_then(Cgroup::cache_bytes));
    }

    fn end(&mut self, started_processes: bool) -> Option<Cgroup> {
        if started_processes || self.sampled_bytes.is_some() {
            self.look_at_cache();
            self.peak_bytes = self.group.as_ref().and_then(Cgroup::peak_bytes);
        }
        self.group.take()
    }

    /// The peak, where there were descendants.
    ///
    /// The group's peak has files in it that were read or written. Where these can be more than a small part
    /// of it, the sampled peak stands. Both are the least that there was: the group lacks what was charged to
    /// others, such as the pages of a program that they had read before, and a sum lacks what was there
    /// between two looks. So the larger one is nearer to the truth.
    pub(crate) fn peak(&self, samples: &CaseSamples) -> io::Result<Option<TreePeak>> {
        if self.peak_bytes.is_none() && self.sampled_bytes.is_none() {
            return Ok(None);
        }
        let resident = samples.max(Column::PeakRssBytes)?;
        let files = self.files_at_most(samples)?;
        let grouped = self.peak_bytes.filter(|&peak| files.is_some_and(|files| files <= small(peak)));
        let method = if grouped.is_some() { TreePeakMethod::Cgroup } else { TreePeakMethod::Sampled };
        let most = grouped.max(self.sampled_bytes);
        Ok(most.map(|most| TreePeak { bytes: most.max(resident.unwrap_or(0)), method }))
    }

    /// How much of the group's peak files can be: what was seen, or what an execution has transferred, as it
    /// may have removed the file again.
    fn files_at_most(&self, samples: &CaseSamples) -> io::Result<Option<u64>> {
        let (mut most, mut known) = (0, true);
        samples.visit(&mut |samples| {
            for sample in samples {
                match (sample.device_read_bytes, sample.device_written_bytes) {
                    (Some(read), Some(written)) => most = most.max(read + written),
                    _ => known = false,
                }
            }
        })?;
        Ok(self.cache_bytes.filter(|_| known).map(|cache| cache.max(most)))
    }
}

/// How much of a peak doesn't matter: 1%, and what a few small files take.
fn small(peak: u64) -> u64 {
    (peak / 100).max(1 << 20)
}

/// The threads of a process; `None` where the platform doesn't tell.
fn threads(process: u32) -> Option<u64> {
    // The name of the process in it may be any bytes.
    let status = fs::read(format!("/proc/{process}/status")).ok()?;
    String::from_utf8_lossy(&status).lines().find_map(|line| line.strip_prefix("Threads:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use profiling_core::sample::Sample;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn tree(sampled: Option<u64>, peak: Option<u64>, cache: u64) -> Tree {
        Tree { group: None, sampled_bytes: sampled, cache_bytes: peak.map(|_| cache), peak_bytes: peak }
    }

    fn samples(transferred: u64) -> [Sample; 2] {
        let quiet = Sample {
            peak_rss_bytes: Some(8 * MIB),
            device_read_bytes: Some(0),
            device_written_bytes: Some(0),
            ..Sample::default()
        };
        [quiet, Sample { device_written_bytes: Some(transferred), ..quiet }]
    }

    fn peak(tree: &Tree, transferred: u64) -> Option<(u64, TreePeakMethod)> {
        let samples: Vec<Sample> = samples(transferred).to_vec();
        let found = tree.peak(&samples.into()).expect("they are in memory")?;
        Some((found.bytes / MIB, found.method))
    }

    #[test]
    fn the_group_counts_where_files_cannot_have_raised_it() {
        use TreePeakMethod::{Cgroup, Sampled};
        let both = tree(Some(190 * MIB), Some(200 * MIB), 2 * MIB);
        assert_eq!(peak(&both, 2 * MIB), Some((200, Cgroup)));
        assert_eq!(peak(&both, 3 * MIB), Some((190, Sampled)), "a file may have come and gone");
        assert_eq!(peak(&tree(Some(190 * MIB), Some(500 * MIB), 300 * MIB), 0), Some((190, Sampled)));
        assert_eq!(peak(&tree(Some(190 * MIB), None, 0), 0), Some((190, Sampled)));
        assert_eq!(peak(&tree(Some(203 * MIB), Some(200 * MIB), 0), 0), Some((203, Cgroup)));
        let unknown = [Sample { device_read_bytes: None, ..samples(0)[0] }];
        let found = both.peak(&unknown.to_vec().into()).expect("they are in memory");
        assert_eq!(found.map(|peak| peak.method), Some(Sampled));
    }

    #[test]
    fn short_descendants_are_in_the_group_alone() {
        use TreePeakMethod::Cgroup;
        assert_eq!(peak(&tree(None, Some(20 * MIB), 0), 0), Some((20, Cgroup)));
        assert_eq!(peak(&tree(None, Some(5 * MIB), 0), 0), Some((8, Cgroup)), "the worker alone had more");
        assert_eq!(peak(&tree(None, Some(20 * MIB), 10 * MIB), 0), None, "nobody has seen them");
        assert_eq!(peak(&tree(None, None, 0), 0), None, "there were none");
    }
}
