//! What follows from a profile: where a job can run, on what size, and at what cost.
//!
//! Everything here is a pure function of profiles, samples and a [`Catalogue`] of platforms. `docs/advice.md`
//! has every formula with its source.

mod advice;
#[cfg(feature = "advise")]
pub mod catalogue;
#[cfg(feature = "advise")]
mod compatibility;
#[cfg(feature = "advise")]
mod cost;
#[cfg(feature = "advise")]
mod demand;
#[cfg(feature = "advise")]
mod options;
#[cfg(feature = "advise")]
mod pricing;
#[cfg(feature = "advise")]
mod prometheus;
#[cfg(feature = "advise")]
mod qos;
#[cfg(feature = "advise")]
mod rank;
#[cfg(feature = "advise")]
mod rehearsal;
#[cfg(feature = "advise")]
mod serverless;
mod strategy;
#[cfg(feature = "advise")]
mod vm;
#[cfg(feature = "advise")]
mod workload;

pub use advice::{
    Advice, BreakEven, Constraint, ErrorRate, LatencyObjectives, MachineAdvice, Objective, PlatformAdvice, QosBaseline,
    Reason, RehearsedOutcome, RehearsedSize, SizeAdvice, Verdict, VmAdvice,
};
#[cfg(feature = "advise")]
pub use catalogue::{Catalogue, CatalogueError};
#[cfg(feature = "advise")]
pub use demand::predicted_p50_ns;
#[cfg(feature = "advise")]
pub use options::{Options, SizesListed};
#[cfg(feature = "advise")]
pub use pricing::{
    AccessMode, BenchmarkProfile, CpuDetails, InvalidTerms, JobCost, MemoryDetails, OperationType, PriceTerms,
    price_suggestions,
};
#[cfg(feature = "advise")]
pub use prometheus::prometheus_rules;
pub use strategy::{BlueprintAdvice, DeploymentStrategy, Doubt, PlatformStrategy, ResourceSizing};

#[cfg(feature = "advise")]
use std::io;

#[cfg(feature = "advise")]
use crate::profile::Profile;
#[cfg(feature = "advise")]
use crate::samples::SampledCase;

/// All that follows from a profile.
///
/// With the job's samples, each of them is carried over to each size before percentiles are taken; without, the
/// profile's own percentiles are, which errs towards more time and money.
///
/// # Errors
///
/// Where the samples can't be read.
#[cfg(feature = "advise")]
pub fn advise(
    profile: &Profile,
    samples: &[SampledCase<'_>],
    catalogue: &Catalogue,
    options: &Options,
) -> io::Result<Advice> {
    if !profile.is_optimised() || profile.mixture().is_some() {
        // Sizes and prices of code that nobody will deploy, or of no one build, would only mislead.
        return Ok(without_figures(catalogue, &compatibility::of_profile(profile)));
    }
    let cases = demand::CaseDemand::of_all(profile, samples)?;
    let of_profile = compatibility::of_profile(profile);
    let place = |platform| serverless::Placement { platform, profile, cases: &cases, options };
    let platforms: Vec<PlatformAdvice> =
        catalogue.platforms.iter().map(|platform| place(platform).advise(&of_profile)).collect();
    let unread = cases.iter().find_map(|case| case.work.as_ref()?.take_error());
    unread.map_or(Ok(()), Err)?;
    Ok(Advice {
        vm: vm::advise(profile, &platforms, catalogue, options),
        qos: qos::baseline(profile, samples, options)?,
        platforms,
    })
}

/// What there is to say of a job without a profile: it can't run anywhere but on a machine of its own.
#[cfg(feature = "advise")]
#[must_use]
pub fn not_profiled(catalogue: &Catalogue) -> Advice {
    let text = "the job has no profile: measure it with `cargo test --release --features profiling`";
    without_figures(catalogue, &[Reason::plain(Constraint::Profile, Verdict::Incompatible, text.to_owned())])
}

/// What there is to say for the same reasons of every platform.
#[cfg(feature = "advise")]
fn without_figures(catalogue: &Catalogue, reasons: &[Reason]) -> Advice {
    let platforms = catalogue.platforms.iter().map(|platform| PlatformAdvice {
        platform: platform.id.clone(),
        verdict: reasons.iter().map(|reason| reason.verdict).max().unwrap_or(Verdict::Unknown),
        reasons: reasons.to_vec(),
        notes: Vec::new(),
        confidence: platform.confidence.clone(),
        as_of: platform.as_of.to_string(),
        cheapest: None,
        fastest: None,
        balanced: None,
        sizes: Vec::new(),
        rehearsed: Vec::new(),
    });
    Advice { platforms: platforms.collect(), vm: None, qos: None }
}
