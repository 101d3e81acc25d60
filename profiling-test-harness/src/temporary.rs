//! The directory that a run has to itself for everything temporary, and what is left of runs that were killed.
//!
//! All runs of a user make their directories in one root, `profiling-harness-<user>`, that nobody else can write to.
//! A run holds the lock on a file in its directory for as long as it lives, in whatever container: where that
//! lock can be taken, the run is over, and its directory is removed. Nothing else is. What has to lie outside
//! of the directory, control groups and copies of binaries, is noted down in it before it is made, under a
//! name that the run shares with no other.

use std::cell::Cell;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// What the names of roots begin with.
const ROOT: &str = "profiling-harness";
/// What the names of runs' directories begin with; the run's token follows.
const RUN: &str = "run-";
/// The file that a run holds locked.
const LOCK: &str = "lock";
/// The file in which a run notes down what it makes elsewhere.
const RECORD: &str = "elsewhere";

/// The directory of a run, which is removed with this.
#[derive(Debug)]
pub(crate) struct RunDirectory {
    path: PathBuf,
    token: Token,
    named: Cell<u64>,
    /// `None` where files can't be locked: nobody sweeps it then.
    _lock: Option<File>,
}

/// Something that a run makes outside of its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Elsewhere {
    /// A control group.
    Group(PathBuf),
    /// A file.
    File(PathBuf),
    /// A directory with all that is in it.
    Directory(PathBuf),
}

/// What is left of a run that was killed. Nobody else removes it meanwhile.
#[derive(Debug)]
pub(crate) struct Abandoned {
    path: PathBuf,
    token: Token,
    _lock: File,
}

/// What tells the things of one run from those of every other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token(String);

impl RunDirectory {
    /// A new one, in the user's root. Where that can't be trusted, it lies beside it, and the user is told.
    pub(crate) fn make() -> io::Result<Self> {
        let temporary = temporary()?;
        let made = root(&temporary).and_then(|root| {
            let made = Self::make_in(&root).map_err(|error| format!("`{}`: {error}", root.display()))?;
            made.ok_or_else(|| format!("files in `{}` can't be locked", root.display()))
        });
        made.or_else(|reason| {
            complain!("note: {reason}. What this run leaves behind if it is killed will not be removed by the next");
            let token = Token::new();
            let path = temporary.join(format!("{ROOT}-{}", token.0));
            make_private(&path).map_err(|error| io::Error::other(format!("can't make {}: {error}", path.display())))?;
            Ok(Self { path, token, named: Cell::new(0), _lock: None })
        })
    }

