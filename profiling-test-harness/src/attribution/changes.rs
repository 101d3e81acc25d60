//! What has changed in a directory.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// More changes than these are not told apart.
const MOST: usize = 10_000;

/// What has changed in a directory and below, by whomever.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// What was made there, or moved there; much of it may be gone again.
    made: BTreeSet<PathBuf>,
    /// What was written or given other attributes.
    written: BTreeSet<PathBuf>,
    /// Something was removed or moved away.
    removed: bool,
    /// Why there may be more than is known.
    untold: Option<String>,
}

impl Changes {
    pub(crate) fn made(&mut self, path: PathBuf) {
        if self.has_room() {
            self.made.insert(path);
        }
    }

    pub(crate) fn written(&mut self, path: PathBuf) {
        if self.has_room() {
            self.written.insert(path);
        }
    }

    pub(crate) fn removed(&mut self) {
        self.removed = true;
    }

    pub(crate) fn untold(&mut self, why: impl Into<String>) {
        self.untold.get_or_insert(why.into());
    }

    fn has_room(&mut self) -> bool {
        let has_room = self.made.len() + self.written.len() < MOST;
        if !has_room {
            self.untold(format!("more than {MOST} files were changed"));
        }
        has_room
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Why there may be more changes than are known.
    pub(crate) fn why_untold(&self) -> Option<&str> {
        self.untold.as_deref()
    }

    /// What was made and is still there.
    pub(crate) fn additions(&self) -> impl Iterator<Item = &Path> {
        self.made.iter().map(PathBuf::as_path).filter(|path| path.symlink_metadata().is_ok())
    }

    /// What was made or changed, and is still there.
    pub(crate) fn present(&self) -> BTreeSet<&Path> {
        let all = self.made.iter().chain(&self.written).map(PathBuf::as_path);
        all.filter(|path| path.symlink_metadata().is_ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_still_there() -> std::io::Result<()> {
        let directory = tempfile::tempdir()?;
        let [here, gone, old] = ["here", "gone", "old"].map(|name| directory.path().join(name));
        std::fs::write(&here, "")?;
        std::fs::write(&old, "")?;
        let mut changes = Changes::default();
        assert!(changes.is_empty());
        changes.made(here.clone());
        changes.made(gone.clone());
        changes.written(old.clone());
        changes.written(here.clone());
        assert_eq!(changes.additions().collect::<Vec<_>>(), [&*here]);
        assert_eq!(changes.present(), BTreeSet::from([&*here, &*old]));
        assert!(!changes.is_empty() && changes.why_untold().is_none());
        let mut removal = Changes::default();
        removal.removed();
        assert!(!removal.is_empty() && removal.present().is_empty());
        Ok(())
    }

    #[test]
    fn too_many_are_not_told_apart() {
        let mut changes = Changes::default();
        (0..=MOST).for_each(|number| changes.made(PathBuf::from(number.to_string())));
        assert_eq!((changes.made.len(), changes.why_untold().is_some()), (MOST, true));
    }
}
