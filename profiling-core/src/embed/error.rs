//! Why profiles could not be embedded.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::store::StoreError;
use crate::tangle::ProfilingError;
use crate::tangle::blueprint::DocumentError;

/// Why profiles could not be embedded. The document is as it was.
///
/// Its `Debug` is its `Display`, because that is what a failed `main` shows.
#[derive(Error)]
pub enum EmbedError {
    /// A variable is missing that cargo sets for build scripts.
    #[error("{variable} is not set: profiles are embedded in a build script, which cargo runs")]
    NotABuildScript {
        /// The variable.
        variable: &'static str,
    },
    /// There is no document.
    #[error(
        "`{}` does not exist. Create it, give its path relative to the package's directory, \
         and if the package has an `include` list in Cargo.toml, add it there",
        path.display()
    )]
    NoDocument {
        /// Where it should be.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("can't {action} `{}`: {reason}", path.display())]
    Io {
        /// What was to be done, such as `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        reason: io::Error,
    },
    /// The document is not JSON.
    #[error("`{}` is not valid JSON: {reason}", path.display())]
    NotJson {
        /// The document.
        path: PathBuf,
        /// What is wrong, with line and column.
        reason: String,
    },
    /// The document is not a blueprint.
    #[error("`{}` is not a blueprint: line {line}, column {column}: {reason}", path.display())]
    NotABlueprint {
        /// The document.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong.
        reason: DocumentError,
    },
    /// The value is not a blueprint.
    #[error("the blueprint is not valid: {0}")]
    NotABlueprintValue(DocumentError),
    /// Two jobs were profiled under one id.
    #[error(
        "`{first}` and `{second}` were both profiled with `id = {id}`. \
         Run `cargo test --features profiling` without a filter: it drops the profiles of jobs that are gone"
    )]
    TwoProfiles {
        /// The id.
        id: u32,
        /// One job.
        first: String,
        /// The other.
        second: String,
    },
    /// Profiles are stale, and the build script denies that.
    #[error("{}", .0.join("\n"))]
    Stale(
        /// Which, and why; a line each.
        Vec<String>,
    ),
    /// It can't be told what is built, nor so whether profiles are stale.
    #[error("can't tell what this build is made of: {0}")]
    NoFingerprint(
        /// Why not.
        String,
    ),
    /// The profiles could not be read.
    #[error(transparent)]
    Store(StoreError),
    /// The profiles could not be encoded.
    #[error("the profiles can't be embedded: {0}")]
    Profiles(ProfilingError),
}

impl fmt::Debug for EmbedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut source = self.source();
        while let Some(error) = source {
            write!(f, "\ncaused by: {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl From<StoreError> for EmbedError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<DocumentError> for EmbedError {
    fn from(error: DocumentError) -> Self {
        Self::NotABlueprintValue(error)
    }
}

impl From<serde_json::Error> for EmbedError {
    fn from(error: serde_json::Error) -> Self {
        Self::Profiles(ProfilingError::InvalidConfiguration(error.to_string()))
    }
}

impl From<ProfilingError> for EmbedError {
    fn from(error: ProfilingError) -> Self {
        Self::Profiles(error)
    }
}

pub(super) fn io_error<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> EmbedError + 'a {
    move |reason| EmbedError::Io { action, path: path.to_owned(), reason }
}
