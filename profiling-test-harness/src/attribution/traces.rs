//! What may have been left behind of files, and what is known of it once a witness was asked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use profiling_core::evidence::{self, Finding, Leftover};

use super::{Cause, Changes, Kind, Remnant, Root, list};

const SHARED: &str = "it came during a call, while something was running that `setup` or a fixture has started";
const BETWEEN: &str = "it came between the calls, from something that went on running";
const NOT_AGAIN: &str = "it lay there after the executions that were measured, but not after those of a witness";

/// What was there when a worker had ended, by whomever.
#[derive(Debug)]
pub(crate) struct Traces {
    /// Its temporary directory, which is no more.
    pub directory: PathBuf,
    /// What lay in there.
    pub temporary: Vec<(PathBuf, Kind)>,
    /// What has changed in the working directory meanwhile.
    pub changes: Changes,
}

impl Traces {
    pub(crate) fn is_empty(&self) -> bool {
        self.temporary.is_empty() && self.changes.is_empty()
    }

    /// What lay in the temporary directory of a worker in which nothing ran but the job.
    pub(crate) fn temporary_of_job(&self) -> Vec<Finding> {
        findings(self.in_temporary(), Leftover::seen)
    }

    fn in_temporary(&self) -> impl Iterator<Item = (String, Kind)> {
        self.temporary.iter().map(|(path, kind)| (self.directory.join(path).display().to_string(), *kind))
    }

    /// What is known of what lay in the temporary directory; `witnessed`: what a witness has found, or why there
    /// was none.
    pub(crate) fn of_temporary(&self, witnessed: Result<&[Remnant], &str>) -> Vec<Finding> {
        if self.temporary.is_empty() {
            return Vec::new();
        }
        let unknown = |reason: &str| findings(self.in_temporary(), |leftover| leftover.unknown(reason));
        match witnessed {
            Ok(remnants) if remnants.iter().any(|remnant| remnant.root == Root::TemporaryDirectory) => {
                of_remnants(remnants, Root::TemporaryDirectory, &self.directory)
            }
            Ok(_) => unknown(NOT_AGAIN),
            Err(why) => unknown(&format!("whether the job has left it can't be told: {why}")),
        }
    }

    /// What is known of the working directory where nobody could be asked. `held_open`: which files other
    /// processes are writing to.
    pub(crate) fn unwitnessed(
        &self,
        working_directory: &Path,
        why: &str,
        held_open: impl Fn(&BTreeSet<&Path>) -> BTreeSet<PathBuf>,
    ) -> Vec<Finding> {
        let present = self.changes.present();
        let held_open = if present.is_empty() { BTreeSet::new() } else { held_open(&present) };
        let is_directory = |path: &Path| path.is_dir() && !path.is_symlink();
        let mut all = BTreeSet::new();
        for path in present.into_iter().filter(|path| !held_open.contains(*path)) {
            if is_directory(path) {
                // Of a new one nothing below was followed.
                all.extend(list(path, &|_, _| false).0.into_keys().map(|below| path.join(below)));
            }
            all.insert(path.to_owned());
        }
        let kind = |path: &Path| if is_directory(path) { Kind::Directory } else { Kind::File };
        let remains = super::remains(all.iter().map(PathBuf::as_path));
        let paths: Vec<(String, Kind)> =
            remains.into_iter().map(|path| (path.display().to_string(), kind(path))).collect();
        let reason = format!("something else may have written it, and the job can't be told from it: {why}");
        let mut found = findings(paths.into_iter(), |leftover| leftover.unknown(reason.clone()));
        if let Some(untold) = self.changes.why_untold() {
            let reason = format!("{untold}; and what the job writes can't be told from the rest: {why}");
            found.push(Leftover::Directory { path: working_directory.display().to_string() }.unknown(reason));
        }
        found
    }
}

/// What a witness has found in the working directory.
pub(crate) fn of_working_directory(remnants: &[Remnant], working_directory: &Path) -> Vec<Finding> {
    of_remnants(remnants, Root::WorkingDirectory, working_directory)
}

