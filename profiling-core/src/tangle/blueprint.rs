//! Which profile belongs to which job of a `blueprint.json`.
//!
//! Two shapes of document are in use: Tangle's `blueprint.json`, whose jobs have a `job_index`, and
//! deployment definitions, where a job's position is its index.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::SystemTime;

use serde_json::Value;
use thiserror::Error;

use super::{BlueprintProfiles, HIGHEST_ID, JobProfile, ProfilingError};
use crate::fingerprint::Change;
use crate::profile::{Environment, Profile};

/// A job as a document lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentJob {
    /// Its index: `job_index`, or else the position.
    pub index: u32,
    /// Whether the index is written out as `job_index`.
    pub indexed: bool,
    /// Its name: `name`, or else `metadata.name`.
    pub name: Option<String>,
}

/// Why a document is not a blueprint.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("{}: {reason}", if pointer.is_empty() { "the document" } else { pointer })]
pub struct DocumentError {
    /// The JSON pointer to the value in question, such as `/jobs/3/job_index`.
    pub pointer: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The jobs that a document lists, in its order. No two have one index.
pub fn document_jobs(document: &Value) -> Result<Vec<DocumentJob>, DocumentError> {
    let error = |pointer: &str, reason: &str| DocumentError { pointer: pointer.to_owned(), reason: reason.to_owned() };
    let object = document.as_object().ok_or_else(|| error("", "not a JSON object"))?;
    let jobs = object.get("jobs").ok_or_else(|| error("", "has no `jobs`"))?;
    let jobs = jobs.as_array().ok_or_else(|| error("/jobs", "not an array"))?;
    let mut seen = HashSet::new();
    jobs.iter()
        .enumerate()
        .map(|(position, job)| {
            let job = document_job(position, job)?;
            if seen.insert(job.index) {
                return Ok(job);
            }
            let reason = format!("another job has the index {} too; give every job its own `job_index`", job.index);
            Err(error(&format!("/jobs/{position}"), &reason))
        })
        .collect()
}

fn document_job(position: usize, job: &Value) -> Result<DocumentJob, DocumentError> {
    let error = |key: &str, reason: String| DocumentError { pointer: format!("/jobs/{position}{key}"), reason };
    let job = job.as_object().ok_or_else(|| error("", "not a JSON object".to_owned()))?;
    let written = job.get("job_index").filter(|index| !index.is_null());
    let index = written.map_or(Some(position as u64), Value::as_u64);
    let index = index.and_then(|index| u32::try_from(index).ok()).filter(|&index| index <= HIGHEST_ID);
    let name = job.get("name").or_else(|| job.get("metadata")?.get("name"));
    Ok(DocumentJob {
        index: index.ok_or_else(|| error("/job_index", format!("not an integer from 0 to {HIGHEST_ID}")))?,
        indexed: written.is_some(),
        name: name.and_then(Value::as_str).map(str::to_owned),
    })
}

/// A job as the source knows it: its name, and its `id` where the attribute has one.
pub type KnownJob<'a> = (&'a str, Option<u32>);

/// The position in `known` of the job that each id stands for.
///
/// A `job_index` of the document stands for the job with that `id`, else for the job of that name that has
/// no `id`. Where the document leaves the index out, it stands for the job of that name, else for the one
/// whose `id` is the position. A name that the document lists twice decides nothing. A job that is not in
/// the document keeps its own `id`, unless that is another's index there.
#[must_use]
pub fn job_ids(document: &[DocumentJob], known: &[KnownJob<'_>]) -> BTreeMap<u32, usize> {
    let listed: Vec<(&DocumentJob, Option<&str>)> = document.iter().zip(unique_names(document)).collect();
    let indexed = || listed.iter().filter(|(job, _)| job.indexed);
    let placed = || listed.iter().filter(|(job, _)| !job.indexed);

    let mut pairing = Pairing { known, free: vec![true; known.len()], ids: BTreeMap::new() };
    indexed().for_each(|(job, _)| pairing.pair(job.index, |known| known.1 == Some(job.index)));
    indexed().for_each(|(job, name)| pairing.pair(job.index, |known| known.1.is_none() && Some(known.0) == *name));
    placed().for_each(|(job, name)| pairing.pair(job.index, |known| Some(known.0) == *name));
    placed().for_each(|(job, _)| pairing.pair(job.index, |known| known.1 == Some(job.index)));

    let taken: HashSet<u32> = document.iter().map(|job| job.index).collect();
    for (position, id) in known.iter().enumerate().filter_map(|(position, known)| Some((position, known.1?))) {
        if !taken.contains(&id) {
            pairing.pair_with(id, position);
        }
    }
    pairing.ids
}

/// The name of each job, where no other job has it.
fn unique_names(document: &[DocumentJob]) -> impl Iterator<Item = Option<&str>> {
    let mut counts: HashMap<&str, u32> = HashMap::new();
    document.iter().filter_map(|job| job.name.as_deref()).for_each(|name| *counts.entry(name).or_default() += 1);
    document.iter().map(move |job| job.name.as_deref().filter(|name| counts[name] == 1))
}

struct Pairing<'a> {
    known: &'a [KnownJob<'a>],
    free: Vec<bool>,
    ids: BTreeMap<u32, usize>,
}

