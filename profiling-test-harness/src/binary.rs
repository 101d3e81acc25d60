//! The test binary that was started, held open: a build that replaces it while a run goes on changes nothing of
//! what is measured.
//!
//! Workers are started by its path as long as that leads to the same file. Afterwards Linux starts them from the
//! open file, and where that can't be had, or a wrapper such as `valgrind` is to start it, from a copy of
//! the open file. Whatever a worker runs, it says so in its first message, see [`Identity`].

use std::cell::{Cell, OnceCell};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Instant, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::temporary::{Elsewhere, RunDirectory};

/// What the names of copies begin with.
const COPY: &str = ".profiling-copy-";

/// Which file a binary is, and in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The device and the number of the file on it, where the platform tells.
    file: Option<(u64, u64)>,
    bytes: u64,
    modified_ns: Option<u128>,
}

/// A binary that a worker is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    pub path: PathBuf,
    pub identity: Identity,
}

/// The binary of this process.
#[derive(Debug)]
pub(crate) struct HeldBinary {
    path: PathBuf,
    file: File,
    identity: Identity,
    /// For wrappers, once it was replaced.
    copy: OnceCell<(CopiedFile, Identity)>,
    /// Whether the user was told that it was replaced.
    told: Cell<bool>,
}

/// What was started can't be had any more.
#[derive(Debug, Error)]
#[error(
    "the test binary `{}` was changed while this run goes on, as by another build, and what was started can't be run any \
     more ({why}). Nothing is measured of the new one under the old one's name: run it again", path.display()
)]
pub(crate) struct Replaced {
    path: PathBuf,
    why: String,
}

impl Replaced {
    pub(crate) fn is(error: &io::Error) -> bool {
        error.get_ref().and_then(|error| error.downcast_ref::<Self>()).is_some()
    }
}

/// A file that is removed with this.
#[derive(Debug)]
pub(crate) struct CopiedFile(PathBuf);

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified_ns = modified.map(|time| time.as_nanos());
        Self { file: platform::file(metadata), bytes: metadata.len(), modified_ns }
    }

    /// Of the file at a path.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::of(&path.metadata()?))
    }

    /// Of the binary that this process runs; `None` where nobody tells.
    pub(crate) fn of_this_process() -> Option<Self> {
        // Valgrind, which is what the kernel runs in place of its clients, answers for them if this is opened.
        let own = platform::own_executable().ok()?;
        let opened = File::open(&own).and_then(|file| file.metadata());
        opened.or_else(|_| own.metadata()).ok().map(|metadata| Self::of(&metadata))
    }

    /// What tells two builds apart wherever they lie: the length and the time; `None` where there is no time.
    pub(crate) fn build(&self) -> Option<String> {
        Some(format!("{}-{}", self.bytes, self.modified_ns?))
    }
}

impl HeldBinary {
    /// To be called before anything takes long.
    pub(crate) fn of_this_process() -> io::Result<Self> {
        let path = std::env::current_exe()?;
        let file = File::open(platform::own_executable()?)?;
        let identity = Identity::of(&file.metadata()?);
        Ok(Self { path: platform::undeleted(path), file, identity, copy: OnceCell::new(), told: Cell::new(false) })
    }

    /// Where it was when it was started.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What starts it, and which one that is. `directory`: of this run.
    pub(crate) fn command(&self, directory: &RunDirectory) -> io::Result<(Command, Program)> {
        let program = match self.in_place()? {
            Some(program) => return Ok((Command::new(&program.path), program)),
            None => match platform::descriptor(&self.file).filter(|path| self.is_at(path)) {
                Some(path) => Program { path, identity: self.identity },
                None => self.copied(directory)?,
            },
        };
        let mut command = Command::new(&program.path);
        platform::name(&mut command, &self.path);
        Ok((command, program))
    }

    /// Where a program that is not started by this process itself finds it. `directory`: of this run.
    pub(crate) fn for_wrapper(&self, directory: &RunDirectory) -> io::Result<Program> {
        self.in_place()?.map_or_else(|| self.copied(directory), Ok)
    }

    /// Copies it to `to`, with its permissions.
    pub(crate) fn copy_to(&self, to: &Path) -> io::Result<()> {
        self.copy_to_until(to, None)
    }

    fn copy_to_until(&self, to: &Path, until: Option<Instant>) -> io::Result<()> {
        let mut from = &self.file;
        io::Seek::rewind(&mut from)?;
        copy_until(from, to, until)?;
        self.expect_unchanged()
    }

    /// A copy for one worker or several, which lies beside it, where a job may look for other files; made in time,
    /// see [`copy_until`].
    pub(crate) fn copy(&self, directory: &RunDirectory, until: Option<Instant>) -> io::Result<CopiedFile> {
        CopiedFile::beside(&self.path, directory, |to| self.copy_to_until(to, until))
    }