    /// `None` where files can't be locked.
    fn make_in(root: &Path) -> io::Result<Option<Self>> {
        loop {
            let token = Token::new();
            let path = root.join(format!("{RUN}{}", token.0));
            make_private(&path)?;
            match hold(&path.join(LOCK)) {
                Ok(Some(lock)) => return Ok(Some(Self { path, token, named: Cell::new(0), _lock: Some(lock) })),
                // Another run has come before the lock, and has removed the directory.
                Ok(None) => {}
                Err(_) => {
                    clear(&path);
                    return Ok(None);
                }
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// An empty directory in this one, which is removed when it is dropped.
    pub(crate) fn subdirectory(&self) -> io::Result<TempDir> {
        subdirectory(&self.path)
    }

    /// A name that nothing else has, on this machine or another.
    pub(crate) fn unique_name(&self) -> String {
        self.named.set(self.named.get() + 1);
        format!("{}-{}", self.token.0, self.named.get())
    }

    /// Notes down what is made next outside of this directory, under a [unique name](Self::unique_name), so that a
    /// later run removes it where this one can't.
    pub(crate) fn note(&self, made: &Elsewhere) -> io::Result<()> {
        let (kind, path) = match made {
            Elsewhere::Group(path) => (b'g', path),
            Elsewhere::File(path) => (b'f', path),
            Elsewhere::Directory(path) => (b'd', path),
        };
        let mut line = vec![kind];
        line.extend_from_slice(path.as_os_str().as_encoded_bytes());
        line.push(0);
        File::options().create(true).append(true).open(self.path.join(RECORD))?.write_all(&line)
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        clear(&self.path);
    }
}

/// An empty directory in another one, which is removed when it is dropped.
pub(crate) fn subdirectory(directory: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix("").tempdir_in(directory)
}

/// What is left of runs of this user that were killed.
pub(crate) fn abandoned() -> Vec<Abandoned> {
    temporary().ok().and_then(|temporary| root(&temporary).ok()).map(|root| abandoned_in(&root)).unwrap_or_default()
}

fn abandoned_in(root: &Path) -> Vec<Abandoned> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let abandoned = entries.filter_map(|entry| {
        let token = Token::of(entry.file_name().to_str()?.strip_prefix(RUN)?)?;
        let path = entry.path();
        platform::is_private(&path).ok()?;
        // Where there is none, whoever made the directory has not come to it, and finds the directory gone.
        let lock = open(&path.join(LOCK)).ok()?;
        lock.try_lock().ok()?;
        Some(Abandoned { path, token, _lock: lock })
    });
    abandoned.collect()
}

impl Abandoned {
    /// What the run has made outside of its directory, or was about to.
    pub(crate) fn elsewhere(&self) -> Vec<Elsewhere> {
        elsewhere(&self.path, &self.token)
    }

    /// Removes the directory.
    pub(crate) fn remove(self) {
        clear(&self.path);
    }
}

fn elsewhere(directory: &Path, token: &Token) -> Vec<Elsewhere> {
    let record = fs::read(directory.join(RECORD)).unwrap_or_default();
    // What stands behind the last zero was being written, so that nothing was made.
    let whole = record.iter().rposition(|&byte| byte == 0).map_or(&[][..], |end| &record[..end]);
    let parse = |line: &[u8]| {
        let (kind, path) = line.split_first()?;
        let path = platform::path(path)?;
        // A record that someone else has changed leads to nothing of theirs.
        let is_ours = path.is_absolute() && path.file_name()?.to_str()?.contains(&token.0);
        match kind {
            b'g' if is_ours => Some(Elsewhere::Group(path)),
            b'f' if is_ours => Some(Elsewhere::File(path)),
            b'd' if is_ours => Some(Elsewhere::Directory(path)),
            _ => None,
        }
    };
    whole.split(|&byte| byte == 0).filter_map(parse).collect()
}

impl Token {
    fn new() -> Self {
        Self(format!("{:016x}", fastrand::u64(..)))
    }

    fn of(text: &str) -> Option<Self> {
        let is_one = text.len() == 16 && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
        is_one.then(|| Self(text.to_owned()))
    }
}

/// The directory for temporary files, by its real name: mounts are compared with it.
fn temporary() -> io::Result<PathBuf> {
    let directory = std::env::temp_dir();
    let named = |error| io::Error::other(format!("the temporary directory `{}`: {error}", directory.display()));
    directory.canonicalize().map_err(named)
}

/// The user's root, which is made if it isn't there; or why it can't be trusted.
fn root(temporary: &Path) -> Result<PathBuf, String> {
    let root = temporary.join(format!("{ROOT}{}", platform::user()));
    match make_private(&root) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(format!("can't make {}: {error}", root.display()))
        }
        _ => platform::is_private(&root).map(|()| root.clone()).map_err(|why| format!("`{}` {why}", root.display())),
    }
}

fn make_private(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    platform::keep_private(&mut builder);
    builder.create(directory)
}

fn open(lock: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).open(lock)
}

