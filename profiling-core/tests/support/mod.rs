//! Jobs made by hand.

use profiling_core::job::{Case, Entry, Isolation, JobDescriptor, SourceLocation};

/// A job with a single case.
pub(crate) const fn job(entry: Entry) -> JobDescriptor {
    JobDescriptor {
        name: "job",
        id: None,
        function: "tests::job",
        source: SourceLocation { file: file!(), line: line!() },
        samples: None,
        warmup: None,
        timeout: None,
        params: &[],
        cases: &[&[]],
        stateful: false,
        persistent_connections: false,
        ignore: false,
        cold_samples: None,
        isolation: Isolation::Case,
        budgets: &[],
        targets: &[],
        entry,
    }
}

/// The single case of a job.
pub(crate) fn case(job: &'static JobDescriptor) -> Case {
    Case { job, index: 0 }
}
