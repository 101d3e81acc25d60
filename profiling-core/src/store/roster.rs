//! The list of a package's jobs: who has no profile can't be told from the profiles.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::manifest::Manifest;
use super::{LockedStore, Store, StoreError, atomic, io_error, names, read};
use crate::origin::HarnessTarget;
use crate::tangle::blueprint::KnownJob;

/// A job as the newest runs found it in their binaries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredJob {
    /// Its name.
    pub name: String,
    /// Its index in the blueprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// The harnesses in which it is; none in the lists of releases that didn't say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub harnesses: Vec<HarnessTarget>,
}

/// The jobs of a package after `harness` was found to have those of `known`; by name.
///
/// A job that other harnesses have stays, as long as the package has one of these: `manifest` tells, and is asked
/// only where there are any. Where it can't tell, they stay. A job whose id a harness gives to another one, and that
/// this harness has no more, was renamed: it is gone from all of them.
#[must_use]
pub fn registered_with(
    before: Vec<RegisteredJob>,
    harness: &HarnessTarget,
    known: &[KnownJob<'_>],
    manifest: impl FnOnce() -> Option<Manifest>,
) -> Vec<RegisteredJob> {
    let is_known = |job: &RegisteredJob| known.iter().any(|(name, _)| *name == job.name);
    let is_others = |job: &RegisteredJob| job.harnesses.iter().any(|other| other != harness);
    let asks = before.iter().any(|job| is_others(job) || (job.harnesses.is_empty() && !is_known(job)));
    let manifest = if asks { manifest() } else { None };
    let is_there =
        |other: &HarnessTarget| other != harness && manifest.as_ref().is_none_or(|manifest| manifest.has(other));
    let is_alone = manifest.as_ref().is_some_and(|manifest| manifest.has_nothing_but(harness));
    let is_replaced = |job: &RegisteredJob| job.id.is_some() && known.iter().any(|&(_, id)| id == job.id);
    let mut jobs: Vec<RegisteredJob> = Vec::new();
    for mut job in before {
        let (is_of_nobody, was_ours) = (job.harnesses.is_empty(), job.harnesses.contains(harness));
        job.harnesses.retain(is_there);
        let stays = match (is_known(&job), is_of_nobody) {
            (true, _) => true,
            (false, true) => !is_alone && !is_replaced(&job),
            (false, false) => !(job.harnesses.is_empty() || was_ours && is_replaced(&job)),
        };
        if stays {
            jobs.push(job);
        }
    }
    for &(name, id) in known {
        match jobs.iter_mut().find(|job| job.name == name) {
            Some(job) => {
                job.id = id;
                job.harnesses.push(harness.clone());
                job.harnesses.sort();
            }
            None => jobs.push(RegisteredJob { name: name.to_owned(), id, harnesses: vec![harness.clone()] }),
        }
    }
    jobs.sort_by(|a, b| a.name.cmp(&b.name));
    jobs
}

impl Store {
    /// Where the list of the package's jobs lies.
    #[must_use]
    pub fn roster_path(&self) -> PathBuf {
        self.profiling_directory().join(".jobs").join(names::file_stem(&self.package) + ".json")
    }

    /// The jobs that the newest runs found in their binaries, whether they ran them or not; `None` before any run.
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

    fn harness(file: &str) -> HarnessTarget {
        HarnessTarget { name: "profiling".to_owned(), file: file.to_owned() }
    }

    fn job(name: &str, id: Option<u32>, files: &[&str]) -> RegisteredJob {
        RegisteredJob { name: name.to_owned(), id, harnesses: files.iter().map(|file| harness(file)).collect() }
    }

    /// The list after `tests/profiling.rs` has these jobs.
    fn after(before: &[RegisteredJob], known: &[KnownJob<'_>], manifest: Option<Manifest>) -> Vec<RegisteredJob> {
        registered_with(before.to_vec(), &harness("tests/profiling.rs"), known, || manifest)
    }

    fn manifest(files: &[&str]) -> Option<Manifest> {
        let package = tempfile::tempdir().ok()?;
        let targets: String = files
            .iter()
            .map(|file| {
                let root = package.path().join(file);
                fs::create_dir(root.parent().expect("it lies in a directory")).expect("a new directory");
                fs::write(root, "").expect("a new directory");
                let kind = if *file == "tests/profiling.rs" { "test" } else { "bench" };
                format!("[[{kind}]]\nname = \"profiling\"\npath = \"{file}\"\n")
            })
            .collect();
        fs::create_dir(package.path().join("src")).ok()?;
        fs::write(package.path().join("src/lib.rs"), "").ok()?;
        let text = format!("[package]\nname = \"x\"\nedition = \"2024\"\n{targets}\n[workspace]\n");
        fs::write(package.path().join("Cargo.toml"), text).ok()?;
        Manifest::ask(package.path()).ok()
    }

    #[test]
    fn a_list_comes_back_as_it_was() -> Result<(), Box<dyn std::error::Error>> {
        let home = tempfile::tempdir()?;
        let store = Store::new(home.path(), "p/q");
        assert_eq!(store.registered()?, None);
        let jobs = [job("a", Some(3), &["tests/profiling.rs"]), job("b", None, &[])];
        store.lock(|| ())?.register(&jobs)?;
        assert_eq!(store.registered()?.as_deref(), Some(&jobs[..]));
        assert!(!store.directory().exists(), "a package's directory holds profiles alone");
        fs::write(store.roster_path(), r#"[{"name": "old", "id": 1}]"#)?;
        assert_eq!(store.registered()?, Some(vec![job("old", Some(1), &[])]), "of a release that didn't say");
        fs::write(store.roster_path(), "[")?;
        let error = store.registered().expect_err("damaged").to_string();
        assert!(error.contains("is damaged"), "{error}");
        Ok(())
    }

    #[test]
    fn one_harness_alone_asks_nobody() {
        let jobs = registered_with(
            vec![job("a", Some(0), &["tests/profiling.rs"])],
            &harness("tests/profiling.rs"),
            &[("b", Some(0))],
            || panic!("there is nothing to ask"),
        );
        assert_eq!(jobs, [job("b", Some(0), &["tests/profiling.rs"])]);
    }

    #[test]
    fn what_another_harness_has_stays_while_that_is_there() {
        let before = [
            job("a", Some(0), &["benches/profiling.rs", "tests/profiling.rs"]),
            job("c", Some(2), &["benches/profiling.rs"]),
        ];
        let both = manifest(&["tests/profiling.rs", "benches/profiling.rs"]);
        let kept = [
            job("a", Some(0), &["benches/profiling.rs"]),
            job("b", Some(1), &["tests/profiling.rs"]),
            job("c", Some(2), &["benches/profiling.rs"]),
        ];
        assert_eq!(after(&before, &[("b", Some(1))], both.clone()), kept);
        assert_eq!(after(&before, &[("b", Some(1))], None), kept, "nobody can tell");
        assert_eq!(
            after(&before, &[("a", Some(5))], both)[0],
            job("a", Some(5), &["benches/profiling.rs", "tests/profiling.rs"])
        );
        assert_eq!(
            after(&before, &[("b", Some(1))], manifest(&["tests/profiling.rs"])),
            [job("b", Some(1), &["tests/profiling.rs"])]
        );
    }

    #[test]
    fn a_job_that_was_renamed_is_gone_from_all_harnesses() {
        let before = [
            job("old", Some(0), &["benches/profiling.rs", "tests/profiling.rs"]),
            job("other", Some(1), &["benches/profiling.rs"]),
        ];
        let jobs = after(&before, &[("new", Some(0)), ("same", Some(1))], None);
        let names: Vec<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
        assert_eq!(names, ["new", "other", "same"], "`other` was never this harness's");
    }

    #[test]
    fn a_job_of_an_older_list_goes_where_only_this_harness_can_have_had_it() {
        let before = [job("kept", Some(0), &[]), job("gone", Some(1), &[])];
        let known = [("kept", Some(0))];
        assert_eq!(
            after(&before, &known, manifest(&["tests/profiling.rs"])),
            [job("kept", Some(0), &["tests/profiling.rs"])]
        );
        for unsure in [manifest(&["tests/profiling.rs", "benches/profiling.rs"]), None] {
            let jobs = after(&before, &known, unsure);
            assert_eq!(jobs, [job("gone", Some(1), &[]), job("kept", Some(0), &["tests/profiling.rs"])]);
        }
        let renamed = after(&before, &[("kept", Some(0)), ("new", Some(1))], None);
        assert_eq!(renamed.len(), 2, "{renamed:?}");
    }
}
