//! What changes in the directory that jobs work in, while one is executed.

use std::path::{Path, PathBuf};

use super::{Changes, LeftOut};

/// The directory that jobs work in, which is watched.
#[derive(Debug)]
pub(crate) struct WorkingDirectory {
    path: PathBuf,
    left_out: LeftOut,
    watch: platform::Watch,
    changes: Changes,
}

impl WorkingDirectory {
    /// `ours`: where the harness itself writes.
    pub(crate) fn watch(path: PathBuf, ours: impl IntoIterator<Item = PathBuf>) -> Self {
        let left_out = LeftOut::of(&path, ours);
        let watch = platform::Watch::new(&path, &left_out);
        Self { path, left_out, watch, changes: Changes::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// A worker begins: what has changed until now is not its doing.
    pub(crate) fn begin(&mut self) {
        self.changes = Changes::default();
        self.watch.begin();
    }

    /// Its executions are over, and it is about to end.
    pub(crate) fn executed(&mut self) {
        self.watch.executed(&mut self.changes);
    }

    /// What has changed since it began, now that it has ended.
    pub(crate) fn changes(&mut self) -> Changes {
        self.watch.ended(&mut self.changes);
        std::mem::take(&mut self.changes)
    }
}

#[cfg(target_os = "linux")]
mod platform {
    use std::path::Path;

    use super::super::watcher::{Period, Watcher};
    use super::{Changes, LeftOut};

    #[derive(Debug)]
    pub(super) struct Watch {
        watcher: Result<Watcher, String>,
    }

    impl Watch {
        pub(super) fn new(path: &Path, left_out: &LeftOut) -> Self {
            let watcher = Watcher::new(path, left_out.clone());
            Self { watcher: watcher.map_err(|error| format!("the working directory can't be watched: {error}")) }
        }

        pub(super) fn begin(&mut self) {
            self.take(Period::Between, &mut Changes::default());
        }

        pub(super) fn executed(&mut self, changes: &mut Changes) {
            self.take(Period::Executions, changes);
        }

        pub(super) fn ended(&mut self, changes: &mut Changes) {
            self.take(Period::Exit, changes);
        }

        fn take(&mut self, period: Period, changes: &mut Changes) {
            match &mut self.watcher {
                Ok(watcher) => watcher.take(period, changes),
                Err(why) => changes.untold(why.clone()),
            }
        }
    }
}

/// Elsewhere the directory is looked at before and after.
#[cfg(not(target_os = "linux"))]
mod platform {
    use std::path::{Path, PathBuf};

    use super::super::listing::{self, Listing};
    use super::{Changes, LeftOut};

    #[derive(Debug)]
    pub(super) struct Watch {
        path: PathBuf,
        left_out: LeftOut,
        /// `None` where there was too much to look at.
        before: Option<Listing>,
    }

    impl Watch {
        pub(super) fn new(path: &Path, left_out: &LeftOut) -> Self {
            Self { path: path.to_owned(), left_out: left_out.clone(), before: None }
        }

        pub(super) fn begin(&mut self) {
            self.before = self.look();
        }

        pub(super) fn executed(&mut self, changes: &mut Changes) {
            let (Some(now), Some(before)) = (self.look(), &self.before) else {
                return changes.untold(format!("there are more than {} files to look at", listing::MOST));
            };
            for (path, state) in &now {
                match before.get(path) {
                    None => changes.made(self.path.join(path)),
                    Some(old) if old.differs(state) => changes.written(self.path.join(path)),
                    Some(_) => {}
                }
            }
            if before.keys().any(|path| !now.contains_key(path)) {
                changes.removed();
            }
        }

        pub(super) fn ended(&mut self, _changes: &mut Changes) {}

        fn look(&self) -> Option<Listing> {
            let left_out = |path: &Path, _: &std::fs::Metadata| self.left_out.covers(&self.path.join(path));
            let (listing, complete) = listing::list(&self.path, &left_out);
            complete.then_some(listing)
        }
    }
}
