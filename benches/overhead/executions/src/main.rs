//! An execution of an empty job: what is measured of it, and what it takes with all readings around it.

use std::hint::black_box;
use std::time::Instant;

use profiling_core::job::{Case, Failure};
use profiling_core::registry::jobs;
use profiling_core::runner::CaseRunner;
use profiling_core::sample::Sample;
use profiling_core::{CountingAllocator, profile_job};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::system();

#[profile_job]
fn empty() {
    black_box(());
}

#[profile_job]
async fn empty_async() {
    black_box(());
}

/// Prints, of each job, the median of the measured wall time, and of the whole execution, in nanoseconds.
fn main() -> Result<(), Failure> {
    let executions = std::env::args().nth(1).map_or(Ok(2_000), |count| count.parse()).expect("a number of executions");
    for job in jobs().expect("two jobs") {
        let case = job.cases().next().expect("a case");
        let (measured, whole) = run(case, executions)?;
        println!("{} {measured} {whole}", job.name);
    }
    Ok(())
}

fn run(case: Case, executions: usize) -> Result<(u64, u64), Failure> {
    let mut runner = CaseRunner::new(case).map_err(|error| Failure(error.to_string()))?;
    let mut timed = || -> Result<(Sample, u64), Failure> {
        let begin = Instant::now();
        let sample = runner.execute()?;
        Ok((sample, u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX)))
    };
    for _ in 0..executions / 10 {
        timed()?;
    }
    let (mut measured, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..executions {
        let (sample, took) = timed()?;
        measured.push(sample.wall_ns);
        whole.push(took);
    }
    Ok((median(measured), median(whole)))
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}
