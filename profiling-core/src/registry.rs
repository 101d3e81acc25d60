//! How jobs are found: every `#[profile_job]` that is linked into the binary.

use std::collections::HashMap;
use std::hash::Hash;

use thiserror::Error;

use crate::job::JobDescriptor;
use crate::tangle::HIGHEST_ID;

#[cfg(not(feature = "linkme"))]
inventory::collect!(JobDescriptor);

/// Every job of the binary, in the linker's order.
#[cfg(feature = "linkme")]
#[doc(hidden)]
#[linkme::distributed_slice]
pub static JOBS: [JobDescriptor];

/// Why the registered jobs can't be told apart.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RegistryError {
    /// Two jobs have one name.
    #[error("two jobs are named `{name}`: `{first}` and `{second}`. Give one of them another name with `name = \"…\"`")]
    DuplicateName {
        /// The name.
        name: &'static str,
        /// One function, with its place in the source.
        first: String,
        /// The other.
        second: String,
    },
    /// Two jobs have one id.
    #[error("two jobs have `id = {id}`: `{first}` and `{second}`. An id is the job's index in the blueprint")]
    DuplicateId {
        /// The id.
        id: u32,
        /// One function, with its place in the source.
        first: String,
        /// The other.
        second: String,
    },
    /// An id is too high to be a job's index.
    #[error("`{function}` has `id = {id}`. An id is the job's index in the blueprint, at most {HIGHEST_ID}")]
    IdTooHigh {
        /// The id.
        id: u32,
        /// The function, with its place in the source.
        function: String,
    },
}

/// Every job that is linked into this binary, sorted by name.
///
/// A crate that nothing refers to is dropped by the linker together with its jobs:
/// `use my_blueprint as _;` keeps it.
pub fn jobs() -> Result<Vec<&'static JobDescriptor>, RegistryError> {
    check(registered().collect())
}

/// Every job that is linked into this binary, in the linker's order, unchecked.
#[cfg(not(feature = "linkme"))]
pub fn registered() -> impl Iterator<Item = &'static JobDescriptor> {
    inventory::iter::<JobDescriptor>.into_iter()
}

/// Every job that is linked into this binary, in the linker's order, unchecked.
#[cfg(feature = "linkme")]
pub fn registered() -> impl Iterator<Item = &'static JobDescriptor> {
    JOBS.iter()
}

fn check(mut jobs: Vec<&'static JobDescriptor>) -> Result<Vec<&'static JobDescriptor>, RegistryError> {
    // inventory's order differs between builds.
    jobs.sort_by_key(|job| (job.name, job.function));
    if let Some((first, second)) = first_pair(&jobs, |job| Some(job.name)) {
        return Err(RegistryError::DuplicateName { name: first.name, first: place(first), second: place(second) });
    }
    if let Some((id, (first, second))) = first_pair(&jobs, |job| job.id).and_then(|pair| pair.0.id.map(|id| (id, pair)))
    {
        return Err(RegistryError::DuplicateId { id, first: place(first), second: place(second) });
    }
    match jobs.iter().find_map(|job| job.id.filter(|&id| id > HIGHEST_ID).map(|id| (id, job))) {
        Some((id, job)) => Err(RegistryError::IdTooHigh { id, function: place(job) }),
        None => Ok(jobs),
    }
}

type Pair = (&'static JobDescriptor, &'static JobDescriptor);

fn first_pair<K: Hash + Eq>(
    jobs: &[&'static JobDescriptor],
    key: impl Fn(&JobDescriptor) -> Option<K>,
) -> Option<Pair> {
    let mut seen = HashMap::with_capacity(jobs.len());
    jobs.iter().find_map(|job| seen.insert(key(job)?, *job).map(|first| (first, *job)))
}

fn place(job: &JobDescriptor) -> String {
    format!("{} ({}:{})", job.function, job.source.file, job.source.line)
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::job::SourceLocation;

    const fn job(name: &'static str, id: Option<u32>, function: &'static str, line: u32) -> JobDescriptor {
        JobDescriptor {
            name,
            id,
            function,
            source: SourceLocation { file: "src/lib.rs", line },
            ..JobDescriptor::PLAIN
        }
    }

    static SQUARE: JobDescriptor = job("square", Some(0), "my::square", 3);
    static CUBE: JobDescriptor = job("cube", Some(1), "my::cube", 9);
    static WITHOUT_ID: JobDescriptor = job("other", None, "my::other", 15);
    static ALSO_WITHOUT_ID: JobDescriptor = job("another", None, "my::another", 21);

    fn refusal(jobs: Vec<&'static JobDescriptor>) -> String {
        check(jobs).expect_err("they can't be told apart").to_string()
    }

    #[test]
    fn jobs_are_sorted_by_name() {
        let jobs = check(vec![&SQUARE, &WITHOUT_ID, &CUBE, &ALSO_WITHOUT_ID]).expect("all different");
        let names: Vec<&str> = jobs.iter().map(|job| job.name).collect();
        assert_eq!(names, ["another", "cube", "other", "square"]);
        assert!(check(Vec::new()).expect("nothing to confuse").is_empty());
    }

    #[test]
    fn one_name_twice_names_both_functions() {
        static SAME: JobDescriptor = job("square", Some(5), "my::more::square", 40);
        let expected = "two jobs are named `square`: `my::more::square (src/lib.rs:40)` and `my::square \
                        (src/lib.rs:3)`. Give one of them another name with `name = \"…\"`";
        assert_eq!(refusal(vec![&SQUARE, &CUBE, &SAME]), expected);
        // The linker's order makes no difference.
        assert_eq!(refusal(vec![&SAME, &CUBE, &SQUARE]), expected);
    }

    #[test]
    fn one_id_twice_names_both_functions() {
        static SAME: JobDescriptor = job("root", Some(1), "my::root", 50);
        let message = refusal(vec![&SAME, &SQUARE, &WITHOUT_ID, &ALSO_WITHOUT_ID, &CUBE]);
        assert!(message.contains("`id = 1`"), "{message}");
        assert!(message.contains("my::cube (src/lib.rs:9)"), "{message}");
        assert!(message.contains("my::root (src/lib.rs:50)"), "{message}");
    }

    #[test]
    fn an_id_that_no_file_could_list_is_refused() {
        static HIGH: JobDescriptor = job("high", Some(HIGHEST_ID + 1), "my::high", 60);
        static HIGHEST: JobDescriptor = job("highest", Some(HIGHEST_ID), "my::highest", 70);
        assert_eq!(check(vec![&HIGHEST]).expect("high enough").len(), 1);
        let message = refusal(vec![&HIGH, &SQUARE]);
        assert!(message.contains("my::high (src/lib.rs:60)"), "{message}");
    }
}