/// The lock of a directory that was just made; `None` where someone else was faster and has removed it.
fn hold(lock: &Path) -> io::Result<Option<File>> {
    let gone = |error: &io::Error| error.kind() == ErrorKind::NotFound;
    let file = match open(lock) {
        Err(error) if gone(&error) => return Ok(None),
        file => file?,
    };
    match file.try_lock() {
        Ok(()) => {}
        // Whoever holds it is removing the directory.
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // It may be one that lies nowhere any more.
    match platform::is_at(&file, lock) {
        Err(error) if gone(&error) => Ok(None),
        is_there => Ok(is_there?.then_some(file)),
    }
}

/// Removes a directory of a run, the lock last: as long as anything else is there, the lock is, too.
fn clear(directory: &Path) {
    let mut emptied = true;
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name() == LOCK {
            continue;
        }
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let path = entry.path();
        // What can't be removed is left to the system, as other temporary files are.
        emptied &= if is_directory { fs::remove_dir_all(path) } else { fs::remove_file(path) }.is_ok();
    }
    if emptied {
        let _ = fs::remove_file(directory.join(LOCK));
        let _ = fs::remove_dir(directory);
    }
}

#[cfg(unix)]
mod platform {
    use std::ffi::OsStr;
    use std::fs::{DirBuilder, File};
    use std::io;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    use std::path::{Path, PathBuf};

    use rustix::process::geteuid;

    /// What tells the roots of two users apart.
    pub(super) fn user() -> String {
        format!("-{}", geteuid().as_raw())
    }

    pub(super) fn keep_private(builder: &mut DirBuilder) {
        builder.mode(0o700);
    }

    /// Whether a directory is this user's, and nobody else can write to it; or why not.
    pub(super) fn is_private(directory: &Path) -> Result<(), String> {
        let metadata = directory.symlink_metadata().map_err(|error| format!("can't be read: {error}"))?;
        let (owner, user) = (metadata.uid(), geteuid().as_raw());
        match metadata.mode() & 0o777 {
            _ if !metadata.is_dir() => Err("is no directory".to_owned()),
            _ if owner != user => Err(format!("belongs to the user {owner}, not to {user}")),
            mode if mode & 0o077 != 0 => Err(format!("is open to other users (mode {mode:o}): `chmod 700` it")),
            _ => Ok(()),
        }
    }

    /// Whether a path leads to an open file.
    pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
        let (open, there) = (file.metadata()?, path.symlink_metadata()?);
        Ok((open.dev(), open.ino()) == (there.dev(), there.ino()))
    }

    #[expect(clippy::unnecessary_wraps, reason = "the same interface on every platform")]
    pub(super) fn path(bytes: &[u8]) -> Option<PathBuf> {
        Some(OsStr::from_bytes(bytes).into())
    }
}

/// Elsewhere every user has a temporary directory of their own.
#[cfg(not(unix))]
mod platform {
    use std::fs::{DirBuilder, File};
    use std::io;
    use std::path::{Path, PathBuf};

    pub(super) fn user() -> String {
        String::new()
    }

    pub(super) fn keep_private(_builder: &mut DirBuilder) {}

    pub(super) fn is_private(directory: &Path) -> Result<(), String> {
        let metadata = directory.symlink_metadata().map_err(|error| format!("can't be read: {error}"))?;
        if metadata.is_dir() { Ok(()) } else { Err("is no directory".to_owned()) }
    }

