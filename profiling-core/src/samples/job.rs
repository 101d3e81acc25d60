//! The samples of a job, by case.

use super::CaseSamples;
use crate::profile::Params;

/// A case with its samples.
#[derive(Debug, Clone, Copy)]
pub struct SampledCase<'a> {
    /// The case's parameters.
    pub params: &'a Params,
    /// Its samples.
    pub samples: &'a CaseSamples,
}

/// The samples of the case with these parameters; `None` where there are none.
#[must_use]
pub fn sampled<'a>(cases: &[SampledCase<'a>], params: &Params) -> Option<&'a CaseSamples> {
    cases.iter().find(|case| case.params == params).map(|case| case.samples).filter(|samples| !samples.is_empty())
}
