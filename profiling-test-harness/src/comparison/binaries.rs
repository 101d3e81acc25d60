//! The test binaries of both versions, of which every worker of a comparison runs a fresh copy.
//!
//! Where the kernel keeps a file in memory decides how well its code fits the caches, and every process that
//! runs the file shares that: of one binary's copies, the same job was measured up to 6% faster or slower in each
//! for as long as it stayed in memory. Where every worker runs a copy of its own it is chance, as other noise is.
//! A hard link shares the pages of its file, and serves nothing; file systems that can (Btrfs, XFS) let a copy share
//! the blocks on the disk alone.
//!
//! Large binaries take long to copy. That takes a part of the time at most: then copies serve several trials.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::pairing::{NEW, ROLES};
use crate::binary::{CopiedFile, HeldBinary, copy_until};
use crate::temporary::RunDirectory;

/// The part of the time so far that copies may take, one in so many.
const PART: u32 = 2;
/// What they may take of `--compare-time` in addition, one part in so many: a comparison may be over soon.
const ADVANCE: u32 = 10;

/// The test binaries of both versions.
#[derive(Debug)]
pub(crate) struct Binaries {
    old: PathBuf,
    new: Rc<HeldBinary>,
    /// Knows which copies were made.
    directory: Rc<RunDirectory>,
    state: RefCell<State>,
}

/// What the contestants of a trial run, by their role.
pub(crate) type Contestants = [Rc<Executable>; ROLES.len()];

#[derive(Debug)]
enum State {
    /// Nothing was copied so far.
    Fresh,
    /// These were copied last.
    Copied { copies: Contestants, took: Duration, since: Instant, told: bool },
    /// The binaries themselves: they can't be copied, or it takes too long.
    Themselves(Contestants),
}

/// What a worker runs.
#[derive(Debug)]
pub(crate) enum Executable {
    /// A copy, which is removed with this.
    Copy(CopiedFile),
    /// The binary itself.
    Itself(PathBuf),
}

/// Why no copies are run.
#[derive(Debug)]
enum NotCopied {
    Refused(io::Error),
    TooLong(Duration),
}

impl Binaries {
    /// `directory`: of the run that compares them.
    pub(super) fn new(old: &Path, new: &Rc<HeldBinary>, directory: &Rc<RunDirectory>) -> Self {
        let (old, new, directory) = (old.to_owned(), Rc::clone(new), Rc::clone(directory));
        Self { old, new, directory, state: RefCell::new(State::Fresh) }
    }

    /// What the contestants of the next trial run: fresh copies, if there is time for them. `time`: what is left to the
    /// case.
    pub(super) fn for_trial(&self, time: Duration) -> io::Result<Contestants> {
        let mut state = self.state.borrow_mut();
        let (took, since, told) = match &mut *state {
            State::Themselves(contestants) => return Ok(contestants.clone()),
            State::Fresh => (Duration::ZERO, Instant::now(), false),
            State::Copied { copies, took, since, told } => {
                if *took > since.elapsed() / PART + time / ADVANCE {
                    self.tell_of_reuse(told, *took);
                    return Ok(copies.clone());
                }
                (*took, *since, *told)
            }
        };
        let begin = Instant::now();
        match self.copies(begin, time / PART) {
            Ok(copies) => {
                *state = State::Copied { copies: copies.clone(), took: took + begin.elapsed(), since, told };
                Ok(copies)
            }
            Err(why) => {
                // Those that there are serve as well.
                if let (NotCopied::TooLong(again), State::Copied { copies, took, told, .. }) = (&why, &mut *state) {
                    *took += *again;
                    self.tell_of_reuse(told, *took);
                    return Ok(copies.clone());
                }
                let themselves = self.themselves(&why)?;
                *state = State::Themselves(themselves.clone());
                Ok(themselves)
            }
        }
    }

    fn copies(&self, begin: Instant, time: Duration) -> Result<Contestants, NotCopied> {
        let copy = |role| {
            let until = begin.checked_add(time);
            let copy = if role == NEW { self.new.copy(&self.directory, until) } else { self.copy_of_old(until) };
            copy.map(|copy| Rc::new(Executable::Copy(copy))).map_err(|reason| match reason.kind() {
                io::ErrorKind::TimedOut => NotCopied::TooLong(begin.elapsed()),
                _ => NotCopied::Refused(reason),
            })
        };
        let [first, second, third] = ROLES;
        Ok([copy(first)?, copy(second)?, copy(third)?])
    }

    fn copy_of_old(&self, until: Option<Instant>) -> io::Result<CopiedFile> {
        CopiedFile::beside(&self.old, &self.directory, |to| copy_until(&File::open(&self.old)?, to, until))
    }