    /// `None` where its path doesn't lead to it any more.
    fn in_place(&self) -> io::Result<Option<Program>> {
        self.expect_unchanged()?;
        if self.is_at(&self.path) {
            return Ok(Some(Program { path: self.path.clone(), identity: self.identity }));
        }
        if !self.told.replace(true) {
            complain!(
                "note: `{}` was replaced while this run goes on, as by another build. Its workers run what was started, \
                 from the open file: their backtraces name no functions, and it isn't found under its name",
                self.path.display()
            );
        }
        Ok(None)
    }

    fn is_at(&self, path: &Path) -> bool {
        Identity::at(path).is_ok_and(|identity| identity == self.identity)
    }

    /// An error where what is held was written to.
    fn expect_unchanged(&self) -> io::Result<()> {
        if Identity::of(&self.file.metadata()?) == self.identity {
            return Ok(());
        }
        Err(self.replaced("it was written to in its place".to_owned()))
    }

    fn copied(&self, directory: &RunDirectory) -> io::Result<Program> {
        if self.copy.get().is_none() {
            let own = directory.path().join(directory.unique_name());
            let copy = self.copy(directory, None).or_else(|_| {
                let copy = CopiedFile(own);
                self.copy_to(&copy.0).map(|()| copy)
            });
            let copy = copy.map_err(|error| self.replaced(format!("it can't be copied: {error}")))?;
            let identity = Identity::at(&copy)?;
            let _ = self.copy.set((copy, identity));
        }
        let copy = self.copy.get().ok_or_else(|| self.replaced("it has no copy".to_owned()))?;
        Ok(Program { path: copy.0.to_path_buf(), identity: copy.1 })
    }

    fn replaced(&self, why: String) -> io::Error {
        io::Error::other(Replaced { path: self.path.clone(), why })
    }
}

impl Program {
    /// The binary at a path, as it is now.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: Identity::at(path)? })
    }

    /// Why a worker that says what it runs does not run this.
    pub(crate) fn refuses(&self, running: Option<Identity>) -> Option<String> {
        // A worker that can't tell was started by a path that led to the right file a moment before.
        running.filter(|running| *running != self.identity)?;
        Some(format!(
            "its worker runs another binary than was started: `{}` was rebuilt while this run goes on. Nothing of the new \
             one was measured under the old one's name: run it again",
            self.path.display()
        ))
    }
}

/// Copies a file to `to`, with its permissions; an error of the kind `TimedOut` where that isn't done by then. File
/// systems that can (Btrfs, XFS) let both share their blocks.
pub(crate) fn copy_until(from: &File, to: &Path, until: Option<Instant>) -> io::Result<()> {
    /// What is copied between two looks at the clock.
    const PART: u64 = 4 << 20;
    let mut copy = File::create(to)?;
    loop {
        if until.is_some_and(|until| Instant::now() >= until) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if io::copy(&mut from.take(PART), &mut copy)? < PART {
            return copy.set_permissions(from.metadata()?.permissions());
        }
    }
}

impl CopiedFile {
    /// A copy of `binary` that lies beside it, made by `copy`.
    pub(crate) fn beside(
        binary: &Path,
        directory: &RunDirectory,
        copy: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<Self> {
        let beside = binary.parent().unwrap_or(Path::new("."));
        let path = std::path::absolute(beside)?.join(format!("{COPY}{}", directory.unique_name()));
        directory.note(&Elsewhere::File(path.clone()))?;
        let copied = Self(path);
        copy(&copied.0)?;
        Ok(copied)
    }
}

impl std::ops::Deref for CopiedFile {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for CopiedFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(target_os = "linux")]
mod platform {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::PathBuf;

    pub(super) use super::unix::{file, name};

    /// Leads to the file that is running, whatever lies at its path now.
    #[expect(clippy::unnecessary_wraps, reason = "the same interface on every platform")]
    pub(super) fn own_executable() -> io::Result<PathBuf> {
        Ok("/proc/self/exe".into())
    }

    /// The path of a file that is open in this process, for others. `/proc/self` would be theirs.
    #[expect(clippy::unnecessary_wraps, reason = "the same interface on every platform")]
    pub(super) fn descriptor(file: &File) -> Option<PathBuf> {
        Some(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into())
    }

