//! What in the working directory isn't looked at.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What in the working directory isn't looked at: what the harness and its tools write themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeftOut {
    paths: Vec<PathBuf>,
}

impl LeftOut {
    /// `ours`: where the harness itself writes.
    pub(crate) fn of(working_directory: &Path, ours: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { paths: ours.into_iter().chain([working_directory.join("target")]).collect() }
    }

    /// Whether this path, and all below it, is left out. What instrumented code writes as its process ends is,
    /// too.
    pub(crate) fn covers(&self, path: &Path) -> bool {
        path.file_name() == Some(OsStr::new(".git"))
            || path.extension() == Some(OsStr::new("profraw"))
            || self.paths.iter().any(|ours| path == ours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_out_what_is_ours() {
        let left_out = LeftOut::of(Path::new("/w"), [PathBuf::from("/w/out")]);
        for path in ["/w/target", "/w/out", "/w/deep/.git", "/w/default_1_2.profraw"] {
            assert!(left_out.covers(Path::new(path)), "{path}");
        }
        for path in ["/w", "/w/deep/target", "/w/x", "/w/profraw"] {
            assert!(!left_out.covers(Path::new(path)), "{path}");
        }
    }
}
