//! Control groups of our own (cgroups(7)): the kernel counts in them what a worker and all that it
//! starts use together, and limits it. A few files, read and written directly.
//!
//! A worker is in its group from its first instruction on, so that everything it touches is counted
//! there. In version 1, the thread that starts it enters the group for that moment: a thread that moves
//! itself takes no lock. Moving another process makes the kernel wait for 10 ms where nobody did so just
//! before, and what it has touched by then stays with the group that it came from; version 2 has no
//! other way, but the job executes only after it.

mod hierarchy;
mod limit;
mod sweep;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::rc::Rc;
use std::time::{Duration, Instant};

use thiserror::Error;

pub(crate) use self::hierarchy::Controller;
use self::hierarchy::{Hierarchy, Version};
pub(crate) use self::limit::Quota;
pub(crate) use self::sweep::remove_with_processes;
use crate::temporary::{Elsewhere, RunDirectory};

/// What the names of our groups begin with; the process that they belong to follows, for people to see.
const PREFIX: &str = "profiling-";

/// Why there is no control group.
#[derive(Debug, Error)]
pub(crate) enum CgroupError {
    #[error("can't read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "there is no control group for {0}: neither a hierarchy of version 1 is mounted that has it, nor does a group \
         of version 2 above this process list it in `cgroup.subtree_control`"
    )]
    Missing(String),
    #[error("can't note down the control group {}: {source}", path.display())]
    Note { path: PathBuf, source: io::Error },
    #[error("can't make the control group {}: {source}", path.display())]
    Make { path: PathBuf, source: io::Error },
    #[error("can't write `{value}` to {}: {source}", path.display())]
    Write { path: PathBuf, value: String, source: io::Error },
}

impl CgroupError {
    /// Why a process could not be started in its group, if it was the group.
    pub(crate) fn behind(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    #[expect(clippy::needless_pass_by_value, reason = "what an error is made of")]
    fn missing(controllers: Vec<Controller>) -> Self {
        let names: Vec<String> = controllers.iter().map(|controller| format!("`{controller}`")).collect();
        Self::Missing(names.join(" and "))
    }
}

/// Makes control groups.
#[derive(Debug)]
pub(crate) struct Cgroups {
    hierarchies: Vec<Hierarchy>,
    /// Knows which ones were made.
    directory: Rc<RunDirectory>,
    /// Clean ones that nobody uses.
    free: Vec<Cgroup>,
}

impl Cgroups {
    /// Finds out where groups with these controllers can be made. `directory`: of the run that makes them.
    pub(crate) fn find(wanted: &[Controller], directory: Rc<RunDirectory>) -> Result<Self, CgroupError> {
        Ok(Self { hierarchies: hierarchy::find(wanted)?, directory, free: Vec::new() })
    }

    /// A group that nobody uses, which is removed when it is dropped.
    pub(crate) fn group(&mut self) -> Result<Cgroup, CgroupError> {
        self.free.pop().map_or_else(|| self.make(), Ok)
    }

    /// Takes back a group whose processes have ended. One that can be used again is cheaper than a new one,
    /// which the kernel takes some 80 µs to make and to remove.
    pub(crate) fn give_back(&mut self, group: Cgroup) {
        if group.clean().is_some() {
            self.free.push(group);
        }
    }