    /// A file that is open and locked stays where it is.
    pub(super) fn is_at(_file: &File, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    pub(super) fn path(bytes: &[u8]) -> Option<PathBuf> {
        Some(str::from_utf8(bytes).ok()?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(root: &Path) -> RunDirectory {
        RunDirectory::make_in(root).expect("writable").expect("files can be locked")
    }

    /// As if it had been killed: its directory stays, and the lock is free.
    fn kill(run: RunDirectory) -> PathBuf {
        let path = run.path.clone();
        let away = path.with_extension("away");
        fs::rename(&path, &away).expect("writable");
        drop(run);
        fs::rename(&away, &path).expect("writable");
        path
    }

    #[cfg(unix)]
    #[test]
    fn only_a_directory_of_our_own_becomes_the_root() -> io::Result<()> {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let temporary = TempDir::new()?;
        let found = root(temporary.path()).expect("it was made");
        assert_eq!(found.metadata()?.permissions().mode() & 0o777, 0o700);
        assert_eq!(root(temporary.path()), Ok(found.clone()), "it is there");
        fs::set_permissions(&found, fs::Permissions::from_mode(0o770))?;
        let refused = |why: &str| {
            let reason = root(temporary.path()).expect_err("not ours alone");
            assert!(reason.contains(why) && reason.contains(&*found.to_string_lossy()), "{reason}");
        };
        refused("is open to other users (mode 770)");
        fs::remove_dir(&found)?;
        let other = TempDir::new()?;
        symlink(other.path(), &found)?;
        refused("is no directory");
        fs::remove_file(&found)?;
        fs::write(&found, "")?;
        refused("is no directory");
        if rustix::process::geteuid().is_root() {
            fs::remove_file(&found)?;
            fs::create_dir(&found)?;
            std::os::unix::fs::chown(&found, Some(12345), None)?;
            refused("belongs to the user 12345, not to 0");
        }
        Ok(())
    }

    #[test]
    fn a_run_that_lives_is_not_swept_and_a_killed_one_is() -> io::Result<()> {
        let temporary = TempDir::new()?;
        let (root, alive) = (temporary.path(), made(temporary.path()));
        let dead = made(root);
        fs::create_dir_all(dead.path().join("worker/deep"))?;
        fs::write(dead.path().join("worker/deep/file"), "")?;
        // Whoever is killed between making a directory and locking it.
        make_private(&root.join(format!("{RUN}{}", Token::new().0)))?;
        let dead = kill(dead);
        for name in ["run-", "run-0123", "run-0123456789abcdeg", "notes", "run-0123456789abcdef.txt"] {
            fs::create_dir(root.join(name))?;
        }
        fs::write(root.join("run-00000000000000ff"), "a file with our name")?;
        let swept = abandoned_in(root);
        assert_eq!(swept.len(), 2);
        assert!(abandoned_in(root).is_empty(), "each is removed by one alone");
        swept.into_iter().for_each(Abandoned::remove);
        assert!(alive.path().exists() && !dead.exists());
        assert_eq!(root.read_dir()?.count(), 7, "nothing else was touched");
        let path = alive.path().to_owned();
        drop(alive);
        assert!(!path.exists());
        Ok(())
    }

    #[test]
    fn what_was_made_elsewhere_is_known_if_it_is_the_runs_own() -> io::Result<()> {
        let temporary = TempDir::new()?;
        let run = made(temporary.path());
        let names: Vec<String> = (0..3).map(|_| run.unique_name()).collect();
        let [group, file, _] = [0, 1, 2].map(|name| temporary.path().join(format!("x-{}", names[name])));
        let expected = [Elsewhere::Group(group), Elsewhere::File(file)];
        for made in &expected {
            run.note(made)?;
        }
        let foreign = temporary.path().join("of-someone-else");
        run.note(&Elsewhere::File(foreign))?;
        run.note(&Elsewhere::File(format!("relative-{}", names[2]).into()))?;
        File::options().append(true).open(run.path().join(RECORD))?.write_all(b"f/was/being/written")?;
        kill(run);
        let swept = abandoned_in(temporary.path());
        assert_eq!(swept.iter().map(Abandoned::elsewhere).collect::<Vec<_>>(), [expected]);
        Ok(())
    }

    #[test]
    fn a_directory_that_was_swept_before_it_was_locked_is_made_anew() -> io::Result<()> {
        let temporary = TempDir::new()?;
        let path = temporary.path().join("run");
        let lock = path.join(LOCK);
        assert!(hold(&lock)?.is_none(), "the directory is gone");
        make_private(&path)?;
        let sweeper = open(&lock)?;
        sweeper.lock()?;
        assert!(hold(&lock)?.is_none(), "someone is removing it");
        drop(sweeper);
        assert!(hold(&lock)?.is_some());
        Ok(())
    }
}