fn of_remnants(remnants: &[Remnant], root: Root, directory: &Path) -> Vec<Finding> {
    let by = |cause: Cause| {
        let of_it = remnants.iter().filter(move |remnant| remnant.root == root && remnant.cause == cause);
        of_it.map(|remnant| (directory.join(&remnant.path).display().to_string(), remnant.kind))
    };
    let mut found = findings(by(Cause::Job), Leftover::seen);
    for (cause, reason) in [(Cause::Shared, SHARED), (Cause::Between, BETWEEN)] {
        found.extend(findings(by(cause), |leftover| leftover.unknown(reason)));
    }
    found
}

fn findings(paths: impl Iterator<Item = (String, Kind)>, certain: impl Fn(Leftover) -> Finding) -> Vec<Finding> {
    let (files, directories): (Vec<_>, Vec<_>) = paths.partition(|(_, kind)| *kind == Kind::File);
    let names = |paths: Vec<(String, Kind)>| paths.into_iter().map(|(path, _)| path).collect::<Vec<String>>();
    let mut found = evidence::named(&names(files), |path| certain(Leftover::File { path }));
    found.extend(evidence::named(&names(directories), |path| certain(Leftover::Directory { path })));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remnant(root: Root, path: &str, cause: Cause) -> Remnant {
        Remnant { root, path: path.to_owned(), kind: Kind::File, cause }
    }

    fn file(path: impl AsRef<Path>) -> Leftover {
        Leftover::File { path: path.as_ref().display().to_string() }
    }

    fn traces() -> Traces {
        let temporary = vec![(PathBuf::from("x"), Kind::File)];
        Traces { directory: "/tmp/a".into(), temporary, changes: Changes::default() }
    }

    #[test]
    fn a_witness_decides_over_the_temporary_directory() {
        let (traces, root) = (traces(), Root::TemporaryDirectory);
        assert_eq!(traces.of_temporary(Ok(&[remnant(root, "y", Cause::Job)])), [file("/tmp/a/y").seen()]);
        assert_eq!(traces.of_temporary(Ok(&[remnant(root, "y", Cause::Around)])), []);
        assert_eq!(traces.of_temporary(Ok(&[remnant(root, "y", Cause::Shared)])), [file("/tmp/a/y").unknown(SHARED)]);
        assert_eq!(traces.temporary_of_job(), [file("/tmp/a/x").seen()]);
        let elsewhere = [remnant(Root::WorkingDirectory, "y", Cause::Job)];
        assert_eq!(traces.of_temporary(Ok(&elsewhere)), [file("/tmp/a/x").unknown(NOT_AGAIN)]);
        assert_eq!(of_working_directory(&elsewhere, Path::new("/w")), [file("/w/y").seen()]);
        let unasked = traces.of_temporary(Err("it failed"));
        assert_eq!(unasked, [file("/tmp/a/x").unknown("whether the job has left it can't be told: it failed")]);
        let nothing = Traces { temporary: Vec::new(), ..traces };
        assert!(nothing.is_empty() && nothing.of_temporary(Ok(&[])).is_empty());
    }

    #[test]
    fn without_a_witness_nothing_is_seen() -> std::io::Result<()> {
        let directory = tempfile::tempdir()?;
        let [written, held] = ["written", "held"].map(|name| directory.path().join(name));
        let mut changes = Changes::default();
        for path in [&written, &held] {
            std::fs::write(path, "")?;
            changes.made(path.clone());
        }
        changes.untold("an overflow");
        let traces = Traces { changes, ..traces() };
        let found = traces.unwitnessed(directory.path(), "denied", |paths| {
            assert_eq!(paths.len(), 2);
            [held.clone()].into()
        });
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].leftover, file(&written));
        assert_eq!(found[1].leftover, Leftover::Directory { path: directory.path().display().to_string() });
        assert!(found.iter().all(|finding| !finding.is_seen()));
        Ok(())
    }
}
