//! Judges a case by its job's budgets, and measures again what seems to be over one.

use std::io;
use std::time::Duration;

use profiling_core::budget::{Bound, Judgement};
use profiling_core::measure::nanoseconds;
use profiling_core::profile::CaseProfile;
use profiling_core::samples::CaseSamples;
use profiling_core::sampling::Samples;

use crate::outcome::{CaseRun, Measured};
use crate::plan::CasePlan;

/// How often a case whose times seem over budget is measured again: what slowed it down may have passed.
const REPETITIONS: usize = 2;
/// How long a repetition takes at least, so that it shows what other programs did meanwhile.
const LONG_ENOUGH: Duration = Duration::from_millis(300);
/// And how many samples it has at most for that.
const MANY: u64 = 1000;

/// What came of each budget. `run` measures the case once more.
pub(crate) fn judge(
    plan: &CasePlan,
    profile: &CaseProfile,
    measured: &Measured,
    bound: Bound,
    run: &mut dyn FnMut(&CasePlan) -> io::Result<CaseRun>,
) -> io::Result<Vec<Judgement>> {
    let judge = |samples: &CaseSamples, profile: &CaseProfile| -> io::Result<Vec<Judgement>> {
        let budgets = plan.case.job.budgets.iter();
        budgets.map(|&budget| Judgement::of(budget, samples, profile, bound)).collect()
    };
    let mut judgements = judge(&measured.samples, profile)?;
    for _ in 0..REPETITIONS {
        if !judgements.iter().any(Judgement::is_worth_repeating) {
            break;
        }
        // One that fails now doesn't clear the job.
        let Ok(CaseRun { result: Ok(again), .. }) = run(&repetition(plan, profile)) else { break };
        let params = profile.params.clone();
        let Some(fresh) = CaseProfile::of_samples(params, &again.samples, &again.circumstances)? else { break };
        let fresh = judge(&again.samples, &fresh)?;
        judgements = judgements.into_iter().zip(&fresh).map(|(first, fresh)| first.confirmed_by(fresh)).collect();
    }
    Ok(judgements)
}

/// The case's times once more, with as many samples and for long enough.
fn repetition(plan: &CasePlan, profile: &CaseProfile) -> CasePlan {
    let enough = nanoseconds(LONG_ENOUGH).div_ceil(profile.wall_ns.p50.max(1)).min(MANY);
    let samples = u32::try_from(enough).unwrap_or(u32::MAX).max(profile.samples);
    CasePlan { samples: Samples::Count(samples), cold_samples: 1, again: true, ..*plan }
}

#[cfg(test)]
mod tests {
    use profiling_core::budget::{Budget, Outcome, Subject};
    use profiling_core::job::{Case, Isolation, JobDescriptor};
    use profiling_core::profile::{Circumstances, Params};
    use profiling_core::sample::Sample;

    use super::*;
    use crate::capture::Capture;
    use crate::outcome::{CaseFailure, Phase};

    static JOB: JobDescriptor = JobDescriptor {
        budgets: &[
            Budget { subject: Subject::P95, limit: 5_000_000 },
            Budget { subject: Subject::Allocations, limit: 3 },
        ],
        ..JobDescriptor::PLAIN
    };

    fn measured(wall_ns: u64, samples: u32) -> Measured {
        let sample = Sample { wall_ns, allocations: Some(3), ..Sample::default() };
        Measured { samples: vec![sample; samples as usize].into(), ..Measured::default() }
    }

    /// The outcomes for a job that takes so long in its first measurement and in those that follow, and what
    /// these were asked for.
    fn outcomes(wall_ns: &[u64]) -> (Vec<Outcome>, Vec<Samples>) {
        let plan = CasePlan {
            case: Case { job: &JOB, index: 0 },
            warmup: 2,
            samples: Samples::Count(10),
            timeout: Duration::from_secs(1),
            cold_samples: 5,
            isolation: Isolation::Case,
            again: false,
        };
        let first = measured(wall_ns[0], 10);
        let profile = CaseProfile::of_samples(Params::new(), &first.samples, &Circumstances::default());
        let profile = profile.expect("they are in memory").expect("samples");
        let (mut asked, mut rest) = (Vec::new(), wall_ns[1..].iter());
        let mut run = |plan: &CasePlan| {
            assert!(plan.again && plan.cold_samples == 1);
            asked.push(plan.samples);
            let result = rest.next().map(|&wall_ns| measured(wall_ns, 10));
            let result = result.ok_or(CaseFailure { phase: Phase::Exit, reason: String::new() });
            Ok(CaseRun { result, stdout: Capture::default(), stderr: Capture::default() })
        };
        let judgements = judge(&plan, &profile, &first, Bound::Lower, &mut run).expect("samples are in memory");
        (judgements.iter().map(|judgement| judgement.outcome).collect(), asked)
    }

    #[test]
    fn what_is_within_is_not_measured_again() {
        assert_eq!(outcomes(&[4_000_000]), (vec![Outcome::Within, Outcome::Within], vec![]));
    }

    #[test]
    fn what_is_over_has_to_be_so_again_and_again() {
        let enough = Samples::Count(50);
        assert_eq!(outcomes(&[6_000_000, 6_000_000, 6_000_000]).0[0], Outcome::Over);
        assert_eq!(outcomes(&[6_000_000, 4_900_000]), (vec![Outcome::Near, Outcome::Within], vec![enough]));
        assert_eq!(
            outcomes(&[6_000_000, 7_000_000, 4_000_000]),
            (vec![Outcome::Near, Outcome::Within], vec![enough; 2])
        );
    }

    #[test]
    fn a_repetition_that_fails_clears_nothing() {
        assert_eq!(outcomes(&[6_000_000]).0[0], Outcome::Over);
    }
}
