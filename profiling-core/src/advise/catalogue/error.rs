//! What is wrong with a catalogue, and where.

use thiserror::Error;

/// Why a catalogue is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}: {}{reason}", if field.is_empty() { String::new() } else { format!("`{field}`: ") })]
pub struct CatalogueError {
    /// The file's name, as the caller gave it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The field, such as `faas[0].price_usd_per_gb_s`; empty where the text is no JSON.
    pub field: String,
    /// What is wrong with it, and what to write instead.
    pub reason: String,
}

/// A piece of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    /// The whole file.
    pub(super) text: &'a str,
    /// The piece, a slice of `text`.
    pub(super) piece: &'a str,
}

impl Place<'_> {
    /// The line in the file of a line (from 1) of the piece.
    fn line(&self, line: usize) -> usize {
        let offset = self.piece.as_ptr() as usize - self.text.as_ptr() as usize;
        self.text[..offset].matches('\n').count() + line
    }

    /// An error in a field of the piece, whose own path is `path`.
    pub(super) fn error(&self, path: &str, field: &str, reason: String) -> CatalogueError {
        let key = format!("\"{field}\"");
        let before = self.piece.find(&key).map_or(0, |at| self.piece[..at].matches('\n').count());
        let field = if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
        CatalogueError { file: self.file.to_owned(), line: self.line(before + 1), field, reason }
    }

    /// An error that serde found in the piece.
    pub(super) fn unreadable(
        &self,
        path: &str,
        error: &serde_path_to_error::Error<serde_json::Error>,
    ) -> CatalogueError {
        let inner = error.inner();
        let reason = inner.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        let within = error.path().to_string();
        let within = if within == "." { String::new() } else { within };
        let dot = if path.is_empty() || within.is_empty() || within.starts_with('[') { "" } else { "." };
        CatalogueError {
            file: self.file.to_owned(),
            line: self.line(self.line_of(inner.line(), &within)),
            field: format!("{path}{dot}{within}"),
            reason: suggest(reason),
        }
    }

    /// The parser notices a bad value at its end or beyond: the line is that of the field's key, at or
    /// above.
    fn line_of(&self, noticed: usize, path: &str) -> usize {
        let key = path.rsplit('.').next().unwrap_or_default();
        let key = format!("\"{}\"", key.split('[').next().unwrap_or_default());
        let lines: Vec<&str> = self.piece.lines().take(noticed.max(1)).collect();
        lines.iter().rposition(|line| line.contains(&key)).map_or(noticed.max(1), |at| at + 1)
    }
}

/// The name that was probably meant.
pub(super) fn closest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |name: &str| strsim::jaro_winkler(written, name);
    known.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).filter(|name| likeness(name) > 0.7)
}

/// Shortens serde's list of all fields to the one that was meant.
fn suggest(reason: &str) -> String {
    let names: Vec<&str> = reason.split('`').skip(1).step_by(2).collect();
    let (true, [written, known @ ..]) = (reason.starts_with("unknown "), names.as_slice()) else {
        return reason.to_owned();
    };
    let what = if reason.starts_with("unknown field") { "field" } else { "value" };
    match closest(written, known.iter().copied()) {
        Some(closest) => format!("unknown {what} `{written}`; did you mean `{closest}`?"),
        None => format!("unknown {what} `{written}`; known: {}", known.join(", ")),
    }
}
