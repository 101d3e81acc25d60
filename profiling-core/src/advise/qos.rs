//! What monitoring should expect of a job.

use std::io;

use super::advice::{ErrorRate, LatencyObjectives, Objective, QosBaseline};
use super::options::Options;
use super::rank;
use crate::profile::{CaseProfile, Profile};
use crate::sample::Column;
use crate::samples::{SampledCase, sampled};
use crate::statistics::select::ranked;
use crate::statistics::values::Values;

/// The baseline of a job; `None` without cases.
pub(super) fn baseline(
    profile: &Profile,
    samples: &[SampledCase<'_>],
    options: &Options,
) -> io::Result<Option<QosBaseline>> {
    let Some(fewest) = profile.cases.iter().map(|case| case.samples).min() else { return Ok(None) };
    let headroom = 1.0 + options.headroom;
    let objective = |permille| worst(profile, samples, permille, headroom);
    let all = |figure: fn(&CaseProfile) -> Option<u64>| {
        let figures: Option<Vec<u64>> = profile.cases.iter().map(figure).collect();
        figures.and_then(|figures| figures.into_iter().max())
    };
    let memory = all(|case| {
        let rss = case.figures.peak_rss_bytes?.max;
        Some(case.tree_peak.map_or(rss, |tree| tree.bytes.max(rss)))
    });
    let upper = 1.0 - 0.05_f64.powf(1.0 / f64::from(fewest.max(1)));
    let (Some(p50), Some(p95), Some(p99)) = (objective(500)?, objective(950)?, objective(990)?) else {
        return Ok(None);
    };
    Ok(Some(QosBaseline {
        job: profile.job.clone(),
        samples: fewest,
        latency: LatencyObjectives { p50, p95, p99 },
        error_rate: ErrorRate { measured: 0.0, upper, objective: options.error_rate },
        memory_bytes_max: memory.map(|bytes| with_headroom(bytes, headroom)),
        cpu_seconds_max: all(|case| Some(case.figures.cpu_ns?.max))
            .map(|ns| to_nanoseconds(ns as f64 / 1e9 * headroom)),
    }))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes, below 2^53")]
fn with_headroom(bytes: u64, headroom: f64) -> u64 {
    (bytes as f64 * headroom).ceil() as u64
}

/// The percentile of the case that it is the largest of.
fn worst(
    profile: &Profile,
    samples: &[SampledCase<'_>],
    permille: u32,
    headroom: f64,
) -> io::Result<Option<Objective>> {
    let of_case = |case: &CaseProfile| objective(case, samples, permille, headroom);
    let objectives = profile.cases.iter().map(of_case).collect::<io::Result<Vec<Objective>>>()?;
    Ok(objectives.into_iter().max_by(|a, b| a.objective_s.total_cmp(&b.objective_s)))
}

fn objective(case: &CaseProfile, samples: &[SampledCase<'_>], permille: u32, headroom: f64) -> io::Result<Objective> {
    let quantile = f64::from(permille) / 1000.0;
    let walls = sampled(samples, &case.params).and_then(|samples| samples.column::<u64>(Column::WallNs));
    let at = |rank: fn(usize, f64) -> Option<usize>| -> io::Result<Option<f64>> {
        let Some(walls) = &walls else { return Ok(None) };
        let Some(rank) = rank(walls.count(), quantile) else { return Ok(None) };
        Ok(Some(seconds(ranked(walls, &[rank - 1])?[0])))
    };
    let (low_s, high_s) = (at(rank::lower)?, at(rank::upper)?);
    let measured = match permille {
        500 => case.wall_ns.p50,
        950 => case.wall_ns.p95,
        _ => case.wall_ns.p99,
    };
    Ok(Objective {
        measured_s: seconds(measured),
        low_s,
        high_s,
        objective_s: to_nanoseconds(high_s.unwrap_or_else(|| 1.5 * seconds(case.wall_ns.max)) * headroom),
    })
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// Without the errors of the last bits.
fn to_nanoseconds(seconds: f64) -> f64 {
    (seconds * 1e9).round() / 1e9
}
