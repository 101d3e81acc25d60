//! What rehearsals tell: which sizes the job can't run on, and what it needs at most.

use super::advice::{Constraint, Reason, RehearsedOutcome, RehearsedSize, Verdict};
use super::catalogue::{Platform, Size};
use super::demand::CaseDemand;
use super::options::Options;
use crate::profile::{OfferedSize, Rehearsal, RehearsalFailure, RehearsalOutcome};
use crate::statistics::Summary;

const MIB: f64 = (1 << 20) as f64;

/// Memory that was enough in a rehearsal, in bytes; the least of several.
pub(super) fn enough_memory(rehearsals: &[Rehearsal]) -> Option<f64> {
    let enough = passed(rehearsals).map(|(offered, _)| f64::from(offered.memory_mb) * MIB);
    enough.min_by(f64::total_cmp)
}

/// Temporary disk space that was enough in a rehearsal on this platform, in bytes.
pub(super) fn enough_disk(platform: &Platform, case: &CaseDemand<'_>) -> Option<f64> {
    let granted = |offered: &OfferedSize| {
        let size = platform.size(offered.memory_mb, Some(offered.vcpu)).ok()?;
        platform.limits_of(&size).temporary_bytes.map(|bytes| bytes as f64)
    };
    passed_on(platform, case).filter_map(|(offered, _)| granted(offered)).min_by(f64::total_cmp)
}

/// A limit of the whole platform, where a rehearsal on it has shown it to be enough.
pub(super) fn enough(platform: &Platform, case: &CaseDemand<'_>, limit: u64) -> Option<f64> {
    passed_on(platform, case).next().map(|_| limit as f64)
}

/// How long the executions took in this very size.
pub(super) fn wall_ns(platform: &Platform, size: &Size, case: &CaseDemand<'_>) -> Option<Summary> {
    passed_on(platform, case).find(|(offered, _)| is(size, offered)).map(|(_, wall_ns)| wall_ns)
}

fn passed_on<'a>(platform: &'a Platform, case: &'a CaseDemand<'_>) -> impl Iterator<Item = (&'a OfferedSize, Summary)> {
    passed(&case.rehearsals).filter(|(offered, _)| offered.platform == platform.id)
}

fn passed(rehearsals: &[Rehearsal]) -> impl Iterator<Item = (&OfferedSize, Summary)> {
    rehearsals.iter().filter_map(|rehearsal| match &rehearsal.outcome {
        RehearsalOutcome::Passed { wall_ns } => Some((rehearsal.offered.as_ref()?, *wall_ns)),
        RehearsalOutcome::Failed { .. } => None,
    })
}

/// Whether a case was rehearsed in this very size.
pub(super) fn was_in(platform: &Platform, size: &Size, cases: &[CaseDemand<'_>]) -> bool {
    let mut offered = cases.iter().flat_map(|case| &case.rehearsals).filter_map(|rehearsal| rehearsal.offered.as_ref());
    offered.any(|offered| offered.platform == platform.id && is(size, offered))
}

fn is(size: &Size, offered: &OfferedSize) -> bool {
    size.memory_mb == offered.memory_mb && near(size.vcpu, offered.vcpu)
}

/// CPUs of one size are equal but for how they were written down.
fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-3
}

/// What failed rehearsals have against a size; `None` where they have nothing.
pub(super) fn judge(platform: &Platform, size: &Size, cases: &[CaseDemand<'_>], options: &Options) -> Option<Reason> {
    let of_case = |case: &CaseDemand<'_>| {
        let objections = case.rehearsals.iter().filter_map(|rehearsal| object(platform, size, rehearsal, options));
        let mut worst = objections.max_by_key(|reason| reason.verdict)?;
        worst.text.push_str(&case.label);
        Some(worst)
    };
    cases.iter().filter_map(of_case).max_by_key(|reason| reason.verdict)
}