    fn make(&self) -> Result<Cgroup, CgroupError> {
        let mut group = Cgroup { branches: Vec::with_capacity(self.hierarchies.len()) };
        let name = format!("{PREFIX}{}-{}", std::process::id(), self.directory.unique_name());
        for hierarchy in &self.hierarchies {
            let path = hierarchy.parent.join(&name);
            let noted = self.directory.note(&Elsewhere::Group(path.clone()));
            noted.map_err(|source| CgroupError::Note { path: path.clone(), source })?;
            fs::create_dir(&path).map_err(|source| CgroupError::Make { path: path.clone(), source })?;
            group.branches.push(Branch { hierarchy: hierarchy.clone(), directory: path });
        }
        Ok(group)
    }
}

/// A control group: one directory for each hierarchy.
#[derive(Debug)]
pub(crate) struct Cgroup {
    branches: Vec<Branch>,
}

#[derive(Debug)]
struct Branch {
    hierarchy: Hierarchy,
    directory: PathBuf,
}

impl Cgroup {
    /// Starts a process in the group; an error of which a [`CgroupError`] is the reason where it can't be entered.
    pub(crate) fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let (v1, v2): (Vec<_>, Vec<_>) =
            self.branches.iter().partition(|branch| branch.hierarchy.version == Version::V1);
        let entered = v1.iter().try_for_each(|branch| move_self(&branch.directory)).map_err(io::Error::other);
        let spawned = entered.and_then(|()| command.spawn());
        let left = v1.iter().try_for_each(|branch| move_self(&branch.hierarchy.home));
        let mut child = spawned?;
        let id = child.id();
        let moved = v2.iter().try_for_each(|branch| write(&branch.directory.join("cgroup.procs"), &id.to_string()));
        if let Err(error) = left.and(moved) {
            let _ = child.kill();
            let _ = child.wait();
            return Err(io::Error::other(error));
        }
        Ok(child)
    }

