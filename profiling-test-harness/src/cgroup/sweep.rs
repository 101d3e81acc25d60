//! Removes the groups of supervisors that were killed.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Removes a group, and ends what is still running in it.
pub(crate) fn remove_with_processes(group: &Path) {
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
    use rustix::process::{Pid, Signal, kill_process};

    pub(super) fn kill(process: &str) {
        // One that this process can't see is 0.
        if let Some(process) = process.parse().ok().and_then(Pid::from_raw) {
            let _ = kill_process(process, Signal::KILL);
        }
    }
}

/// Elsewhere there are no control groups.
#[cfg(not(target_os = "linux"))]
mod platform {
    pub(super) fn kill(_process: &str) {}
}