    /// A path without what the kernel adds to that of a file which lies nowhere any more.
    pub(super) fn undeleted(path: PathBuf) -> PathBuf {
        match path.as_os_str().as_bytes().strip_suffix(b" (deleted)") {
            Some(before) if !path.exists() => std::ffi::OsString::from_vec(before.to_vec()).into(),
            _ => path,
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::fs::File;
    use std::io;
    use std::path::PathBuf;

    #[cfg(not(unix))]
    pub(super) use super::not_unix::{file, name};
    #[cfg(unix)]
    pub(super) use super::unix::{file, name};

    pub(super) fn own_executable() -> io::Result<PathBuf> {
        std::env::current_exe()
    }

    /// An open file has no path here.
    pub(super) fn descriptor(_file: &File) -> Option<PathBuf> {
        None
    }

    pub(super) fn undeleted(path: PathBuf) -> PathBuf {
        path
    }
}

#[cfg(unix)]
mod unix {
    use std::fs::Metadata;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::Command;

    #[expect(clippy::unnecessary_wraps, reason = "the same interface on every platform")]
    pub(super) fn file(metadata: &Metadata) -> Option<(u64, u64)> {
        Some((metadata.dev(), metadata.ino()))
    }

    /// What the process is called, wherever its binary comes from.
    pub(super) fn name(command: &mut Command, path: &Path) {
        command.arg0(path);
    }
}

#[cfg(not(unix))]
mod not_unix {
    use std::fs::Metadata;
    use std::path::Path;
    use std::process::Command;

    pub(super) fn file(_metadata: &Metadata) -> Option<(u64, u64)> {
        None
    }

    pub(super) fn name(_command: &mut Command, _path: &Path) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(path: &Path) -> io::Result<HeldBinary> {
        let file = File::open(path)?;
        let identity = Identity::of(&file.metadata()?);
        Ok(HeldBinary { path: path.to_owned(), file, identity, copy: OnceCell::new(), told: Cell::new(false) })
    }

    #[test]
    fn this_process_says_what_it_runs() -> io::Result<()> {
        let held = HeldBinary::of_this_process()?;
        assert_eq!(Identity::of_this_process(), Some(held.identity));
        assert_eq!(held.path(), std::env::current_exe()?);
        let program = Program::at(held.path())?;
        assert_eq!((program.refuses(Some(held.identity)), program.refuses(None)), (None, None));
        let other = Identity { bytes: 1, ..held.identity };
        let refused = program.refuses(Some(other)).expect("it is another one");
        assert!(
            refused.contains("was rebuilt while this run goes on") && refused.contains("run it again"),
            "{refused}"
        );
        Ok(())
    }

    #[test]
    fn a_copy_is_whole_or_takes_no_longer_than_it_may() -> io::Result<()> {
        let home = tempfile::tempdir()?;
        let (from, to) = (home.path().join("from"), home.path().join("to"));
        // Of several parts, or of whole ones alone.
        for length in [0, 1, (4 << 20) - 1, 4 << 20, (9 << 20) + 1] {
            let content: Vec<u8> = (0..length).map(|at: u32| (at % 251) as u8).collect();
            fs::write(&from, &content)?;
            let later = Instant::now() + std::time::Duration::from_secs(600);
            copy_until(&File::open(&from)?, &to, Some(later))?;
            assert!(fs::read(&to)? == content, "{length}");
        }
        let late = copy_until(&File::open(&from)?, &to, Some(Instant::now())).expect_err("there is no time");
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        Ok(())
    }

    #[test]
    fn a_binary_in_its_place_is_started_by_its_path() -> io::Result<()> {
        let home = tempfile::tempdir()?;
        let path = home.path().join("test");
        fs::write(&path, "old")?;
        let (held, run) = (held(&path)?, RunDirectory::make()?);
        let expected = Program { path: path.clone(), identity: held.identity };
        assert_eq!(held.command(&run)?.1, expected);
        assert_eq!(held.for_wrapper(&run)?, expected);
        assert_eq!(home.path().read_dir()?.count(), 1, "nothing was copied");
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn what_was_started_is_run_after_it_was_replaced() -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir()?;
        let (path, new) = (home.path().join("test"), home.path().join("new"));
        fs::write(&path, "old")?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        let (held, run) = (held(&path)?, RunDirectory::make()?);
        // Of the same length: a build may be.
        fs::write(&new, "new")?;
        fs::rename(&new, &path)?;
        let (_, started) = held.command(&run)?;
        assert_eq!(fs::read(&started.path)?, b"old");
        assert_eq!(Program::at(&started.path)?, started);
        let wrapped = held.for_wrapper(&run)?;
        assert_eq!(fs::read(&wrapped.path)?, b"old");
        assert_eq!(Program::at(&wrapped.path)?, wrapped);
        assert_eq!(
            (wrapped.path.parent(), wrapped.path.metadata()?.permissions().mode() & 0o777),
            (path.parent(), 0o755)
        );
        assert_eq!(held.for_wrapper(&run)?, wrapped, "one copy is enough");
        let kept = home.path().join("kept");
        held.copy_to(&kept)?;
        assert_eq!(fs::read(&kept)?, b"old");
        // Also where nothing can be made beside it any more.
        fs::remove_dir_all(home.path())?;
        let fresh = HeldBinary { copy: OnceCell::new(), ..held };
        let wrapped = fresh.for_wrapper(&run)?;
        assert_eq!((fs::read(&wrapped.path)?, wrapped.path.parent()), (b"old".to_vec(), Some(run.path())));
        let copy = wrapped.path;
        drop(fresh);
        assert!(!copy.exists());
        Ok(())
    }

    #[test]
    fn what_was_changed_in_its_place_is_refused_by_name() -> io::Result<()> {
        let home = tempfile::tempdir()?;
        let path = home.path().join("test");
        fs::write(&path, "old")?;
        let (held, run) = (held(&path)?, RunDirectory::make()?);
        fs::write(&path, "newer")?;
        let error = held.command(&run).expect_err("it is another one");
        assert!(Replaced::is(&error));
        assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
        assert!(held.for_wrapper(&run).is_err() && held.copy_to(&home.path().join("kept")).is_err());
        Ok(())
    }
}