impl Pairing<'_> {
    /// Pairs the id, if it is free, with the first free job that fits.
    fn pair(&mut self, id: u32, fits: impl Fn(&KnownJob<'_>) -> bool) {
        if self.ids.contains_key(&id) {
            return;
        }
        if let Some(position) = (0..self.known.len()).find(|&job| self.free[job] && fits(&self.known[job])) {
            self.pair_with(id, position);
        }
    }

    /// Pairs the id with this job, if both are free.
    fn pair_with(&mut self, id: u32, position: usize) {
        if self.free[position] && !self.ids.contains_key(&id) {
            self.free[position] = false;
            self.ids.insert(id, position);
        }
    }
}

/// The figures of a profile, if they are complete: measured, and for every case of the job.
#[must_use]
pub fn measured(profile: &Profile) -> Option<&JobProfile> {
    profile.summary.as_ref().filter(|summary| summary.is_profiled() && profile.missing_cases.is_empty())
}

/// The figures of a profile, if they can be relied on: complete, of one optimised build that is of what is built
/// now, and of one machine.
#[must_use]
pub fn trusted(profile: &Profile) -> Option<&JobProfile> {
    measured(profile).filter(|_| distrusted(profile).is_empty())
}

/// What keeps the figures of a profile from being relied on: how what was measured is not what is built now. Cases of
/// several builds or machines are of nothing that is known; a build without optimisation is one at another opt-level.
#[must_use]
pub fn distrusted(profile: &Profile) -> Vec<Change> {
    let mut changes = profile.stale.clone();
    changes.extend((!profile.is_optimised()).then_some(Change::OptLevel));
    changes.extend(profile.mixture().map(|_| Change::Unknown));
    changes.sort_unstable();
    changes.dedup();
    changes
}

/// When the newest of the profiles was measured.
pub(crate) fn newest<'a>(profiles: impl IntoIterator<Item = &'a Profile>) -> Option<&'a Environment> {
    let time =
        |profile: &&Profile| -> Option<SystemTime> { humantime::parse_rfc3339(&profile.environment.profiled_at).ok() };
    profiles.into_iter().max_by_key(time).map(|profile| &profile.environment)
}

