//! The file of what each run has measured, which only grows.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::{LockedStore, Store, StoreError, io_error, names, read};
use crate::history::HistoryEntry;

/// What is in a history file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// The oldest first.
    pub entries: Vec<HistoryEntry>,
    /// The lines, from 1, that are no entries: one that was cut off by a crash, a conflict that a merge left.
    pub unreadable: Vec<usize>,
}

impl History {
    /// Reads the file at `path`; nothing where there is none.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        let text = read(path)?.unwrap_or_default();
        let mut history = Self::default();
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(entry) => history.entries.push(entry),
                Err(_) => history.unreadable.push(index + 1),
            }
        }
        // A merge of two branches puts one's lines after the other's. RFC 3339 in UTC sorts as text.
        history.entries.sort_by(|a, b| a.profiled_at.cmp(&b.profiled_at));
        Ok(history)
    }
}

impl Store {
    /// Where the package's history lies, unless its user chooses another place.
    #[must_use]
    pub fn history_path(&self) -> PathBuf {
        self.profiling_directory().join(".history").join(names::file_stem(&self.package) + ".jsonl")
    }
}

impl LockedStore {
    /// Adds entries to the history file at `path`.
    ///
    /// They are written at once to the end of the file, so that whoever else adds to it, without this store's
    /// lock, does not come between.
    pub fn append_history(&self, path: &Path, entries: &[HistoryEntry]) -> Result<(), StoreError> {
        append(path, entries).map_err(io_error("write", path))
    }
}

fn append(path: &Path, entries: &[HistoryEntry]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut file = File::options().read(true).append(true).create(true).open(path)?;
    let mut lines = Vec::new();
    // A line that was cut off must not take the next one with it.
    if file.seek(SeekFrom::End(0))? > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            lines.push(b'\n');
        }
    }
    for entry in entries {
        serde_json::to_writer(&mut lines, entry)?;
        lines.push(b'\n');
    }
    file.write_all(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::profile;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    fn entry(time: &str) -> HistoryEntry {
        let mut profile = profile("square", Some(0));
        profile.environment.profiled_at = time.to_owned();
        HistoryEntry::of("square", &profile.cases[0], &profile.environment)
    }

    #[test]
    fn runs_add_up_and_a_cut_off_line_costs_only_itself() -> TestResult {
        let directory = tempfile::tempdir()?;
        let store = Store::new(directory.path(), "p");
        let path = store.history_path();
        assert_eq!(History::read(&path)?, History::default());
        let locked = store.lock(|| ())?;
        locked.append_history(&path, &[entry("2026-01-01T00:00:00Z"), entry("2026-01-02T00:00:00Z")])?;
        let whole = fs::read(&path)?;
        assert!(whole.ends_with(b"\n"));
        fs::write(&path, &whole[..whole.len() - 20])?;
        locked.append_history(&path, &[entry("2026-01-03T00:00:00Z")])?;
        let expected = [entry("2026-01-01T00:00:00Z"), entry("2026-01-03T00:00:00Z")];
        assert_eq!(History::read(&path)?, History { entries: expected.into(), unreadable: vec![2] });
        assert!(!store.exists(), "the package's directory holds profiles alone");
        Ok(())
    }

    #[test]
    fn a_merge_leaves_the_order_of_time() -> TestResult {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("committed/history.jsonl");
        let locked = Store::new(directory.path(), "p").lock(|| ())?;
        locked.append_history(&path, &[entry("2026-01-02T00:00:00Z")])?;
        fs::write(&path, fs::read_to_string(&path)? + "=======\n")?;
        locked.append_history(&path, &[entry("2026-01-01T00:00:00Z")])?;
        let history = History::read(&path)?;
        assert_eq!(history.entries, [entry("2026-01-01T00:00:00Z"), entry("2026-01-02T00:00:00Z")]);
        assert_eq!(history.unreadable, [2]);
        Ok(())
    }

    #[test]
    fn many_who_add_at_once_lose_nothing() -> TestResult {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("history.jsonl");
        let add =
            || (0..50).try_for_each(|_| append(&path, &[entry("2026-01-01T00:00:00Z"), entry("2026-01-02T00:00:00Z")]));
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4).map(|_| scope.spawn(add)).collect();
            writers.into_iter().try_for_each(|writer| writer.join().expect("no panic"))
        })?;
        let history = History::read(&path)?;
        assert_eq!((history.entries.len(), history.unreadable), (400, vec![]));
        Ok(())
    }
}
