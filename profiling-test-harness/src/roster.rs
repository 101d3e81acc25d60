//! The jobs of the package: those of this harness, and those that other harnesses have registered.

use std::path::Path;

use profiling_core::job::JobDescriptor;
use profiling_core::origin::HarnessTarget;
use profiling_core::store::{LockedStore, Manifest, RegisteredJob, StoreError, registered_with};
use profiling_core::tangle::blueprint::KnownJob;

/// Every job that is known of, as of this run.
#[derive(Debug)]
pub(crate) struct Roster {
    harness: HarnessTarget,
    jobs: Vec<RegisteredJob>,
    /// Whether the list of earlier runs could be read: else nothing is known of what others have.
    whole: bool,
}

impl Roster {
    /// The jobs of earlier runs with those of this binary, and why earlier ones are left out.
    pub(crate) fn with(
        store: &LockedStore,
        manifest_dir: &Path,
        harness: &HarnessTarget,
        jobs: &[&'static JobDescriptor],
    ) -> (Self, Option<StoreError>) {
        let known: Vec<KnownJob<'_>> = jobs.iter().map(|job| (job.name, job.id)).collect();
        let (before, error) = match store.registered() {
            Ok(before) => (before.unwrap_or_default(), None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let jobs = registered_with(before, harness, &known, || Manifest::ask(manifest_dir).ok());
        let roster = Self { harness: harness.clone(), jobs, whole: error.is_none() };
        for (one, other) in roster.one_id_twice() {
            complain!("warning: {one} and {other} have the same id, which no blueprint can tell apart");
        }
        (roster, error)
    }

    /// The jobs of this harness, then those of others.
    pub(crate) fn known(&self) -> Vec<KnownJob<'_>> {
        let (own, others): (Vec<_>, Vec<_>) = self.jobs.iter().partition(|job| self.is_own(job));
        own.into_iter().chain(others).map(|job| (job.name.as_str(), job.id)).collect()
    }

    /// Whether a job is of another harness alone.
    pub(crate) fn is_of_others(&self, name: &str) -> bool {
        self.jobs.iter().any(|job| job.name == name && !self.is_own(job))
    }

    /// Drops the profiles of jobs that no harness has any more.
    pub(crate) fn drop_unregistered(&self, store: &LockedStore) -> Result<(), StoreError> {
        if self.whole { store.retain(self.jobs.iter().map(|job| job.name.as_str())) } else { Ok(()) }
    }

    /// Drops the profiles of jobs whose place another one has taken.
    pub(crate) fn drop_replaced(&self, store: &LockedStore) -> Result<(), StoreError> {
        if self.whole { store.remove_replaced(&self.known()) } else { Ok(()) }
    }

    /// Writes the list, unless there is one that can't be read: what others have would be lost with it.
    pub(crate) fn write(&self, store: &LockedStore) -> Result<(), StoreError> {
        if self.whole { store.register(&self.jobs) } else { Ok(()) }
    }

    fn is_own(&self, job: &RegisteredJob) -> bool {
        job.harnesses.contains(&self.harness)
    }

    /// Jobs of different harnesses that have the same id. Within one binary, that is an error.
    fn one_id_twice(&self) -> Vec<(String, String)> {
        let titled = |job: &RegisteredJob| {
            let harnesses: Vec<String> = job.harnesses.iter().map(|harness| format!("`{harness}`")).collect();
            format!("`{}` ({})", job.name, harnesses.join(", "))
        };
        let later = |(position, one): (usize, _)| self.jobs[position + 1..].iter().map(move |other| (one, other));
        let pairs = self.jobs.iter().enumerate().flat_map(later);
        let alike =
            pairs.filter(|(one, other): &(&RegisteredJob, &RegisteredJob)| one.id.is_some() && one.id == other.id);
        alike.map(|(one, other)| (titled(one), titled(other))).collect()
    }
}

#[cfg(test)]
mod tests {
    use profiling_core::store::Store;

    use super::*;

    static A: JobDescriptor = JobDescriptor { name: "a", id: Some(0), ..JobDescriptor::PLAIN };
    static B: JobDescriptor = JobDescriptor { name: "b", id: Some(0), ..JobDescriptor::PLAIN };

    fn harness(file: &str) -> HarnessTarget {
        HarnessTarget { name: "profiling".to_owned(), file: file.to_owned() }
    }

    #[test]
    fn two_harnesses_have_their_jobs_side_by_side() -> Result<(), Box<dyn std::error::Error>> {
        let home = tempfile::tempdir()?;
        let store = Store::new(home.path(), "p").lock(|| ())?;
        // There is no manifest that says that either is gone.
        let with = |file, job: &'static JobDescriptor| Roster::with(&store, home.path(), &harness(file), &[job]).0;
        with("tests.rs", &B).write(&store)?;
        let both = with("benches.rs", &A);
        both.write(&store)?;
        assert_eq!(both.known(), [("a", Some(0)), ("b", Some(0))], "own jobs first");
        assert_eq!(with("tests.rs", &B).known(), [("b", Some(0)), ("a", Some(0))]);
        assert!(both.is_of_others("b") && !both.is_of_others("a"));
        assert_eq!(both.one_id_twice(), [("`a` (`benches.rs`)".to_owned(), "`b` (`tests.rs`)".to_owned())]);
        Ok(())
    }

    #[test]
    fn a_damaged_list_is_told_and_kept() -> Result<(), Box<dyn std::error::Error>> {
        let home = tempfile::tempdir()?;
        let store = Store::new(home.path(), "p").lock(|| ())?;
        store.register(&[])?;
        std::fs::write(store.roster_path(), "[")?;
        std::fs::create_dir_all(store.directory())?;
        let kept = store.profile_path("b");
        std::fs::write(&kept, "of another harness")?;
        let (roster, error) = Roster::with(&store, home.path(), &harness("tests.rs"), &[&A]);
        assert!(error.is_some_and(|error| error.to_string().contains("is damaged")));
        roster.drop_unregistered(&store)?;
        roster.write(&store)?;
        assert!(kept.exists());
        assert_eq!(std::fs::read_to_string(store.roster_path())?, "[");
        Ok(())
    }
}
