//! Whether any of some threads has run in a while: those of others while the job did, or the job's while others did.

use super::threads::{self, Activity};

/// How many threads are looked at; of more than that, some are taken to have run.
const MOST: usize = 8;

/// The threads at the beginning of that while.
#[derive(Debug, Default)]
pub(super) struct Bystanders {
    /// Each with how often it had been given a processor.
    waiting: Vec<(u32, u64)>,
    /// One was running, or there are too many to look at.
    has_run: bool,
}

impl Bystanders {
    /// Begins with these.
    pub(super) fn watch(&mut self, threads: impl Iterator<Item = u32>) {
        self.waiting.clear();
        self.has_run = false;
        for (index, thread) in threads.enumerate() {
            let Some(turns) = threads::turns(thread).filter(|_| index < MOST && waits(thread)) else {
                self.has_run = true;
                return;
            };
            self.waiting.push((thread, turns));
        }
    }

    /// Whether one of them may have run since.
    pub(super) fn have_run(&self) -> bool {
        self.has_run || self.waiting.iter().any(|&(thread, turns)| threads::turns(thread) != Some(turns))
    }
}

/// Whether it is waiting for something. Read after its turns: while these stay as they are, so does this.
fn waits(thread: u32) -> bool {
    threads::activity(thread).is_some_and(|activity| activity != Activity::Running)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_thread_that_waits_has_not_run_and_one_that_is_woken_has() {
        let (wake, woken) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            // SAFETY: the call reads nothing of ours.
            tell.send(unsafe { libc::gettid() }.cast_unsigned()).expect("the test waits for it");
            while woken.recv().is_ok() {}
        });
        let id = told.recv().expect("it tells");
        std::thread::sleep(Duration::from_millis(50));
        let mut bystanders = Bystanders::default();
        assert!(!bystanders.have_run(), "there are none");
        bystanders.watch([id].into_iter());
        assert!(!bystanders.have_run());
        wake.send(()).expect("it listens");
        std::thread::sleep(Duration::from_millis(50));
        assert!(bystanders.have_run());
        drop(wake);
        thread.join().expect("it ends");
        bystanders.watch([id].into_iter());
        assert!(bystanders.have_run(), "it has ended, after whatever it did");
    }
}
