//! `--in-process`: jobs run in the harness's own process, where a debugger or a coverage tool sees
//! them. A job that crashes or hangs takes the harness with it.

use std::io;

use profiling_core::profile::Circumstances;
use profiling_core::runner::CaseRunner;

use crate::capture::Capture;
use crate::supervisor::{CaseFailure, CasePlan, CaseRun, Measured, Phase};

/// Runs a case here and now.
pub(crate) fn run(plan: &CasePlan, _next: Option<&CasePlan>, progress: &mut dyn FnMut(u64)) -> io::Result<CaseRun> {
    #[cfg(feature = "tracing")]
    profiling_core::tracing::install();
    let mut runner = CaseRunner::new(plan.case)?;
    let result = execute(plan, &mut runner, progress);
    Ok(CaseRun { result, stdout: Capture::default(), stderr: Capture::default() })
}

fn execute(plan: &CasePlan, runner: &mut CaseRunner, progress: &mut dyn FnMut(u64)) -> Result<Measured, CaseFailure> {
    let mut samples = Vec::new();
    for number in 0..u64::from(plan.warmup) + u64::from(plan.samples) {
        if number == u64::from(plan.warmup) {
            runner.forget();
        }
        let phase = Phase::Execution { number, sample: number.checked_sub(plan.warmup.into()) };
        let sample = runner.execute().map_err(|failure| CaseFailure { phase, reason: failure.0 })?;
        if number >= u64::from(plan.warmup) {
            samples.push(sample);
        }
        progress(number + 1);
    }
    let circumstances = Circumstances { breakdown: runner.breakdown(), ..Circumstances::default() };
    Ok(Measured { samples, circumstances, ..Measured::default() })
}