impl BlueprintProfiles {
    /// The profiles of a package, complete: every id from 0 to the highest of `known`, of the document and
    /// of `highest` has an entry, one that is refused where there is no trusted profile. Without any id,
    /// there are no entries.
    ///
    /// Fails with [`ProfilingError::InvalidConfiguration`] for an id above [`HIGHEST_ID`].
    pub fn of(
        package: &str,
        profiles: &[impl Borrow<Profile>],
        known: &[KnownJob<'_>],
        document: &[DocumentJob],
        highest: Option<u32>,
    ) -> Result<Self, ProfilingError> {
        let by_name: HashMap<&str, &Profile> =
            profiles.iter().map(Borrow::borrow).map(|profile| (&*profile.job, profile)).collect();
        let mut complete = Self::new(package);
        let mut used = Vec::new();
        for (id, position) in job_ids(document, known) {
            let profile = by_name.get(known[position].0).copied();
            if let Some((profile, summary)) = profile.and_then(|profile| Some((profile, trusted(profile)?))) {
                complete.add_job(id, summary.clone());
                used.push(profile);
            }
        }
        if let Some(environment) = newest(used) {
            complete.profiled_at.clone_from(&environment.profiled_at);
        }
        let ids = known.iter().filter_map(|known| known.1).chain(document.iter().map(|job| job.index));
        if let Some(highest) = ids.chain(highest).max() {
            complete.fill_gaps(highest)?;
        }
        Ok(complete)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn jobs(document: &Value) -> Vec<DocumentJob> {
        document_jobs(document).expect("a blueprint")
    }

    fn ids(document: &Value, known: &[KnownJob<'_>]) -> Vec<(u32, String)> {
        job_ids(&jobs(document), known).into_iter().map(|(id, at)| (id, known[at].0.to_owned())).collect()
    }

    fn pairs(expected: &[(u32, &str)]) -> Vec<(u32, String)> {
        expected.iter().map(|&(id, name)| (id, name.to_owned())).collect()
    }

    #[test]
    fn both_shapes_are_read() {
        let tangle = json!({"jobs": [{"name": "a", "job_index": 4}, {"metadata": {"name": "b"}, "job_index": 2}]});
        let expected = [(4, true, Some("a")), (2, true, Some("b"))];
        let read = jobs(&tangle);
        assert!(read.iter().map(|job| (job.index, job.indexed, job.name.as_deref())).eq(expected));
        let definition = json!({"metadata": {}, "jobs": [{"name": "a"}, {"job_index": null}]});
        let expected = [(0, false, Some("a")), (1, false, None)];
        let read = jobs(&definition);
        assert!(read.iter().map(|job| (job.index, job.indexed, job.name.as_deref())).eq(expected));
    }

    #[test]
    fn what_is_not_a_blueprint_is_named() {
        for (document, pointer) in [
            (json!([]), ""),
            (json!({}), ""),
            (json!({"jobs": {}}), "/jobs"),
            (json!({"jobs": [{}, "a"]}), "/jobs/1"),
            (json!({"jobs": [{"job_index": -1}]}), "/jobs/0/job_index"),
            (json!({"jobs": [{"job_index": "0"}]}), "/jobs/0/job_index"),
            (json!({"jobs": [{"job_index": 4_000_000_000_u32}]}), "/jobs/0/job_index"),
            (json!({"jobs": [{"job_index": 1}, {"job_index": 1}]}), "/jobs/1"),
            (json!({"jobs": [{"job_index": 1}, {}]}), "/jobs/1"),
        ] {
            assert_eq!(document_jobs(&document).expect_err("not a blueprint").pointer, pointer, "{document}");
        }
    }

    #[test]
    fn an_index_decides_before_a_name() {
        let document = json!({"jobs": [{"name": "a", "job_index": 1}, {"name": "b", "job_index": 0}]});
        assert_eq!(ids(&document, &[("a", Some(0)), ("b", None)]), pairs(&[(0, "a")]));
        assert_eq!(ids(&document, &[("a", None), ("b", None)]), pairs(&[(0, "b"), (1, "a")]));
        assert_eq!(ids(&document, &[("x", Some(0)), ("b", None), ("a", Some(7))]), pairs(&[(0, "x"), (7, "a")]));
    }

    #[test]
    fn without_an_index_a_name_decides_before_the_position() {
        let document = json!({"jobs": [{"name": "a"}, {"name": "b"}, {"name": "Squares a number"}]});
        assert_eq!(ids(&document, &[("b", Some(0)), ("square", Some(2))]), pairs(&[(1, "b"), (2, "square")]));
        assert_eq!(ids(&document, &[("x", Some(0)), ("a", None)]), pairs(&[(0, "a")]));
    }

    #[test]
    fn a_name_that_is_there_twice_decides_nothing() {
        let document = json!({"jobs": [{"name": "a"}, {"name": "a"}]});
        assert_eq!(ids(&document, &[("a", None)]), []);
        assert_eq!(ids(&document, &[("a", Some(1))]), pairs(&[(1, "a")]));
    }

    #[test]
    fn without_a_document_ids_are_kept() {
        assert_eq!(ids(&json!({"jobs": []}), &[("a", Some(3)), ("b", None)]), pairs(&[(3, "a")]));
    }

    #[test]
    fn every_known_id_has_an_entry() -> Result<(), ProfilingError> {
        let profiles = [crate::store::tests::profile("a", Some(0))];
        let known = [("a", Some(0)), ("b", Some(4))];
        let complete = BlueprintProfiles::of("p", &profiles, &known, &[], Some(5))?;
        assert_eq!(complete.jobs.len(), 6);
        assert_eq!(Some(&complete.jobs[&0]), profiles[0].summary.as_ref());
        assert!((1..6).all(|id| complete.jobs[&id] == JobProfile::not_profiled()));
        assert_eq!(complete.profiled_at, profiles[0].environment.profiled_at);
        Ok(())
    }

    #[test]
    fn a_stale_profile_is_refused() -> Result<(), ProfilingError> {
        let mut profile = crate::store::tests::profile("a", Some(0));
        profile.stale.push(crate::fingerprint::Change::Sources);
        assert!(measured(&profile).is_some());
        let complete = BlueprintProfiles::of("p", &[profile], &[("a", Some(0))], &[], None)?;
        assert_eq!(complete.jobs[&0], JobProfile::not_profiled());
        Ok(())
    }

    #[test]
    fn a_profile_that_lacks_a_case_is_refused() -> Result<(), ProfilingError> {
        let mut profile = crate::store::tests::profile("a", Some(0));
        profile.missing_cases.push(crate::profile::Params::new());
        let complete = BlueprintProfiles::of("p", &[profile], &[("a", Some(0))], &[], None)?;
        assert_eq!(complete.jobs[&0], JobProfile::not_profiled());
        Ok(())
    }
}
