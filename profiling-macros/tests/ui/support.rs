//! What the pass cases look their jobs up and execute them with.
#![allow(dead_code)]

use profiling_core::job::{Failure, JobDescriptor};
use profiling_core::registry;
use profiling_core::runner::CaseRunner;
use profiling_core::sample::Sample;

/// The job of that name.
pub(crate) fn job(name: &str) -> &'static JobDescriptor {
    let jobs = registry::jobs().expect("names and ids are unique");
    jobs.into_iter().find(|job| job.name == name).unwrap_or_else(|| panic!("`{name}` is not registered"))
}

/// Executes the first case of a job once.
pub(crate) fn execute(name: &str) -> Result<Sample, Failure> {
    executions(name, 0, 1).remove(0)
}

/// Executes one case of a job again and again.
pub(crate) fn executions(name: &str, case: usize, count: usize) -> Vec<Result<Sample, Failure>> {
    let case = job(name).cases().nth(case).expect("the job has that case");
    let mut runner = CaseRunner::new(case).expect("the runtime starts");
    (0..count).map(|_| runner.execute()).collect()
}

/// Why the execution of a job fails.
pub(crate) fn failure(name: &str) -> String {
    execute(name).expect_err("the execution fails").to_string()
}
