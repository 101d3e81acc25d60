//! What a baseline has of the jobs of a run.

use std::collections::HashMap;

use profiling_core::job::Case;
use profiling_core::sample::Sample;
use profiling_core::store::StoredJob;

use crate::baseline::{Baseline, BaselineError};
use crate::session::params;

/// The baseline's jobs, each of which is read once.
#[derive(Debug)]
pub(super) struct OldJobs<'a> {
    baseline: &'a Baseline,
    read: HashMap<&'static str, Option<StoredJob>>,
}

impl<'a> OldJobs<'a> {
    pub(super) fn new(baseline: &'a Baseline) -> Self {
        Self { baseline, read: HashMap::new() }
    }

    /// The samples of a case; `None` where it has none.
    pub(super) fn samples(&mut self, case: Case) -> Result<Option<Vec<Sample>>, BaselineError> {
        let Some((_, records)) = self.job(case.job.name)? else { return Ok(None) };
        let params = params(case);
        let samples: Vec<Sample> =
            records.iter().filter(|record| record.params == params).map(|record| record.figures).collect();
        Ok(Some(samples).filter(|samples| !samples.is_empty()))
    }

    /// The instructions of a case, where they were counted.
    pub(super) fn instructions(&mut self, case: Case) -> Result<Option<u64>, BaselineError> {
        let Some((profile, _)) = self.job(case.job.name)? else { return Ok(None) };
        let params = params(case);
        Ok(profile.cases.iter().find(|case| case.params == params).and_then(|case| case.instructions))
    }

    fn job(&mut self, name: &'static str) -> Result<Option<&StoredJob>, BaselineError> {
        if !self.read.contains_key(name) {
            self.read.insert(name, self.baseline.load(name)?);
        }
        Ok(self.read[name].as_ref())
    }
}
