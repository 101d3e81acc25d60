//! The processes that this one has started, and theirs: what they cost is part of what the job costs.
//!
//! Children that were waited for are in `getrusage(RUSAGE_CHILDREN)`. Those that were not, because they
//! are running or because nobody has asked for their exit, have CPU clocks of their own, which go on
//! telling after the end (`clock_getcpuclockid(3)`). The sum over both doesn't change at the moment in
//! which a child is waited for. No child is ever waited for here: its exit belongs to the job.

use std::time::{Duration, Instant};

use super::cpu::Usage;

/// How long [`Family::settle`] waits for processes that an execution has started.
pub const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// CPU time of child processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FamilyUsage {
    /// CPU time in all.
    pub cpu_ns: u64,
    /// CPU time in user mode; of children that were not waited for as the kernel estimates it.
    pub user_ns: u64,
    /// CPU time in the kernel.
    pub system_ns: u64,
}

impl FamilyUsage {
    /// What was used since an earlier reading.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns.saturating_sub(earlier.cpu_ns),
            user_ns: self.user_ns.saturating_sub(earlier.user_ns),
            system_ns: self.system_ns.saturating_sub(earlier.system_ns),
        }
    }

    /// Of the children that were waited for.
    fn waited_for() -> Option<Self> {
        let Usage { user_ns, system_ns, .. } = Usage::of_children()?;
        Some(Self { cpu_ns: user_ns + system_ns, user_ns, system_ns })
    }

    #[cfg(target_os = "linux")]
    fn plus(self, other: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns + other.cpu_ns,
            user_ns: self.user_ns + other.user_ns,
            system_ns: self.system_ns + other.system_ns,
        }
    }
}

/// A process that descends from this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descendant {
    /// Its process id.
    pub id: u32,
    /// When it was started, in the kernel's ticks since boot; tells it from a later one with the same id.
    pub started: u64,
    /// Its parent, or whoever has adopted it.
    pub parent: u32,
    /// Its session.
    pub session: u32,
    /// The name of its program, cut to 15 bytes as the kernel does.
    pub name: String,
    /// Whether it has ended, though nobody has waited for it.
    pub ended: bool,
}

/// The processes that descend from this one; none where the platform doesn't tell.
///
/// One whose parent has ended is among them where the harness has made this process its new parent.
#[must_use]
pub fn descendants() -> Vec<Descendant> {
    if os::has_children() { os::descendants() } else { Vec::new() }
}

/// Whether this process has started any others, which may have ended; `false` where the platform doesn't tell.
#[must_use]
pub fn has_started_any() -> bool {
    os::has_children() || Usage::of_children().is_some_and(|usage| usage.minor_faults > 0)
}

/// The ids of the children of a process, those included that have ended and were not waited for.
#[must_use]
pub fn children_of(process: u32) -> Vec<u32> {
    os::children(process)
}

/// The session of this process; `None` where the platform doesn't tell.
#[must_use]
pub fn own_session() -> Option<u32> {
    os::own_session()
}

/// The processes that descend from another one, which may have ended meanwhile.
#[must_use]
pub fn descendants_of(process: u32) -> Vec<Descendant> {
    os::descendants_of(process)
}

/// The family before an execution.
#[derive(Debug)]
pub struct Family {
    usage: FamilyUsage,
    known: Vec<Descendant>,
}

/// The family right after an execution.
#[derive(Debug, Clone, Copy)]
pub struct FamilyAfter {
    waited_for: FamilyUsage,
    has_children: bool,
}

impl Family {
    /// Reads what all child processes have used so far; `None` where the platform doesn't tell.
    #[must_use]
    pub fn now() -> Option<Self> {
        let known = descendants();
        Some(Self { usage: os::usage(&known)?, known })
    }

    /// What must be read at once after an execution; the rest can wait for [`settle`](Self::settle).
    #[must_use]
    pub fn after() -> Option<FamilyAfter> {
        Some(FamilyAfter { waited_for: FamilyUsage::waited_for()?, has_children: os::has_children() })
    }

