//! A document as a file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use super::error::{EmbedError, io_error};
use crate::store::atomic;
use crate::tangle::blueprint::DocumentError;
use crate::tangle::json;

/// A document's text.
pub(super) struct Text {
    path: PathBuf,
    /// The byte order mark, or nothing.
    pub(super) mark: &'static str,
    pub(super) json: String,
}

impl Text {
    pub(super) fn read(path: &Path) -> Result<Self, EmbedError> {
        const BYTE_ORDER_MARK: &str = "\u{feff}";
        let text = fs::read(path).map_err(|reason| match reason.kind() {
            io::ErrorKind::NotFound => EmbedError::NoDocument { path: path.to_owned() },
            _ => io_error("read", path)(reason),
        })?;
        let not_utf8 = |error: std::string::FromUtf8Error| EmbedError::NotJson {
            path: path.to_owned(),
            reason: error.utf8_error().to_string(),
        };
        let text = String::from_utf8(text).map_err(not_utf8)?;
        let path = path.to_owned();
        Ok(match text.strip_prefix(BYTE_ORDER_MARK) {
            Some(json) => Self { path, mark: BYTE_ORDER_MARK, json: json.to_owned() },
            None => Self { path, mark: "", json: text },
        })
    }

    pub(super) fn parse(&self) -> Result<Value, EmbedError> {
        serde_json::from_str(&self.json)
            .map_err(|error| EmbedError::NotJson { path: self.path.clone(), reason: error.to_string() })
    }

    pub(super) fn whole(&self) -> String {
        format!("{}{}", self.mark, self.json)
    }

    pub(super) fn not_a_blueprint(&self, reason: DocumentError) -> EmbedError {
        let (line, column) = json::locate(&self.json, &reason.pointer).unwrap_or((1, 1));
        EmbedError::NotABlueprint { path: self.path.clone(), line, column, reason }
    }
}

/// Replaces a file's content, or makes the file, with the given time of modification.
pub(super) fn replace(path: &Path, content: &str, modified: SystemTime) -> Result<(), EmbedError> {
    // A link stays a link.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    // What its owner made read-only is not replaced either.
    let permissions = match File::options().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        file => Some(file.and_then(|file| file.metadata()).map_err(io_error("write", path))?.permissions()),
    };
    let staged = atomic::stage(path, |file| file.write_all(content.as_bytes()));
    let replaced = staged.and_then(|staged| {
        permissions.map_or(Ok(()), |permissions| staged.file().set_permissions(permissions))?;
        staged.file().set_modified(modified)?;
        staged.commit()
    });
    replaced.map_err(io_error("write", path))
}
