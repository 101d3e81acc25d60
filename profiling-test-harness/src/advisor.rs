//! Advice on a package's jobs and its blueprint, from what the store holds.

use std::collections::BTreeMap;

use profiling_core::advise::{Advice, BlueprintAdvice, Catalogue, Options, advise, not_profiled};
use profiling_core::store::{Store, StoreError};
use profiling_core::tangle::blueprint::{DocumentJob, KnownJob, job_ids};

use crate::report::advice::JobAdvice;
use crate::report::evidence;

/// What a package is known to have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Jobs<'a> {
    /// The jobs, profiled or not.
    pub known: &'a [KnownJob<'a>],
    /// Those of its `blueprint.json`.
    pub document: &'a [DocumentJob],
}

impl Jobs<'_> {
    /// The jobs that each have advice, by position, with their ids.
    fn ids(&self) -> BTreeMap<u32, usize> {
        job_ids(self.document, self.known)
    }
}

/// Advice on those jobs that are `wanted`; one without a profile can't run anywhere.
pub(crate) fn on_jobs(
    store: &Store,
    jobs: Jobs<'_>,
    wanted: impl Fn(&str) -> bool,
    catalogue: &Catalogue,
    options: &Options,
) -> Result<Vec<JobAdvice>, StoreError> {
    let ids: BTreeMap<usize, u32> = jobs.ids().into_iter().map(|(id, position)| (position, id)).collect();
    let chosen = jobs.known.iter().enumerate().filter(|(_, (name, _))| wanted(name));
    let advised = chosen.map(|(position, &(name, _))| {
        let (keeps, advice) = match store.load(name)? {
            Some(profile) => {
                let samples = store.samples(name, None)?;
                let advice = advise(&profile, &samples.cases(), catalogue, options);
                (evidence::of_profile(&profile), advice.map_err(StoreError::samples(store, name))?)
            }
            None => (Vec::new(), not_profiled(catalogue)),
        };
        Ok(JobAdvice { job: name.to_owned(), id: ids.get(&position).copied(), keeps, advice })
    });
    advised.collect()
}

/// How the whole blueprint is deployed; `None` where no job has an id.
pub(crate) fn on_blueprint(
    store: &Store,
    jobs: Jobs<'_>,
    advised: &[JobAdvice],
) -> Result<Option<BlueprintAdvice>, StoreError> {
    let Some(profiles) = store.blueprint_profiles(jobs.known, jobs.document)? else { return Ok(None) };
    let by_id: BTreeMap<u32, &Advice> = advised.iter().filter_map(|job| Some((job.id?, &job.advice))).collect();
    Ok(Some(BlueprintAdvice::of(&profiles.jobs, &by_id)))
}