    /// What the child processes have used since. Where there were any after the execution, waits up to
    /// [`LONGEST_WAIT`] for those that it started and calls `on_wait` first.
    #[must_use]
    pub fn settle(self, after: FamilyAfter, on_wait: &mut dyn FnMut()) -> Option<FamilyUsage> {
        if !after.has_children {
            return Some(after.waited_for.since(&self.usage));
        }
        let begin = Instant::now();
        let mut pause = Duration::from_micros(100);
        let mut family = os::descendants();
        let is_new = |one: &Descendant| {
            !one.ended && !self.known.iter().any(|known| (known.id, known.started) == (one.id, one.started))
        };
        if family.iter().any(is_new) {
            on_wait();
        }
        while family.iter().any(is_new) && begin.elapsed() < LONGEST_WAIT {
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(2));
            family = os::descendants();
        }
        Some(os::usage(&family)?.since(&self.usage))
    }
}

#[cfg(target_os = "linux")]
mod os {
    use std::fs;
    use std::mem::MaybeUninit;

    use super::{Descendant, FamilyUsage};
    use crate::measure::{cpu, nanoseconds, procfs};

    pub(super) fn has_children() -> bool {
        let mut info = MaybeUninit::<libc::siginfo_t>::uninit();
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: `info` is valid for a write of one `siginfo_t`, which is all that the call does; with
        // `WNOWAIT` it leaves every child as it is.
        unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), options) == 0 }
    }

    pub(super) fn usage(family: &[Descendant]) -> Option<FamilyUsage> {
        let own = family.iter().filter_map(|one| Stat::of(one.id)?.usage(one.id));
        Some(own.fold(FamilyUsage::waited_for()?, FamilyUsage::plus))
    }

    pub(super) fn descendants() -> Vec<Descendant> {
        descendants_of(std::process::id())
    }

    pub(super) fn descendants_of(process: u32) -> Vec<Descendant> {
        let mut found = Vec::new();
        let mut parents = vec![process];
        while let Some(parent) = parents.pop() {
            for child in children(parent) {
                let Some(stat) = Stat::of(child) else { continue };
                let Stat { name, ended, session, started, .. } = stat;
                found.push(Descendant { id: child, started, parent, session, name, ended });
                parents.push(child);
            }
        }
        found
    }

    pub(super) fn own_session() -> Option<u32> {
        Some(Stat::of(std::process::id())?.session)
    }

    pub(super) fn children(parent: u32) -> Vec<u32> {
        listed_children(parent).unwrap_or_else(|| children_among_processes(parent))
    }

    /// As the kernel lists them for each thread; `None` where it was built without (`CONFIG_PROC_CHILDREN`).
    fn listed_children(parent: u32) -> Option<Vec<u32>> {
        let mut children = Vec::new();
        let mut listed = false;
        for thread in fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten() {
            let list = match fs::read_to_string(thread.path().join("children")) {
                Ok(list) => list,
                // The thread has ended.
                Err(_) if !thread.path().exists() => continue,
                Err(_) => return None,
            };
            listed = true;
            children.extend(list.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        }
        listed.then_some(children)
    }

    fn children_among_processes(parent: u32) -> Vec<u32> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        processes.filter(|&process| Stat::of(process).is_some_and(|stat| stat.parent == parent)).collect()
    }

    /// What is read of `/proc/<pid>/stat`; times are in clock ticks.
    #[derive(Debug, PartialEq, Eq)]
    struct Stat {
        name: String,
        ended: bool,
        parent: u32,
        session: u32,
        user: u64,
        system: u64,
        children: u64,
        children_system: u64,
        started: u64,
    }

    impl Stat {
        fn of(process: u32) -> Option<Self> {
            Self::parse(&procfs::text(format!("/proc/{process}/stat")).ok()?)
        }

        fn parse(text: &str) -> Option<Self> {
            // The name in brackets may hold anything.
            let (begin, rest) = text.rsplit_once(')')?;
            let (_, name) = begin.split_once('(')?;
            let fields: Vec<&str> = rest.split_whitespace().collect();
            let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
            Some(Self {
                name: name.to_owned(),
                ended: matches!(*fields.first()?, "Z" | "X"),
                parent: fields.get(1)?.parse().ok()?,
                session: fields.get(3)?.parse().ok()?,
                user: number(11)?,
                system: number(12)?,
                children: number(13)? + number(14)?,
                children_system: number(14)?,
                started: number(19)?,
            })
        }

        /// What the process and the children that it has waited for have used.
        fn usage(&self, process: u32) -> Option<FamilyUsage> {
            let cpu_ns = cpu_clock(process)?;
            let ticks = self.user + self.system;
            // The clock is exact, the two parts of it are in whole ticks.
            let user_ns = if ticks == 0 { cpu_ns } else { share(cpu_ns, self.user, ticks) };
            let theirs = ticks_ns(self.children);
            let theirs_system = ticks_ns(self.children_system);
            Some(FamilyUsage {
                cpu_ns: cpu_ns + theirs,
                user_ns: user_ns + theirs - theirs_system,
                system_ns: cpu_ns - user_ns + theirs_system,
            })
        }
    }

    fn share(whole: u64, part: u64, of: u64) -> u64 {
        u64::try_from(u128::from(whole) * u128::from(part) / u128::from(of)).unwrap_or(whole)
    }

    fn ticks_ns(ticks: u64) -> u64 {
        // SAFETY: `sysconf` reads nothing of ours.
        let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
        ticks * 1_000_000_000 / u64::try_from(per_second).ok().filter(|&ticks| ticks > 0).unwrap_or(100)
    }

    /// The CPU clock of another process, which it keeps until somebody waits for it.
    fn cpu_clock(process: u32) -> Option<u64> {
        let mut clock = 0;
        // SAFETY: `clock` is valid for a write of one `clockid_t`, which is all that the call does.
        if unsafe { libc::clock_getcpuclockid(i32::try_from(process).ok()?, &raw mut clock) } != 0 {
            return None;
        }
        cpu::read_clock(clock).map(nanoseconds)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn parses_what_the_kernel_prints() {
            let text = "26914 (a (b) c) Z 26868 26858 1065 0 -1 4227148 230 0 0 0 19 3 7 2 20 0 1 0 415432 0 0";
            let stat = Stat::parse(text).expect("complete");
            let expected = Stat {
                name: "a (b) c".to_owned(),
                ended: true,
                parent: 26_868,
                session: 1_065,
                user: 19,
                system: 3,
                children: 9,
                children_system: 2,
                started: 415_432,
            };
            assert_eq!(stat, expected);
            assert_eq!(Stat::parse("1 (x) S 1"), None);
        }

        #[test]
        fn both_ways_find_the_same_children() {
            let own = std::process::id();
            let mut child = std::process::Command::new("sleep").arg("10").spawn().expect("sleep is everywhere");
            let found = [listed_children(own).unwrap_or_else(|| vec![child.id()]), children_among_processes(own)];
            child.kill().and_then(|()| child.wait()).expect("it is a child");
            assert!(found.iter().all(|children| children.contains(&child.id())), "{found:?}");
        }
    }
}

/// Elsewhere, only children that were waited for are known.
#[cfg(not(target_os = "linux"))]
mod os {
    use super::{Descendant, FamilyUsage};

    pub(super) fn has_children() -> bool {
        false
    }

    pub(super) fn descendants() -> Vec<Descendant> {
        Vec::new()
    }

    pub(super) fn descendants_of(_process: u32) -> Vec<Descendant> {
        Vec::new()
    }

    pub(super) fn own_session() -> Option<u32> {
        None
    }

    pub(super) fn children(_parent: u32) -> Vec<u32> {
        Vec::new()
    }

    pub(super) fn usage(_family: &[Descendant]) -> Option<FamilyUsage> {
        FamilyUsage::waited_for()
    }
}
