//! What lies below a directory.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// More entries than this are too many to look at.
pub(crate) const MOST: usize = 50_000;

/// What an entry of a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A file of whatever type.
    File,
    Directory,
}

/// What changes where an entry is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    pub kind: Kind,
    length: u64,
    written: Option<SystemTime>,
    identity: Identity,
}

/// What tells a file from another that took its name, and when something about it was changed.
#[cfg(unix)]
type Identity = (u64, u32, i64, i64);
/// Nothing more is told.
#[cfg(not(unix))]
type Identity = ();

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (metadata.ino(), metadata.mode(), metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn identity(_metadata: &Metadata) -> Identity {}

impl State {
    fn of(metadata: &Metadata) -> Self {
        // A directory changes with what is in it, which is listed by itself.
        let is_directory = metadata.is_dir();
        Self {
            kind: if is_directory { Kind::Directory } else { Kind::File },
            length: if is_directory { 0 } else { metadata.len() },
            written: metadata.modified().ok().filter(|_| !is_directory),
            identity: identity(metadata),
        }
    }

    /// Whether another reading of the same path shows another thing, or the same one changed.
    #[cfg(unix)]
    pub(crate) fn differs(&self, other: &Self) -> bool {
        let plain = |state: &Self| (state.kind, state.length, state.written, state.identity.0, state.identity.1);
        match self.kind {
            Kind::Directory => plain(self) != plain(other),
            Kind::File => self != other,
        }
    }

    /// Whether another reading of the same path shows another thing, or the same one changed.
    #[cfg(not(unix))]
    pub(crate) fn differs(&self, other: &Self) -> bool {
        self != other
    }

    /// Whether it is the same thing, changed or not.
    #[cfg(unix)]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.kind, self.identity.0) == (other.kind, other.identity.0)
    }

    /// Whether it is the same thing, changed or not, as far as the platform tells.
    #[cfg(not(unix))]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

/// The entries below a directory, by their paths from there.
pub(crate) type Listing = BTreeMap<PathBuf, State>;

/// Everything below a directory that can be read, but for what is left out; `false` where there was too much.
pub(crate) fn list(root: &Path, left_out: &dyn Fn(&Path, &Metadata) -> bool) -> (Listing, bool) {
    let mut listing = Listing::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(root.join(&directory)).into_iter().flatten().flatten() {
            let path = directory.join(entry.file_name());
            let Ok(metadata) = entry.metadata() else { continue };
            if left_out(&path, &metadata) {
                continue;
            }
            if listing.len() >= MOST {
                return (listing, false);
            }
            if metadata.is_dir() {
                directories.push(path.clone());
            }
            listing.insert(path, State::of(&metadata));
        }
    }
    (listing, true)
}

/// Of entries, the files and those directories that hold none of the others.
pub(crate) fn remains<'a>(entries: impl DoubleEndedIterator<Item = &'a Path>) -> Vec<&'a Path> {
    let mut remains: Vec<&Path> = Vec::new();
    // What lies in a directory comes after it.
    for path in entries.rev() {
        if !remains.last().is_some_and(|below| below.starts_with(path)) {
            remains.push(path);
        }
    }
    remains.reverse();
    remains
}

/// How much the files below a directory hold together.
pub(crate) fn bytes_in(directory: &Path) -> u64 {
    let (listing, complete) = list(directory, &|_, _| false);
    // What can't be counted any more is too much.
    if complete { listing.values().map(|state| state.length).sum() } else { u64::MAX }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn lists_files_and_directories() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        fs::create_dir_all(root.path().join("a/b"))?;
        fs::write(root.path().join("a/x"), "12345")?;
        fs::write(root.path().join("y"), "123")?;
        let (listing, complete) = list(root.path(), &|path, _| path == Path::new("y"));
        let kinds: Vec<_> = listing.iter().map(|(path, state)| (path.to_str(), state.kind)).collect();
        let expected = [(Some("a"), Kind::Directory), (Some("a/b"), Kind::Directory), (Some("a/x"), Kind::File)];
        assert_eq!((kinds, complete), (expected.to_vec(), true));
        assert_eq!(remains(listing.keys().map(PathBuf::as_path)), [Path::new("a/b"), Path::new("a/x")]);
        assert_eq!(bytes_in(root.path()), 8);
        Ok(())
    }

    #[test]
    fn a_name_that_begins_like_a_directory_is_not_in_it() {
        let paths = ["a", "a b", "a/b", "ab"].map(Path::new);
        let sorted: std::collections::BTreeSet<&Path> = paths.into();
        let remains = remains(sorted.into_iter());
        assert_eq!(remains, ["a/b", "a b", "ab"].map(Path::new));
    }

    #[test]
    fn a_change_shows() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let file = root.path().join("x");
        fs::write(&file, "1")?;
        let look = || list(root.path(), &|_, _| false).0[Path::new("x")];
        let before = look();
        assert!(!before.differs(&look()));
        fs::write(&file, "12")?;
        assert!(before.differs(&look()) && before.is_same(&look()));
        fs::rename(&file, root.path().join("old"))?;
        fs::write(&file, "1")?;
        assert!(before.differs(&look()));
        Ok(())
    }
}
