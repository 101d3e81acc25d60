//! What cases were seen to leave behind in earlier runs. A job that makes a file only where there is none leaves none
//! the next time: its verdict must not be another one for that.

use std::fs;
use std::path::PathBuf;

use profiling_core::evidence::Leftover;
use profiling_core::job::Case;
use profiling_core::profile::Params;
use profiling_core::store::Store;

use crate::plan::params;

/// What the newest profiles tell of files that were left.
#[derive(Debug)]
pub(crate) struct Earlier {
    store: Store,
    /// Of the job that was asked for last: what each case has left.
    known: Option<(&'static str, Vec<(Params, PathBuf)>)>,
}

impl Earlier {
    pub(crate) fn of(store: Store) -> Self {
        Self { store, known: None }
    }

    /// What the case was seen to leave, as far as it is still there.
    pub(super) fn left_by(&mut self, case: Case) -> Vec<PathBuf> {
        let job = case.job.name;
        if self.known.as_ref().is_none_or(|(known, _)| *known != job) {
            self.known = Some((job, self.read(job)));
        }
        let (left, params) = (self.known.iter().flat_map(|(_, left)| left), params(case));
        left.filter(|(of, path)| *of == params && path.symlink_metadata().is_ok())
            .map(|(_, path)| path.clone())
            .collect()
    }

    fn read(&self, job: &str) -> Vec<(Params, PathBuf)> {
        // To take a profile apart takes far longer than to see that there is nothing of the kind in it.
        let text = fs::read_to_string(self.store.profile_path(job)).unwrap_or_default();
        if !(text.contains("\"file\"") || text.contains("\"directory\"")) {
            return Vec::new();
        }
        // What is wrong with the store is said when it is written to.
        let profile = self.store.load(job).ok().flatten();
        let mut left = Vec::new();
        for case in profile.into_iter().flat_map(|profile| profile.cases) {
            for finding in case.evidence.findings().iter().filter(|finding| finding.is_seen()) {
                if let Leftover::File { path } | Leftover::Directory { path } = &finding.leftover {
                    left.push((case.params.clone(), PathBuf::from(path)));
                }
            }
        }
        left
    }
}
