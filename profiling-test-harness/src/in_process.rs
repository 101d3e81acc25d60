//! `--in-process`: jobs run in the harness's own process, where a debugger or a coverage tool sees
//! them. A job that crashes or hangs takes the harness with it.

use std::io;

use profiling_core::profile::Circumstances;
use profiling_core::runner::CaseRunner;
use profiling_core::samples::CaseSamples;

use crate::capture::Capture;
use crate::excerpt::excerpt;
use crate::outcome::{CaseFailure, CaseRun, Measured, Phase};
use crate::plan::CasePlan;
use crate::sampler::Sampler;

/// Runs a case here and now.
pub(crate) fn run(plan: &CasePlan, _next: Option<&CasePlan>, progress: &mut dyn FnMut(u64)) -> io::Result<CaseRun> {
    #[cfg(feature = "tracing")]
    profiling_core::tracing::install();
    let mut runner = CaseRunner::new(plan.case)?;
    let result = execute(plan, &mut runner, progress);
    Ok(CaseRun { result, stdout: Capture::default(), stderr: Capture::default() })
}

fn execute(plan: &CasePlan, runner: &mut CaseRunner, progress: &mut dyn FnMut(u64)) -> Result<Measured, CaseFailure> {
    runner.prepare().map_err(|failure| CaseFailure { phase: Phase::Fixture, reason: excerpt(failure.0) })?;
    let warmup = u64::from(plan.warmup);
    let mut number = 0;
    let mut next = |runner: &mut CaseRunner| {
        let phase = Phase::Execution { number, sample: number.checked_sub(warmup) };
        number += 1;
        let sample = runner.execute().map_err(|failure| CaseFailure { phase, reason: excerpt(failure.0) });
        progress(number);
        sample
    };
    for _ in 0..warmup {
        next(runner)?;
    }
    runner.forget();
    let mut sampler = plan.auto().map(Sampler::new);
    let mut measured = CaseSamples::default();
    while match &mut sampler {
        Some(sampler) => sampler.wants(&measured).map_err(|error| lost(&error))?.is_some(),
        None => measured.len() < plan.most_samples() as usize,
    } {
        let sample = next(runner)?;
        measured.push(sample).map_err(|error| lost(&error))?;
    }
    let sampling = sampler.and_then(|sampler| sampler.ended());
    let circumstances = Circumstances { breakdown: runner.breakdown(), sampling, ..Circumstances::default() };
    Ok(Measured { samples: measured, circumstances, ..Measured::default() })
}

fn lost(error: &io::Error) -> CaseFailure {
    CaseFailure { phase: Phase::Exit, reason: format!("the harness can't keep its samples: {error}") }
}
