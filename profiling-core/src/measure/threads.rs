//! The threads of this process, and what they are busy with; Linux only.

/// What a thread is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Waits to be woken by another thread, or for something to happen on a descriptor: as the idle
    /// workers of a pool or a runtime do.
    Idle,
    /// Sleeps until a time that it has set itself.
    Sleeping,
    /// Computes, or waits for the CPU.
    Running,
    /// Waits in another system call, such as a blocking read.
    Blocked,
}

/// Puts the ids of the threads of this process in the place of what is in `into`; none where the platform doesn't
/// tell.
pub fn list(into: &mut Vec<u32>) {
    into.clear();
    os::list(into);
}

/// The ids of the threads of this process; none where the platform doesn't tell.
#[must_use]
pub fn ids() -> Vec<u32> {
    let mut ids = Vec::new();
    list(&mut ids);
    ids
}

/// How often a thread was given a processor, ever; `None` where it has ended or the platform doesn't tell.
#[must_use]
pub fn turns(thread: u32) -> Option<u64> {
    os::turns(thread)
}

/// Whether a thread sleeps in the kernel, whatever for; `None` where it has ended or the platform doesn't tell.
#[must_use]
pub fn sleeps(thread: u32) -> Option<bool> {
    os::sleeps(thread)
}

/// What a thread is doing at this moment; `None` where it has ended or the platform doesn't tell. For one that is
/// about to fall asleep the kernel waits for a tick of its clock, some milliseconds: where that is too long, ask
/// whether it [`sleeps`].
#[must_use]
pub fn activity(thread: u32) -> Option<Activity> {
    os::activity(thread)
}

/// The thread's name, cut to 15 bytes as the kernel does; it inherits that of the thread that started it.
#[must_use]
pub fn name(thread: u32) -> Option<String> {
    os::name(thread)
}

#[cfg(target_os = "linux")]
mod os {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::Activity;
    use crate::measure::procfs;

    const DIRECTORY: &str = "/proc/self/task";

    pub(super) fn list(into: &mut Vec<u32>) {
        // A directory has two links, and one more for each within.
        if fs::metadata(DIRECTORY).is_ok_and(|directory| directory.nlink() == 3) {
            into.push(std::process::id());
            return;
        }
        let entries = fs::read_dir(DIRECTORY).into_iter().flatten().flatten();
        into.extend(entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()));
    }

    /// How often a thread was given a processor, ever.
    pub(super) fn turns(thread: u32) -> Option<u64> {
        let statistics = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
        statistics.split_whitespace().nth(2)?.parse().ok()
    }

    pub(super) fn name(thread: u32) -> Option<String> {
        let name = procfs::text(format!("/proc/self/task/{thread}/comm")).ok()?;
        // The name itself may end in blanks, or in a line's end.
        Some(name.strip_suffix('\n').unwrap_or(&name).to_owned())
    }

    pub(super) fn sleeps(thread: u32) -> Option<bool> {
        let statistics = procfs::text(format!("/proc/self/task/{thread}/stat")).ok()?;
        // The name in brackets may hold anything.
        Some(statistics.rsplit_once(") ")?.1.starts_with('S'))
    }

    pub(super) fn activity(thread: u32) -> Option<Activity> {
        // The number of the system call and its arguments, or `running`.
        let call = fs::read_to_string(format!("/proc/self/task/{thread}/syscall")).ok()?;
        Some(classify(&call))
    }

    fn classify(call: &str) -> Activity {
        let Some(number) = call.split_whitespace().next().and_then(|number| number.parse::<i64>().ok()) else {
            return Activity::Running;
        };
        match number {
            // A page fault, or another wait in the kernel that is no system call.
            ..0 => Activity::Running,
            number if IDLE.contains(&number) => Activity::Idle,
            number if [libc::SYS_nanosleep, libc::SYS_clock_nanosleep].contains(&number) => Activity::Sleeping,
            _ => Activity::Blocked,
        }
    }

    #[cfg(target_arch = "x86_64")]
    const IDLE: &[i64] = &[
        libc::SYS_futex,
        libc::SYS_epoll_wait,
        libc::SYS_epoll_pwait,
        libc::SYS_epoll_pwait2,
        libc::SYS_poll,
        libc::SYS_ppoll,
        libc::SYS_select,
        libc::SYS_pselect6,
        // Interrupted in one of these, and about to go on.
        libc::SYS_restart_syscall,
    ];
    #[cfg(not(target_arch = "x86_64"))]
    const IDLE: &[i64] = &[
        libc::SYS_futex as i64,
        libc::SYS_epoll_pwait as i64,
        libc::SYS_epoll_pwait2 as i64,
        libc::SYS_ppoll as i64,
        libc::SYS_pselect6 as i64,
        libc::SYS_restart_syscall as i64,
    ];

    #[cfg(test)]
    mod tests {
        use std::sync::mpsc;
        use std::time::Duration;

        use super::*;

        /// What a thread does that is given a channel, once it has got there.
        fn observed(work: impl FnOnce(mpsc::Receiver<()>) + Send + 'static) -> (Option<Activity>, Option<bool>) {
            let (sender, receiver) = mpsc::channel();
            let (id_sender, id) = mpsc::channel();
            let thread = std::thread::spawn(move || {
                // SAFETY: the call reads nothing of ours.
                let id = unsafe { libc::gettid() };
                id_sender.send(id.cast_unsigned()).expect("the test waits for it");
                work(receiver);
            });
            let id = id.recv().expect("the thread tells");
            std::thread::sleep(Duration::from_millis(20));
            let observed = (activity(id), super::super::sleeps(id));
            drop(sender);
            thread.join().expect("it ends");
            observed
        }

        #[test]
        fn threads_are_told_apart() {
            let waiting = |receiver: mpsc::Receiver<()>| assert!(receiver.recv().is_err());
            assert_eq!(observed(waiting), (Some(Activity::Idle), Some(true)));
            let sleeping = |_: mpsc::Receiver<()>| std::thread::sleep(Duration::from_millis(300));
            assert_eq!(observed(sleeping), (Some(Activity::Sleeping), Some(true)));
            let computing =
                |receiver: mpsc::Receiver<()>| while receiver.try_recv() == Err(mpsc::TryRecvError::Empty) {};
            assert_eq!(observed(computing), (Some(Activity::Running), Some(false)));
        }

        #[test]
        fn a_thread_that_ended_does_nothing() {
            assert_eq!((activity(u32::MAX), super::super::sleeps(u32::MAX)), (None, None));
            assert!(super::super::ids().contains(&std::process::id()));
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod os {
    use super::Activity;

    pub(super) fn list(_into: &mut Vec<u32>) {}

    pub(super) fn turns(_thread: u32) -> Option<u64> {
        None
    }

    pub(super) fn name(_thread: u32) -> Option<String> {
        None
    }

    pub(super) fn sleeps(_thread: u32) -> Option<bool> {
        None
    }

    pub(super) fn activity(_thread: u32) -> Option<Activity> {
        None
    }
}