    /// The binaries themselves, which the user is told.
    fn themselves(&self, why: &NotCopied) -> io::Result<Contestants> {
        let (old, new) = (self.old.display(), self.new.path().display());
        let consequence = "Where they happen to lie in memory may look like a change";
        match why {
            NotCopied::Refused(reason) => complain!("warning: can't copy `{old}` and `{new}`: {reason}. {consequence}"),
            NotCopied::TooLong(took) => complain!(
                "warning: `{old}` and `{new}` are too large to copy them within half of --compare-time ({took:.1?} were not \
                 enough). {consequence}"
            ),
        }
        let new = self.new.for_wrapper(&self.directory)?.path;
        Ok(ROLES.map(|role| Rc::new(Executable::Itself(if role == NEW { new.clone() } else { self.old.clone() }))))
    }

    fn tell_of_reuse(&self, told: &mut bool, took: Duration) {
        if !std::mem::replace(told, true) {
            complain!(
                "note: to copy `{}` and `{}` for every trial takes long ({took:.1?}): copies serve several trials",
                self.old.display(),
                self.new.path().display()
            );
        }
    }
}

impl Deref for Executable {
    type Target = Path;

    fn deref(&self) -> &Path {
        match self {
            Self::Copy(copy) => copy,
            Self::Itself(path) => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    /// This test's own binary as either version, the old one from a directory of its own.
    fn binaries(home: &Path) -> io::Result<Binaries> {
        let old = home.join("test");
        fs::copy(std::env::current_exe()?, &old)?;
        Ok(Binaries::new(&old, &Rc::new(HeldBinary::of_this_process()?), &Rc::new(RunDirectory::make()?)))
    }

    fn is_copy(contestant: &Executable) -> bool {
        matches!(contestant, Executable::Copy(_))
    }

    #[test]
    fn a_copy_can_be_run_and_does_not_stay() -> io::Result<()> {
        let home = tempfile::tempdir()?;
        let binaries = binaries(home.path())?;
        let copies = binaries.for_trial(LONG)?;
        let [old, again, new] = &copies;
        assert!(old.to_path_buf() != again.to_path_buf() && copies.iter().all(|copy| is_copy(copy)));
        assert_eq!((old.parent(), new.parent()), (Some(home.path()), binaries.new.path().parent()));
        assert!(std::process::Command::new(&***new).arg("--list").output()?.status.success());
        let of_new = new.to_path_buf();
        drop((copies, binaries));
        assert_eq!(home.path().read_dir()?.count(), 1);
        assert!(!of_new.exists());
        Ok(())
    }

    #[test]
    fn copies_serve_several_trials_where_they_take_long() -> io::Result<()> {
        let home = tempfile::tempdir()?;
        let binaries = binaries(home.path())?;
        let copies = binaries.for_trial(LONG)?;
        let first = copies[0].to_path_buf();
        let next_after = |took, ago| {
            let since = Instant::now().checked_sub(ago).expect("the machine is up for longer");
            binaries.state.replace(State::Copied { copies: copies.clone(), took, since, told: true });
            binaries.for_trial(LONG).map(|copies| copies[0].to_path_buf())
        };
        let second = Duration::from_secs(1);
        assert_ne!(next_after(second, Duration::ZERO)?, first, "it may be over soon");
        assert_eq!(next_after(LONG / ADVANCE + second, Duration::ZERO)?, first);
        assert_ne!(next_after(LONG / ADVANCE + second, 3 * second)?, first, "it is a small part of all");
        let in_no_time = binaries.for_trial(Duration::ZERO)?;
        assert!(is_copy(&in_no_time[0]), "those that there are serve, too");
        Ok(())
    }

    #[test]
    fn what_can_not_be_copied_in_time_or_at_all_is_run_itself() -> io::Result<()> {
        let home = tempfile::tempdir()?;
        let in_no_time = binaries(home.path())?;
        let contestants = in_no_time.for_trial(Duration::ZERO)?;
        assert!(!contestants.iter().any(|contestant| is_copy(contestant)));
        assert_eq!((&**contestants[0], &**contestants[NEW]), (&*home.path().join("test"), in_no_time.new.path()));
        assert_eq!(home.path().read_dir()?.count(), 1, "what was copied by then is removed");
        let missing = Path::new("/no/such/binary");
        let binaries = Binaries::new(missing, &in_no_time.new, &in_no_time.directory);
        assert_eq!(&**binaries.for_trial(LONG)?[0], missing);
        Ok(())
    }
}
