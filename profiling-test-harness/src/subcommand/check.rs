//! `check`: whether the stored profiles are what a release can rest on.

use profiling_core::advise::{Advice, Catalogue, Options, Verdict, advise};
use profiling_core::budget::Outcome;
use profiling_core::profile::{CaseProfile, Profile, RehearsalOutcome};
use profiling_core::store::StoreError;

use super::package::Package;
use super::{Error, show};
use crate::report::{budgets, case_path, evidence, harmless};

/// Prints a line for each job and each reason, with what it seems to keep, which is no reason; `true` where there is no reason.
pub(super) fn check(package: &Package, catalogue: &Catalogue, options: &Options) -> Result<bool, Error> {
    let known = package.known();
    let mut failed = 0;
    for &(job, _) in &known {
        let reasons = match package.profile(job) {
            Some(profile) => reasons(package, profile, catalogue, options)?,
            None => vec!["it has no profile: run `cargo test --release --features profiling`".to_owned()],
        };
        report(job, &reasons);
        package.profile(job).into_iter().flat_map(evidence::of_profile).for_each(|line| say!("  {line}"));
        failed += usize::from(!reasons.is_empty());
    }
    let unknown = package.not_registered();
    for job in &unknown {
        report(job, &["it is in `blueprint.json`, and no annotated job has its name or index".to_owned()]);
    }
    let (failed, all) = (failed + unknown.len(), known.len() + unknown.len());
    let word = if failed == 0 { console::style("ok").green() } else { console::style("FAILED").red() };
    say!("\ncheck: {word}. {} passed; {failed} failed", all - failed);
    Ok(failed == 0)
}

fn report(job: &str, reasons: &[String]) {
    if reasons.is_empty() {
        say!("{job}: ok");
    }
    for reason in reasons {
        say!("{job}: {}", reason.chars().map(harmless).collect::<String>());
    }
}

fn reasons(
    package: &Package,
    profile: &Profile,
    catalogue: &Catalogue,
    options: &Options,
) -> Result<Vec<String>, Error> {
    let mut reasons = show::faults(profile);
    if profile.cases.is_empty() {
        reasons.push("no case of it was measured".to_owned());
    }
    for case in &profile.cases {
        let path = case_path(&profile.job, &case.params);
        let named = |reason: String| if case.params.is_empty() { reason } else { format!("{path}: {reason}") };
        reasons.extend(of_case(case).into_iter().map(named));
    }
    if !profile.targets.is_empty() {
        let advice = advise(profile, &package.samples(profile)?.cases(), catalogue, options)
            .map_err(StoreError::samples(&package.store, &profile.job))?;
        reasons.extend(profile.targets.iter().filter_map(|target| missed(target, &advice)));
    }
    Ok(reasons)
}

/// Why it isn't known that a job can run on its target; nothing where it can.
fn missed(target: &str, advice: &Advice) -> Option<String> {
    let Some(platform) = advice.platform(target) else {
        return Some(format!("its target `{target}` is no platform of the catalogue"));
    };
    let unmet = platform.reasons.iter().filter(|reason| reason.verdict > Verdict::Tight);
    let why: Vec<&str> = unmet.map(|reason| reason.text.as_str()).collect();
    let known = if platform.verdict == Verdict::Incompatible { "not compatible" } else { "not known to be compatible" };
    (platform.verdict > Verdict::Tight).then(|| format!("{known} with {target}: {}", why.join("; ")))
}

fn of_case(case: &CaseProfile) -> Vec<String> {
    let over = case.budgets.iter().filter(|judgement| judgement.outcome == Outcome::Over).map(budgets::line);
    let rehearsals = case.rehearsals.iter().filter_map(|rehearsal| match &rehearsal.outcome {
        RehearsalOutcome::Failed { reason, .. } => {
            Some(format!("failed its rehearsal at {}: {reason}", rehearsal.size))
        }
        _ => None,
    });
    over.chain(rehearsals).collect()
}
