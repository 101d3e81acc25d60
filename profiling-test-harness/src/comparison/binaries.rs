//! The test binaries of both versions, of which every worker of a comparison runs a fresh copy.
//!
//! Where the kernel keeps a file in memory decides how well its code fits the caches, and every process that
//! runs the file shares that: of one binary's copies, the same job was measured up to 6% faster or slower in each
//! for as long as it stayed in memory. Where every worker runs a copy of its own it is chance, as other noise is.

use std::cell::Cell;
use std::fs;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::temporary::{Elsewhere, RunDirectory};

/// What the names of copies begin with.
const PREFIX: &str = ".profiling-copy-";

/// The test binaries of both versions.
#[derive(Debug)]
pub(crate) struct Binaries {
    pub(super) old: PathBuf,
    pub(super) new: PathBuf,
    /// Knows which copies were made.
    directory: Rc<RunDirectory>,
    /// Whether the user was told that one can't be copied.
    told: Cell<bool>,
}

/// What a worker runs.
#[derive(Debug)]
pub(crate) enum Executable {
    /// A copy, which is removed with this.
    Copy(CopiedFile),
    /// The binary itself, which can't be copied.
    Itself(PathBuf),
}

/// A file that is removed with this.
#[derive(Debug)]
pub(crate) struct CopiedFile(PathBuf);

impl Drop for CopiedFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Binaries {
    /// `directory`: of the run that compares them.
    pub(super) fn new(old: &Path, new: &Path, directory: &Rc<RunDirectory>) -> Self {
        Self { old: old.to_owned(), new: new.to_owned(), directory: Rc::clone(directory), told: Cell::new(false) }
    }

    /// A copy of one of them, or where it can't be copied itself, which the user is told once.
    pub(super) fn copy_of(&self, binary: &Path) -> Executable {
        self.copy(binary).map_or_else(|reason| self.itself(binary, &reason), Executable::Copy)
    }

    /// A copy that lies beside the binary, where a job may look for other files.
    fn copy(&self, binary: &Path) -> io::Result<CopiedFile> {
        let path = beside(binary).join(format!("{PREFIX}{}", self.directory.unique_name()));
        self.directory.note(&Elsewhere::File(path.clone()))?;
        let copy = CopiedFile(path);
        // With its permissions.
        fs::copy(binary, &copy.0)?;
        Ok(copy)
    }

    fn itself(&self, binary: &Path, reason: &io::Error) -> Executable {
        if !self.told.replace(true) {
            complain!(
                "warning: can't copy `{}`: {reason}. Where it happens to lie in memory may look like a change",
                binary.display()
            );
        }
        Executable::Itself(binary.to_owned())
    }
}

impl Deref for Executable {
    type Target = Path;

    fn deref(&self) -> &Path {
        match self {
            Self::Copy(copy) => &copy.0,
            Self::Itself(path) => path,
        }
    }
}

fn beside(binary: &Path) -> &Path {
    binary.parent().unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_can_be_run_and_does_not_stay() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let binary = directory.path().join("test");
        fs::copy(std::env::current_exe()?, &binary)?;
        let binaries = Binaries::new(&binary, &binary, &Rc::new(RunDirectory::make()?));
        let (one, other) = (binaries.copy_of(&binary), binaries.copy_of(&binary));
        assert!(*one != *other && *one != *binary && one.parent() == binary.parent());
        assert!(std::process::Command::new(&*one).arg("--list").output()?.status.success());
        drop((one, other));
        assert_eq!(directory.path().read_dir()?.count(), 1);
        Ok(())
    }

    #[test]
    fn what_can_not_be_copied_is_run_itself() -> io::Result<()> {
        let binary = Path::new("/no/such/binary");
        let binaries = Binaries::new(binary, binary, &Rc::new(RunDirectory::make()?));
        assert_eq!(&*binaries.copy_of(binary), binary);
        assert!(binaries.told.get());
        Ok(())
    }
}
