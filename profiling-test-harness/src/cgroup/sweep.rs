//! Removes the groups of supervisors that were killed.
//!
//! A supervisor notes down in its temporary directory, which a later run finds, where it makes groups.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::{Cgroups, PREFIX};

/// The name of the note: one directory a line.
const RECORD: &str = "cgroups";

/// Notes down where groups are made, before the first one is.
pub(crate) fn record(groups: &Cgroups, directory: &Path) -> io::Result<()> {
    let parents: String = groups.parents().map(|parent| format!("{}\n", parent.display())).collect();
    File::options().create(true).append(true).open(directory.join(RECORD))?.write_all(parents.as_bytes())
}

/// Removes the groups of a process that has ended, whose temporary directory this is, with what is still
/// running in them.
pub(crate) fn sweep(directory: &Path, owner: u32) {
    if !platform::is_ours(directory) {
        return;
    }
    let parents = fs::read_to_string(directory.join(RECORD)).unwrap_or_default();
    let prefix = format!("{PREFIX}{owner}-");
    for parent in parents.lines() {
        for group in fs::read_dir(parent).into_iter().flatten().flatten() {
            if group.file_name().to_str().is_some_and(|name| name.starts_with(&prefix)) {
                remove(&group.path());
            }
        }
    }
}

fn remove(group: &Path) {
    use std::time::{Duration, Instant};
    const LONGEST: Duration = Duration::from_secs(2);
    let begin = Instant::now();
    while fs::remove_dir(group).is_err() && group.exists() && begin.elapsed() < LONGEST {
        for process in fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default().lines() {
            platform::kill(process);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(target_os = "linux")]
mod platform {
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use rustix::process::{Pid, Signal, geteuid, kill_process};

    /// Anyone can write a note into a directory for everybody's temporary files.
    pub(super) fn is_ours(directory: &Path) -> bool {
        directory.symlink_metadata().is_ok_and(|metadata| metadata.uid() == geteuid().as_raw())
    }

    pub(super) fn kill(process: &str) {
        if let Some(process) = process.parse().ok().and_then(Pid::from_raw) {
            let _ = kill_process(process, Signal::KILL);
        }
    }
}

/// Elsewhere there are no control groups.
#[cfg(not(target_os = "linux"))]
mod platform {
    use std::path::Path;

    pub(super) fn is_ours(_directory: &Path) -> bool {
        false
    }

    pub(super) fn kill(_process: &str) {}
}
