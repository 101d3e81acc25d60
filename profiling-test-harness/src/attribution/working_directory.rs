//! What changes in the directory that jobs work in.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::walk;

/// What changes where a file is written: its length, and when it was last written.
type State = (u64, Option<SystemTime>);

/// Watches the working directory.
#[derive(Debug)]
pub(crate) struct WorkingDirectory {
    path: PathBuf,
    ours: Vec<PathBuf>,
    /// The files when they were last looked at; `None` where there are too many.
    seen: Option<HashMap<PathBuf, State>>,
}

impl WorkingDirectory {
    /// `ours`: what the harness itself writes to.
    pub(crate) fn watch(path: PathBuf, ours: &[PathBuf]) -> Self {
        let mut directory = Self { path, ours: ours.to_vec(), seen: None };
        directory.seen = directory.look();
        directory
    }

    /// The files that are new or were written since the last look.
    pub(crate) fn changed(&mut self) -> Vec<PathBuf> {
        let now = self.look();
        let changed = match (&now, &self.seen) {
            (Some(now), Some(before)) => {
                let changed = now.iter().filter(|&(path, state)| before.get(path) != Some(state));
                changed.map(|(path, _)| path.clone()).collect()
            }
            _ => Vec::new(),
        };
        self.seen = now;
        changed
    }

    fn look(&self) -> Option<HashMap<PathBuf, State>> {
        let own_target = self.path.join("target");
        let left_out = |path: &Path| {
            path == own_target
                || path.file_name() == Some(OsStr::new(".git"))
                || self.ours.iter().any(|ours| path == ours)
        };
        let mut files = HashMap::new();
        walk(&self.path, &left_out, &mut |file| {
            if let Ok(metadata) = file.symlink_metadata() {
                files.insert(file, (metadata.len(), metadata.modified().ok()));
            }
        })?;
        Some(files)
    }
}