fn object(platform: &Platform, size: &Size, rehearsal: &Rehearsal, options: &Options) -> Option<Reason> {
    let offered = rehearsal.offered.as_ref()?;
    let RehearsalOutcome::Failed { cause, reason, .. } = &rehearsal.outcome else { return None };
    let is_here = offered.platform == platform.id;
    let is_out = match cause {
        RehearsalFailure::OutOfMemory => return short_of_memory(size, offered, options),
        RehearsalFailure::TimedOut => is_here && size.vcpu <= offered.vcpu,
        // It is so in every size, but where files lie in memory they can be written to.
        RehearsalFailure::WriteRefused => is_here && !platform.limits.files_in_memory,
        RehearsalFailure::Job => is_here && size.memory_mb <= offered.memory_mb && size.vcpu <= offered.vcpu,
        RehearsalFailure::NotRun => false,
    };
    let why = reason.lines().next().unwrap_or_default();
    let text = format!("rehearsed at {}: {why}", rehearsal.size);
    is_out.then(|| Reason::plain(Constraint::Rehearsal, Verdict::Incompatible, text))
}

/// What is killed with so much memory needs more, on every platform.
fn short_of_memory(size: &Size, offered: &OfferedSize, options: &Options) -> Option<Reason> {
    let (killed_at, limit) = (f64::from(offered.memory_mb), f64::from(size.memory_mb));
    let (verdict, text) = if limit <= killed_at {
        let text = format!("out of memory when rehearsed at {} MB", offered.memory_mb);
        (Verdict::Incompatible, text)
    } else if limit < killed_at * (1.0 + options.headroom) {
        let (killed_at, limit) = (offered.memory_mb, size.memory_mb);
        let text = format!("out of memory when rehearsed at {killed_at} MB: {limit} MB may be too close to that");
        (Verdict::Tight, text)
    } else {
        return None;
    };
    Some(Reason {
        limit: Some(limit * MIB),
        unit: Some("bytes".to_owned()),
        ..Reason::plain(Constraint::Rehearsal, verdict, text)
    })
}

/// What came of each size of a platform, ascending.
pub(super) fn outcomes(platform: &Platform, cases: &[CaseDemand<'_>]) -> Vec<RehearsedSize> {
    let mut sizes: Vec<RehearsedSize> = Vec::new();
    for case in cases {
        for rehearsed in case.rehearsals.iter().filter_map(|rehearsal| of_size(platform, rehearsal, &case.label)) {
            let same =
                |size: &&mut RehearsedSize| size.memory_mb == rehearsed.memory_mb && near(size.vcpu, rehearsed.vcpu);
            match sizes.iter_mut().find(same) {
                Some(size) => size.add(rehearsed),
                None => sizes.push(rehearsed),
            }
        }
    }
    sizes.sort_by(|a, b| a.memory_mb.cmp(&b.memory_mb).then(a.vcpu.total_cmp(&b.vcpu)));
    sizes
}

fn of_size(platform: &Platform, rehearsal: &Rehearsal, label: &str) -> Option<RehearsedSize> {
    let offered = rehearsal.offered.as_ref().filter(|offered| offered.platform == platform.id)?;
    let (outcome, measured_ns) = match &rehearsal.outcome {
        RehearsalOutcome::Passed { wall_ns } => (RehearsedOutcome::Passed, Some(wall_ns.p50)),
        RehearsalOutcome::Failed { cause: RehearsalFailure::NotRun, .. } => return None,
        RehearsalOutcome::Failed { reason, .. } => {
            let why = reason.lines().next().unwrap_or_default();
            (RehearsedOutcome::Failed { reason: format!("{why}{label}") }, None)
        }
    };
    let ms = |ns: u64| ns as f64 / 1e6;
    Some(RehearsedSize {
        memory_mb: offered.memory_mb,
        vcpu: super::serverless::to_decimals(offered.vcpu, 4),
        outcome,
        measured_p50_ms: measured_ns.map(ms),
        predicted_p50_ms: rehearsal.predicted_p50_ns.map(ms),
    })
}

impl RehearsedSize {
    /// Another case in the same size: the worst outcome, and the figures of the slowest.
    fn add(&mut self, other: Self) {
        let is_slower =
            |own: &Self| (other.measured_p50_ms, other.predicted_p50_ms) > (own.measured_p50_ms, own.predicted_p50_ms);
        if is_slower(self) {
            (self.measured_p50_ms, self.predicted_p50_ms) = (other.measured_p50_ms, other.predicted_p50_ms);
        }
        if self.outcome == RehearsedOutcome::Passed {
            self.outcome = other.outcome;
        }
    }
}
