//! Processes that a job started and left behind.
//!
//! They can't be ended as a group: workers stay in the harness's own process group, which cargo and
//! nextest belong to or rely on. On Linux the supervisor adopts them instead, and so finds them
//! among its own children once the worker is gone.

#[cfg(target_os = "linux")]
pub(crate) use linux::{adopt_orphans, end_orphans};

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::sync::OnceLock;
    use std::time::{Duration, Instant};

    use profiling_core::measure::family;
    use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid};

    /// The children that this process had before it started any: those of a shell that has become the harness.
    static EARLIER: OnceLock<Vec<u32>> = OnceLock::new();

    /// Makes this process the parent of every descendant whose own parent ends.
    pub(crate) fn adopt_orphans() -> io::Result<()> {
        EARLIER.get_or_init(|| family::children_of(std::process::id()));
        Ok(set_child_subreaper(Some(getpid()))?)
    }

    /// Ends every child of this process but those that it always had, and the one that is to be spared.
    pub(crate) fn end_orphans(spared: Option<u32>) {
        const LONGEST: Duration = Duration::from_secs(2);
        let begin = Instant::now();
        let earlier = EARLIER.get().map_or(&[][..], Vec::as_slice);
        // A killed child's own children are adopted in turn.
        loop {
            let mut orphans = family::children_of(std::process::id());
            orphans.retain(|child| Some(*child) != spared && !earlier.contains(child));
            if orphans.is_empty() || begin.elapsed() >= LONGEST {
                return;
            }
            for orphan in orphans.into_iter().filter_map(|id| Pid::from_raw(id.cast_signed())) {
                let _ = kill_process(orphan, Signal::KILL);
                let _ = waitpid(Some(orphan), WaitOptions::NOHANG);
            }
            std::thread::sleep(Duration::from_micros(200));
        }
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
