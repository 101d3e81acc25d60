//! Processes that a job started and left behind.
//!
//! They can't be ended as a group: workers stay in the harness's own process group, which cargo and
//! nextest belong to or rely on. On Linux the supervisor adopts them instead, and so finds them
//! among its own children once the worker is gone.

#[cfg(target_os = "linux")]
pub(crate) use linux::{adopt_orphans, end_orphans};

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::io;
    use std::time::{Duration, Instant};

    use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid};

    /// Makes this process the parent of every descendant whose own parent ends.
    pub(crate) fn adopt_orphans() -> io::Result<()> {
        Ok(set_child_subreaper(Some(getpid()))?)
    }

    /// Ends every child of this process but the one that is to be spared.
    pub(crate) fn end_orphans(spared: Option<u32>) {
        const LONGEST: Duration = Duration::from_secs(2);
        let spared = spared.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let begin = Instant::now();
        // A killed child's own children are adopted in turn.
        loop {
            let orphans: Vec<Pid> = children().into_iter().filter(|&child| Some(child) != spared).collect();
            if orphans.is_empty() || begin.elapsed() >= LONGEST {
                return;
            }
            for orphan in orphans {
                let _ = kill_process(orphan, Signal::KILL);
                let _ = waitpid(Some(orphan), WaitOptions::NOHANG);
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// The children of this process, those included that have ended and were not waited for.
    fn children() -> Vec<Pid> {
        children_of_threads().unwrap_or_else(children_among_processes)
    }

    /// As the kernel lists them for each thread, where it was built to (`CONFIG_PROC_CHILDREN`).
    fn children_of_threads() -> Option<Vec<Pid>> {
        let mut children = Vec::new();
        for thread in fs::read_dir("/proc/self/task").ok()? {
            let list = fs::read_to_string(thread.ok()?.path().join("children")).ok()?;
            children.extend(list.split_whitespace().filter_map(|id| Pid::from_raw(id.parse().ok()?)));
        }
        Some(children)
    }

    fn children_among_processes() -> Vec<Pid> {
        let own = getpid();
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        processes.filter(|process| parent_of(*process) == Some(own)).filter_map(Pid::from_raw).collect()
    }

    /// The fourth field of `/proc/<pid>/stat`; the second, the name in brackets, may hold anything.
    fn parent_of(process: i32) -> Option<Pid> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let (_, fields) = stat.rsplit_once(')')?;
        Pid::from_raw(fields.split_whitespace().nth(1)?.parse().ok()?)
    }
}

/// Elsewhere descendants can't be told from other processes; they are left alone.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "the same interface on every platform")]
pub(crate) fn adopt_orphans() -> std::io::Result<()> {
    Ok(())
}

/// Elsewhere descendants can't be told from other processes; they are left alone.
#[cfg(not(target_os = "linux"))]
pub(crate) fn end_orphans(_spared: Option<u32>) {}
