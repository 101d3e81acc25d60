//! The list of a package's jobs: who has no profile can't be told from the profiles.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{LockedStore, Store, StoreError, atomic, io_error, names, read};

/// A job as the newest run found it in its binary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredJob {
    /// Its name.
    pub name: String,
    /// Its index in the blueprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
}

impl Store {
    /// Where the list of the package's jobs lies.
    #[must_use]
    pub fn roster_path(&self) -> PathBuf {
        self.profiling_directory().join(".jobs").join(names::file_stem(&self.package) + ".json")
    }

    /// The jobs that the newest run found in its binary, whether it ran them or not; `None` before any run.
    pub fn registered(&self) -> Result<Option<Vec<RegisteredJob>>, StoreError> {
        let path = self.roster_path();
        let Some(text) = read(&path)? else { return Ok(None) };
        let jobs = serde_json::from_slice(&text);
        jobs.map(Some).map_err(|error| StoreError::Damaged { path, reason: error.to_string() })
    }
}

impl LockedStore {
    /// Writes the list of the package's jobs.
    pub fn register(&self, jobs: &[RegisteredJob]) -> Result<(), StoreError> {
        let path = self.roster_path();
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
            let mut json = serde_json::to_vec_pretty(jobs)?;
            json.push(b'\n');
            atomic::write(&path, &json)
        });
        written.map_err(io_error("write", &path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_back_as_it_was() -> Result<(), Box<dyn std::error::Error>> {
        let home = tempfile::tempdir()?;
        let store = Store::new(home.path(), "p/q");
        assert_eq!(store.registered()?, None);
        let jobs = [("a", Some(3)), ("b", None)].map(|(name, id)| RegisteredJob { name: name.to_owned(), id });
        store.lock(|| ())?.register(&jobs)?;
        assert_eq!(store.registered()?.as_deref(), Some(&jobs[..]));
        assert!(!store.directory().exists(), "a package's directory holds profiles alone");
        fs::write(store.roster_path(), "[")?;
        let error = store.registered().expect_err("damaged").to_string();
        assert!(error.contains("is damaged"), "{error}");
        Ok(())
    }
}
