//! Files that a job leaves behind, in the working directory and in a temporary one of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::attribution::{self, Traces, WorkingDirectory};
use crate::temporary;

/// Watches the working directory, and gives out temporary directories.
#[derive(Debug)]
pub(crate) struct Files {
    working_directory: WorkingDirectory,
    temporary: PathBuf,
    /// Directories that workers have left as they found them, for those to come: to make and remove one
    /// takes longer than many an execution.
    unused: Vec<TempDir>,
}

impl Files {
    /// `ours`: what the harness itself writes to. `temporary`: where workers get temporary directories.
    pub(crate) fn watch(ours: &[PathBuf], temporary: &Path) -> io::Result<Self> {
        let roots = temporary.ancestors().take(2).map(Path::to_owned);
        let ours = ours.iter().cloned().chain(roots);
        let working_directory = WorkingDirectory::watch(std::env::current_dir()?, ours);
        Ok(Self { working_directory, temporary: temporary.to_owned(), unused: Vec::new() })
    }

    pub(crate) fn working_directory(&self) -> &WorkingDirectory {
        &self.working_directory
    }

    /// A worker begins.
    pub(crate) fn begin(&mut self) {
        self.working_directory.begin();
    }

    /// Its executions are over, and it is about to end.
    pub(crate) fn executed(&mut self) {
        self.working_directory.executed();
    }

    /// An empty directory for the temporary files of one worker.
    pub(crate) fn temporary_directory(&mut self) -> io::Result<TempDir> {
        self.unused.pop().map_or_else(|| temporary::subdirectory(&self.temporary), Ok)
    }

    /// What a worker that has ended may have left behind: in its temporary directory, and in the working directory.
    pub(crate) fn left(&mut self, temporary: TempDir) -> Traces {
        let directory = temporary.path().to_owned();
        let mut left = Vec::new();
        if self.is_as_new(&temporary) {
            self.unused.push(temporary);
        } else {
            let (listing, _) = attribution::list(temporary.path(), &|_, _| false);
            let remains = attribution::remains(listing.keys().map(PathBuf::as_path));
            left.extend(remains.into_iter().map(|path| (path.to_owned(), listing[path].kind)));
            // What can't be removed is left to the system, as other temporary files are.
            let _ = temporary.close();
        }
        Traces { directory, temporary: left, changes: self.working_directory.changes() }
    }

    /// Whether another worker may have the directory: nothing is in it, and where processes that a worker
    /// has left behind are ended, nothing will be.
    fn is_as_new(&self, directory: &TempDir) -> bool {
        let permissions = |directory: &Path| directory.metadata().map(|metadata| metadata.permissions()).ok();
        cfg!(target_os = "linux")
            && fs::read_dir(directory.path()).is_ok_and(|mut entries| entries.next().is_none())
            && permissions(directory.path()) == permissions(&self.temporary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::Kind;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_directory_is_used_again_until_a_worker_changes_it() -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        type Change = fn(&Path) -> io::Result<()>;
        let changes: [(&str, Change); 3] = [
            ("a file", |directory| fs::write(directory.join("x"), "")),
            ("a directory", |directory| fs::create_dir(directory.join("x"))),
            ("permissions", |directory| fs::set_permissions(directory, fs::Permissions::from_mode(0o500))),
        ];
        let run = TempDir::new()?;
        let mut files = Files::watch(&[], run.path())?;
        for (what, change) in changes {
            let first = files.temporary_directory()?;
            let path = first.path().to_owned();
            files.left(first);
            let second = files.temporary_directory()?;
            assert_eq!(second.path(), path, "nothing was done to it");
            change(second.path())?;
            files.left(second);
            assert!(!path.exists(), "{what}");
            assert_eq!(files.temporary_directory()?.path().read_dir()?.count(), 0);
        }
        Ok(())
    }

    #[test]
    fn finds_what_is_left_in_a_temporary_directory() -> io::Result<()> {
        let run = TempDir::new()?;
        let mut files = Files::watch(&[], run.path())?;
        let temporary = files.temporary_directory()?;
        let path = temporary.path().to_owned();
        fs::create_dir_all(path.join("empty/inner"))?;
        fs::create_dir(path.join("full"))?;
        fs::write(path.join("full/x"), "")?;
        let left = files.left(temporary);
        let expected = [("empty/inner", Kind::Directory), ("full/x", Kind::File)];
        assert_eq!(left.temporary, expected.map(|(path, kind)| (PathBuf::from(path), kind)));
        assert_eq!((left.directory, path.exists()), (path, false));
        Ok(())
    }

    #[test]
    fn finds_what_changes_in_the_working_directory_while_a_worker_executes() -> io::Result<()> {
        let root = TempDir::new()?;
        let run = TempDir::new_in(root.path())?;
        let mut files = Files::watch(&[], run.path())?;
        let ours = [run.path().to_owned(), root.path().join("out")];
        files.working_directory = WorkingDirectory::watch(root.path().to_owned(), ours);
        fs::write(root.path().join("before"), "")?;
        files.begin();
        let temporary = files.temporary_directory()?;
        fs::write(temporary.path().join("t"), "")?;
        fs::create_dir(root.path().join("deep"))?;
        for path in ["new", "deep/new", "out"] {
            fs::write(root.path().join(path), "")?;
        }
        files.executed();
        let left = files.left(temporary);
        let present = left.changes.present();
        assert!(present.contains(&*root.path().join("new")) && present.contains(&*root.path().join("deep")));
        assert!(present.iter().all(|path| !path.ends_with("out") && !path.ends_with("before")), "{present:?}");
        files.begin();
        let temporary = files.temporary_directory()?;
        files.executed();
        assert!(files.left(temporary).is_empty(), "each is told once");
        Ok(())
    }
}
