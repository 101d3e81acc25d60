//! Why the store could not be read or written.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::Store;
use crate::profile::SCHEMA;
use crate::tangle::ProfilingError;

/// Why profiles could not be read or written. The message names the file, the reason and the way out.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("can't {action} `{}`: {reason}{}", path.display(), way_out(reason))]
    Io {
        /// What was to be done, such as `write`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        reason: io::Error,
    },
    /// A file of the store does not hold what it should.
    #[error(
        "`{}` is damaged: {reason}. Delete it and run `cargo test --features profiling` again",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        reason: String,
    },
    /// A file of the store was written by another release.
    #[error(
        "`{}` has the schema `{found}`, and this release reads `{SCHEMA}`. \
         Delete it and run `cargo test --features profiling` again",
        path.display()
    )]
    UnknownSchema {
        /// The file.
        path: PathBuf,
        /// The schema that it names.
        found: String,
    },
    /// The profiles can't be given to Tangle's manager.
    #[error("can't write `{}`: {reason}", path.display())]
    BlueprintProfiles {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: ProfilingError,
    },
    /// Cargo's target directory could not be found.
    #[error(
        "can't tell the target directory of `{}`: {reason}. Name a directory with `--out DIR` or PROFILING_OUT",
        manifest_dir.display()
    )]
    NoTargetDirectory {
        /// The package.
        manifest_dir: PathBuf,
        /// What cargo said.
        reason: String,
    },
}

impl StoreError {
    /// Why a job's samples could not be read.
    pub fn samples<'a>(store: &'a Store, job: &'a str) -> impl FnOnce(io::Error) -> Self + 'a {
        move |reason| Self::Io { action: "read", path: store.samples_path(job), reason }
    }
}

fn way_out(reason: &io::Error) -> &'static str {
    match reason.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ". Free some space, or name another directory with `--out DIR` or PROFILING_OUT"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            ". Name a directory that can be written with `--out DIR` or PROFILING_OUT"
        }
        _ => "",
    }
}

pub(super) fn io_error<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StoreError + 'a {
    move |reason| StoreError::Io { action, path: path.to_owned(), reason }
}
