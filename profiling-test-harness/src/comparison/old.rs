//! What a baseline has of the jobs of a run.

use std::collections::HashMap;

use profiling_core::job::Case;
use profiling_core::profile::{Params, Profile};
use profiling_core::sample::Sample;

use super::COMPARED;
use crate::baseline::{Baseline, BaselineError};
use crate::plan::params;

/// The baseline's jobs, each of which is read once.
#[derive(Debug)]
pub(super) struct OldJobs<'a> {
    baseline: &'a Baseline,
    read: HashMap<&'static str, Option<OldJob>>,
}

/// A job's profile, and so many of its samples as are compared.
#[derive(Debug)]
struct OldJob {
    profile: Profile,
    samples: Vec<(Params, Vec<Sample>)>,
}

impl<'a> OldJobs<'a> {
    pub(super) fn new(baseline: &'a Baseline) -> Self {
        Self { baseline, read: HashMap::new() }
    }

    /// The samples of a case, none where they were not kept; `None` where it was not measured.
    pub(super) fn samples(&mut self, case: Case) -> Result<Option<Vec<Sample>>, BaselineError> {
        let Some(job) = self.job(case.job.name)? else { return Ok(None) };
        let params = params(case);
        let samples = job.samples.iter().find(|(own, _)| *own == params).map(|(_, samples)| samples.clone());
        let measured = job.profile.cases.iter().any(|case| case.params == params);
        Ok(measured.then(|| samples.unwrap_or_default()))
    }

    /// The instructions of a case, where they were counted.
    pub(super) fn instructions(&mut self, case: Case) -> Result<Option<u64>, BaselineError> {
        let Some(job) = self.job(case.job.name)? else { return Ok(None) };
        let params = params(case);
        Ok(job.profile.cases.iter().find(|case| case.params == params).and_then(|case| case.instructions))
    }

    fn job(&mut self, name: &'static str) -> Result<Option<&OldJob>, BaselineError> {
        if !self.read.contains_key(name) {
            let job = self.baseline.load(name)?.map(|profile| -> Result<OldJob, BaselineError> {
                Ok(OldJob { samples: self.baseline.samples(name, COMPARED)?, profile })
            });
            self.read.insert(name, job.transpose()?);
        }
        Ok(self.read[name].as_ref())
    }
}
