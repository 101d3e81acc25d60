//! `targets("aws-lambda")`: whether a job can run where it is to run.

use profiling_core::advise::{Advice, Catalogue, Constraint, PlatformAdvice, Reason, Verdict};
use profiling_core::job::JobDescriptor;

use crate::platforms::{self, PlatformsError};

/// A target that a job was not shown to fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missed {
    pub job: &'static str,
    pub target: &'static str,
    /// Whether that fails the job; a warning else.
    pub fails: bool,
    /// Why, a sentence each.
    pub reasons: Vec<String>,
}

/// Makes sure that every target is a platform of the catalogue.
pub(crate) fn check(jobs: &[&'static JobDescriptor], catalogue: &Catalogue) -> Result<(), PlatformsError> {
    let mut targets = jobs.iter().flat_map(|job| job.targets.iter().map(|&target| (job.name, target)));
    let unknown = targets.find(|(_, target)| catalogue.platform(target).is_none());
    unknown.map_or(Ok(()), |(job, target)| {
        let hint = platforms::hint(target, catalogue);
        Err(PlatformsError::Target { job: job.to_owned(), id: target.to_owned(), hint })
    })
}

/// The targets of a job that its advice doesn't call compatible, with headroom or less.
pub(crate) fn missed(job: &JobDescriptor, advice: &Advice) -> Vec<Missed> {
    let of_target = |target: &str| advice.platforms.iter().find(|platform| platform.platform == target);
    let targets = job.targets.iter().filter_map(|&target| Some((target, of_target(target)?)));
    let missed = targets.filter(|(_, platform)| platform.verdict > Verdict::Tight);
    missed.map(|(target, platform)| miss(job.name, target, platform)).collect()
}

fn miss(job: &'static str, target: &'static str, platform: &PlatformAdvice) -> Missed {
    let unmet: Vec<&Reason> = platform.reasons.iter().filter(|reason| reason.verdict > Verdict::Tight).collect();
    let lacks = |constraint| unmet.iter().any(|reason| reason.constraint == constraint);
    let (unoptimised, partial) = (lacks(Constraint::Build), lacks(Constraint::Profile));
    let tells = |reason: &Reason| match reason.constraint {
        // A run of some cases adds them to those of another build, and that is not the job's doing.
        Constraint::Build | Constraint::Mixture => false,
        // What can't be told may come from something else on this machine.
        Constraint::Profile | Constraint::State | Constraint::PersistentConnections => {
            reason.verdict == Verdict::Incompatible
        }
        // A build without optimisation is slower and larger than the one that will run there.
        _ => !unoptimised && (!partial || reason.verdict == Verdict::Incompatible),
    };
    let fails = unmet.iter().any(|reason| tells(reason));
    Missed { job, target, fails, reasons: unmet.iter().map(|reason| reason.text.clone()).collect() }
}

#[cfg(test)]
mod tests {
    use profiling_core::advise::{Options, advise, not_profiled};

    use profiling_core::profile::{
        CaseProfile, Circumstances, ColdStart, Environment, Params, Profile, SCHEMA, Source,
    };
    use profiling_core::sample::Sample;
    use profiling_core::tangle::JobProfile;

    use super::*;

    const fn job(targets: &'static [&'static str]) -> JobDescriptor {
        JobDescriptor { targets, ..JobDescriptor::PLAIN }
    }

    static TARGETED: JobDescriptor = job(&["aws-lambda"]);

    /// Of ten executions that took so long, in a build of that kind.
    fn profile(wall_ms: u64, opt_level: &str, stateful: bool) -> Profile {
        let sample = Sample {
            wall_ns: wall_ms * 1_000_000,
            cpu_ns: Some(wall_ms * 1_000_000),
            peak_rss_bytes: Some(8 << 20),
            peak_threads: Some(1),
            peak_file_descriptors: Some(10),
            written_bytes: Some(0),
            ..Sample::default()
        };
        let cold_starts = vec![ColdStart { startup_ns: 1_000_000, first_execution_ns: sample.wall_ns }];
        let circumstances = Circumstances { cold_starts, ..Circumstances::default() };
        let cases = vec![CaseProfile::of(Params::new(), &[sample; 10], &circumstances).expect("samples")];
        let environment = Environment {
            profiled_at: "2026-01-02T03:04:05Z".to_owned(),
            os: "linux".to_owned(),
            arch: "x86_64".to_owned(),
            target: "x86_64-unknown-linux-gnu".to_owned(),
            cpu_model: None,
            logical_cpus: Some(2),
            memory_bytes: Some(1 << 33),
            rustc: "rustc 1.95.0".to_owned(),
            opt_level: opt_level.to_owned(),
            debug_assertions: false,
            git_commit: None,
            measurement_overhead_ns: None,
        };
        let json = serde_json::json!({
            "schema": SCHEMA, "package": "p", "job": "job", "source": {"file": "f", "line": 1}, "cases": [],
            "environment": environment,
        });
        let empty: Profile = serde_json::from_value(json).expect("valid");
        Profile {
            source: Source { file: "f".to_owned(), line: 1 },
            summary: JobProfile::of(&cases, stateful, false),
            cases,
            ..empty
        }
    }

    fn missed_by(profile: &Profile) -> Vec<Missed> {
        let advice = advise(profile, &[], Catalogue::builtin(), &Options::default());
        missed(&TARGETED, &advice.expect("there are no samples to read"))
    }

    #[test]
    fn what_fits_is_not_missed_and_what_is_too_slow_is() {
        assert_eq!(missed_by(&profile(20, "3", false)), []);
        let slow = missed_by(&profile(2_000_000, "3", false));
        assert_eq!((slow.len(), slow[0].target, slow[0].fails), (1, "aws-lambda", true));
        assert!(slow[0].reasons.iter().any(|reason| reason.contains("900")), "{slow:?}");
    }

    #[test]
    fn a_build_without_optimisation_shows_state_alone() {
        let unknown = missed_by(&profile(20, "0", false));
        assert!(!unknown[0].fails && unknown[0].reasons[0].contains("--release"), "{unknown:?}");
        assert!(!missed_by(&profile(2_000_000, "0", false))[0].fails);
        assert!(missed_by(&profile(20, "0", true))[0].fails);
    }

    #[test]
    fn a_job_without_targets_or_without_a_profile() {
        let advice = not_profiled(Catalogue::builtin());
        assert_eq!(missed(&job(&[]), &advice), []);
        assert!(missed(&TARGETED, &advice)[0].fails);
    }

    #[test]
    fn a_target_that_is_none_is_refused_with_a_guess() {
        static KNOWN: JobDescriptor = job(&["aws-lambda", "fly-machines"]);
        static UNKNOWN: JobDescriptor = job(&["aws-lamda"]);
        assert!(check(&[&KNOWN], Catalogue::builtin()).is_ok());
        let message = check(&[&KNOWN, &UNKNOWN], Catalogue::builtin()).expect_err("unknown").to_string();
        let says = "the job `job` has the target `aws-lamda`, which is no platform; did you mean `aws-lambda`?";
        assert!(message.contains(says), "{message}");
    }
}
