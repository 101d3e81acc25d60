//! What monitoring should expect of a job.

use super::advice::{ErrorRate, LatencyObjectives, Objective, QosBaseline};
use super::options::Options;
use super::rank;
use crate::profile::{CaseProfile, Profile, SampleRecord};

/// The baseline of a job; `None` without cases.
pub(super) fn baseline(profile: &Profile, samples: &[SampleRecord], options: &Options) -> Option<QosBaseline> {
    let fewest = profile.cases.iter().map(|case| case.samples).min()?;
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
    Some(QosBaseline {
        job: profile.job.clone(),
        samples: fewest,
        latency: LatencyObjectives { p50: objective(500)?, p95: objective(950)?, p99: objective(990)? },
        error_rate: ErrorRate { measured: 0.0, upper, objective: options.error_rate },
        memory_bytes_max: memory.map(|bytes| with_headroom(bytes, headroom)),
        cpu_seconds_max: all(|case| Some(case.figures.cpu_ns?.max))
            .map(|ns| to_nanoseconds(ns as f64 / 1e9 * headroom)),
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes, below 2^53")]
fn with_headroom(bytes: u64, headroom: f64) -> u64 {
    (bytes as f64 * headroom).ceil() as u64
}

/// The percentile of the case that it is the largest of.
fn worst(profile: &Profile, samples: &[SampleRecord], permille: u32, headroom: f64) -> Option<Objective> {
    let of_case = |case: &CaseProfile| objective(case, samples, permille, headroom);
    profile.cases.iter().map(of_case).max_by(|a, b| a.objective_s.total_cmp(&b.objective_s))
}

fn objective(case: &CaseProfile, samples: &[SampleRecord], permille: u32, headroom: f64) -> Objective {
    let own = samples.iter().filter(|sample| sample.params == case.params);
    let mut walls: Vec<u64> = own.map(|sample| sample.figures.wall_ns).collect();
    walls.sort_unstable();
    let quantile = f64::from(permille) / 1000.0;
    let at = |rank: Option<usize>| rank.map(|rank| seconds(walls[rank - 1]));
    let high_s = at(rank::upper(walls.len(), quantile));
    let measured = match permille {
        500 => case.wall_ns.p50,
        950 => case.wall_ns.p95,
        _ => case.wall_ns.p99,
    };
    Objective {
        measured_s: seconds(measured),
        low_s: at(rank::lower(walls.len(), quantile)),
        high_s,
        objective_s: to_nanoseconds(high_s.unwrap_or_else(|| 1.5 * seconds(case.wall_ns.max)) * headroom),
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// Without the errors of the last bits.
fn to_nanoseconds(seconds: f64) -> f64 {
    (seconds * 1e9).round() / 1e9
}
