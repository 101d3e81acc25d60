//! Files that a job leaves behind, in the working directory and in a temporary one of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::attribution::{MOST, WorkingDirectory, walk};
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
        let working_directory = WorkingDirectory::watch(std::env::current_dir()?, ours);
        Ok(Self { working_directory, temporary: temporary.to_owned(), unused: Vec::new() })
    }

    /// An empty directory for the temporary files of one worker.
    pub(crate) fn temporary_directory(&mut self) -> io::Result<TempDir> {
        self.unused.pop().map_or_else(|| temporary::subdirectory(&self.temporary), Ok)
    }

    /// The files that a worker has left behind in its temporary directory, and those of the working
    /// directory that are new or were written since it was last looked at.
    pub(crate) fn left(&mut self, temporary: TempDir) -> Vec<String> {
        let mut left = Vec::new();
        if self.is_as_new(&temporary) {
            self.unused.push(temporary);
        } else {
            let complete = walk(temporary.path(), &|_| false, &mut |file| left.push(file)).is_some();
            if !complete {
                left.truncate(MOST);
            }
            // What can't be removed is left to the system, as other temporary files are.
            let _ = temporary.close();
        }
        left.extend(self.working_directory.changed());
        left.iter().map(|path| path.display().to_string()).collect()
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

/// How much the files below a directory hold together.
pub(crate) fn bytes_in(directory: &Path) -> u64 {
    let mut bytes = 0;
    let complete = walk(directory, &|_| false, &mut |file| {
        bytes += file.symlink_metadata().map_or(0, |metadata| metadata.len());
    });
    // What can't be counted any more is too much.
    complete.map_or(u64::MAX, |()| bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn finds_what_is_new() -> io::Result<()> {
        let root = TempDir::new()?;
        let write = |path: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap_or(root.path()))?;
            fs::write(path, "")
        };
        ["old", "deep/old"].iter().try_for_each(|path| write(path))?;
        let run = TempDir::new()?;
        let mut files = Files::watch(&[], run.path())?;
        files.working_directory = WorkingDirectory::watch(root.path().to_owned(), &[root.path().join("out")]);
        let temporary = files.temporary_directory()?;
        fs::write(temporary.path().join("t"), "")?;
        let (kept, path) = (temporary.path().join("t").display().to_string(), temporary.path().to_owned());
        ["new", "deep/new", "target/x", "deep/.git/x", "out/x", "deep/target/x"]
            .iter()
            .try_for_each(|path| write(path))?;
        let mut left = files.left(temporary);
        left.sort();
        let mut expected: Vec<String> = ["deep/new", "deep/target/x", "new"]
            .iter()
            .map(|file| root.path().join(file).display().to_string())
            .collect();
        expected.push(kept);
        expected.sort();
        assert_eq!(left, expected);
        assert!(!path.exists());
        let temporary = files.temporary_directory()?;
        assert_eq!(files.left(temporary), Vec::<String>::new(), "each is told once");
        fs::write(root.path().join("old"), "longer")?;
        let temporary = files.temporary_directory()?;
        assert_eq!(files.left(temporary), [root.path().join("old").display().to_string()], "it was written to");
        Ok(())
    }
}