    /// Makes sure that processes can be started in the group.
    pub(crate) fn try_out(&self) -> Result<(), CgroupError> {
        // Whoever has no such program will hear so from what they do start.
        match self.spawn(&mut Command::new("true")) {
            Ok(mut child) => drop(child.wait()),
            Err(error) => {
                if let Ok(error) = error.downcast() {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// The most memory that was charged to the group.
    pub(crate) fn peak_bytes(&self) -> Option<u64> {
        let (version, directory) = self.branch(Controller::Memory)?;
        let file = match version {
            Version::V1 => "memory.max_usage_in_bytes",
            // Since Linux 5.19.
            Version::V2 => "memory.peak",
        };
        fs::read_to_string(directory.join(file)).ok()?.trim().parse().ok()
    }

    /// The memory in the group now that the kernel would free before anything else: files that were
    /// read or written, and what it remembers of directories.
    pub(crate) fn cache_bytes(&self) -> Option<u64> {
        let (version, directory) = self.branch(Controller::Memory)?;
        cache_bytes(version, &fs::read_to_string(directory.join("memory.stat")).ok()?)
    }

    /// Forgets the peak; `None` where it can't, or where something is left that would be in the next one.
    fn clean(&self) -> Option<()> {
        /// What the kernel keeps at hand for each CPU is in this, too.
        const LITTLE: u64 = 1 << 20;
        let (Version::V1, directory) = self.branch(Controller::Memory)? else { return None };
        let left: u64 = fs::read_to_string(directory.join("memory.usage_in_bytes")).ok()?.trim().parse().ok()?;
        if left > LITTLE {
            return None;
        }
        write(&directory.join("memory.max_usage_in_bytes"), "0").ok()
    }

    fn branch(&self, controller: Controller) -> Option<(Version, &Path)> {
        let branch = self.branches.iter().find(|branch| branch.hierarchy.controllers.contains(&controller))?;
        Some((branch.hierarchy.version, &branch.directory))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for branch in &self.branches {
            // What stays busy is left to a later run, which ends what is in it.
            let _ = remove(&branch.directory);
        }
    }
}

/// Memory in shared mappings and on tmpfs counts as files in `memory.stat`, but can't be dropped.
fn cache_bytes(version: Version, stat: &str) -> Option<u64> {
    let figure = |name: &str| {
        let value = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        value.parse::<u64>().ok()
    };
    match version {
        Version::V1 => Some(figure("total_cache")?.saturating_sub(figure("total_shmem")?)),
        Version::V2 => {
            Some(figure("file")?.saturating_sub(figure("shmem")?) + figure("slab_reclaimable").unwrap_or_default())
        }
    }
}

/// A process that has ended, and was waited for, may be in its group for a moment longer.
fn remove(directory: &Path) -> io::Result<()> {
    const LONGEST: Duration = Duration::from_millis(100);
    let begin = Instant::now();
    loop {
        match fs::remove_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && begin.elapsed() < LONGEST => {
                std::thread::sleep(Duration::from_millis(1));
            }
            removed => return removed,
        }
    }
}

/// Moves the calling thread alone.
fn move_self(group: &Path) -> Result<(), CgroupError> {
    write(&group.join("tasks"), "0")
}

/// Control files take a value in a single write, and are never created.
fn write(file: &Path, value: &str) -> Result<(), CgroupError> {
    let written = File::options().write(true).open(file).and_then(|mut open| open.write_all(value.as_bytes()));
    written.map_err(|source| CgroupError::Write { path: file.to_owned(), value: value.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_is_what_can_be_dropped() {
        let v1 = "cache 1\nshmem 1\ntotal_cache 5000\ntotal_rss 9\ntotal_shmem 1000\n";
        assert_eq!(cache_bytes(Version::V1, v1), Some(4000));
        let v2 = "anon 9\nfile 5000\nfile_mapped 7\nshmem 1000\nslab_reclaimable 30\n";
        assert_eq!(cache_bytes(Version::V2, v2), Some(4030));
        assert_eq!(cache_bytes(Version::V2, "anon 9\n"), None);
    }

    /// In the place of control groups there are directories like any other here.
    #[test]
    fn a_group_that_cannot_be_entered_is_what_keeps_a_process_from_being_started() -> io::Result<()> {
        for version in [Version::V1, Version::V2] {
            let parent = tempfile::tempdir()?;
            let (controllers, directory) = (vec![Controller::Memory], parent.path().to_owned());
            let hierarchy = Hierarchy { version, controllers, home: directory.clone(), parent: directory };
            let run = Rc::new(RunDirectory::make()?);
            let mut groups = Cgroups { hierarchies: vec![hierarchy], directory: run, free: Vec::new() };
            let group = groups.group().map_err(io::Error::other)?;
            let begin = Instant::now();
            let error = group.spawn(Command::new("sleep").arg("60")).expect_err("it can't be entered");
            assert!(matches!(CgroupError::behind(&error), Some(CgroupError::Write { .. })), "{error}");
            assert!(begin.elapsed() < Duration::from_secs(50), "what was started was waited for");
            let missing = group.spawn(&mut Command::new("/no/such/program")).expect_err("there is none");
            assert_eq!(CgroupError::behind(&missing).is_some(), version == Version::V1, "{missing}");
            drop(group);
            assert_eq!(parent.path().read_dir()?.count(), 0);
        }
        Ok(())
    }

    /// Only where this machine lets us make groups.
    #[cfg(target_os = "linux")]
    #[test]
    fn counts_what_a_process_in_it_touches() {
        let run = Rc::new(RunDirectory::make().expect("writable"));
        let made = Cgroups::find(&[Controller::Memory], run).and_then(|groups| groups.make());
        let group = match made {
            Ok(group) => group,
            Err(error) => return complain!("skipped: {error}"),
        };
        let directory = group.branches[0].directory.clone();
        // `dd` has a buffer of one block.
        let mut dd = Command::new("dd");
        dd.args(["if=/dev/zero", "of=/dev/null", "bs=50M", "count=1", "status=none"]);
        let ended = group.spawn(&mut dd).and_then(|mut child| child.wait()).expect("dd is everywhere");
        assert!(ended.success());
        let peak = group.peak_bytes().expect("measured") as f64 / f64::from(50 << 20);
        assert!((1.0..1.1).contains(&peak), "{peak}");
        assert!(group.cache_bytes().expect("measured") < 5 << 20);
        let own = fs::read_to_string("/proc/self/cgroup").expect("this is Linux");
        assert!(!own.contains("profiling-"), "the group was left: {own}");
        drop(group);
        assert!(!directory.exists());
    }
}
