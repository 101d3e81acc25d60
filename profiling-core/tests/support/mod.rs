//! Jobs made by hand.

use profiling_core::job::{Case, Entry, JobDescriptor};

/// A job with a single case.
pub(crate) const fn job(entry: Entry) -> JobDescriptor {
    JobDescriptor { entry, ..JobDescriptor::PLAIN }
}

/// The single case of a job.
pub(crate) fn case(job: &'static JobDescriptor) -> Case {
    Case { job, index: 0 }
}
