//! Whether a job fits a platform, and why.

use super::advice::{Constraint, Reason, Verdict};
use super::catalogue::{Limits, Platform, Size};
use super::demand::{Bounds, CaseDemand};
use super::options::Options;
use super::rehearsal;
use crate::evidence::Subject;
use crate::profile::Profile;

/// Fewer tell nothing about the tail.
const FEWEST_SAMPLES: u32 = 5;

/// In what a figure is given.
#[derive(Debug, Clone, Copy)]
enum Unit {
    Seconds,
    Bytes,
    Count,
}

/// Whether the profile can be relied on at all, and what the job needs that no platform gives.
pub(super) fn of_profile(profile: &Profile) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut add = |constraint, verdict, text: String| reasons.push(Reason::plain(constraint, verdict, text));
    if profile.cases.is_empty() {
        add(Constraint::Profile, Verdict::Incompatible, "no case of the job was measured".to_owned());
    } else if !profile.missing_cases.is_empty() {
        let text = format!("{} of the job's cases were never measured", profile.missing_cases.len());
        add(Constraint::Profile, Verdict::Unknown, text);
    }
    if !profile.stale.is_empty() {
        let text = "the profile is of other sources than those of today: measure again";
        add(Constraint::Stale, Verdict::Unknown, text.to_owned());
    }
    if let Some(mixture) = profile.mixture() {
        add(Constraint::Mixture, Verdict::Unknown, format!("{mixture}: measure all of them again"));
    }
    if !profile.is_optimised() {
        let text = "measured in a build without optimisation: measure with `--release`";
        add(Constraint::Build, Verdict::Unknown, text.to_owned());
    }
    if let Some(fewest) = profile.cases.iter().map(|case| case.samples).min().filter(|&few| few < FEWEST_SAMPLES) {
        let text = format!("{fewest} samples, where {FEWEST_SAMPLES} are the least that say something");
        add(Constraint::Samples, Verdict::Unknown, text);
    }
    let summary = profile.summary.as_ref();
    if summary.is_some_and(|summary| summary.stateful) || !profile.stateful_evidence.is_empty() {
        let text = because("keeps state between executions", &profile.stateful_evidence);
        add(Constraint::State, Verdict::Incompatible, text);
    }
    if summary.is_some_and(|summary| summary.persistent_connections) || !profile.connection_evidence.is_empty() {
        let text = because("keeps connections between executions", &profile.connection_evidence);
        add(Constraint::PersistentConnections, Verdict::Incompatible, text);
    }
    let unsure = [
        (Subject::State, Constraint::State, "keeps state"),
        (Subject::Connections, Constraint::PersistentConnections, "keeps connections"),
    ];
    for (subject, constraint, what) in unsure {
        let doubts = profile.doubts(subject);
        if !doubts.is_empty() {
            let text = format!("it isn't known whether it {what} between executions: {}", doubts.join("; "));
            add(constraint, Verdict::Unknown, text);
        }
    }
    reasons
}

fn because(what: &str, evidence: &[String]) -> String {
    if evidence.is_empty() { format!("{what}, as declared") } else { format!("{what}: {}", evidence.join("; ")) }
}

/// What decides beside memory, duration and disk, which depend on the size.
pub(super) fn of_platform(platform: &Platform, cases: &[CaseDemand<'_>], options: &Options) -> Vec<Reason> {
    let limits = &platform.limits;
    let mut reasons = Vec::new();
    if !platform.arch.iter().any(|arch| matches!(&**arch, "x86_64" | "arm64" | "aarch64")) {
        let text = format!("runs {}; figures of a native build don't tell", platform.arch.join(", "));
        reasons.push(Reason::plain(Constraint::Architecture, Verdict::Unknown, text));
    }
    let mut check = |constraint, limit: Option<u64>, unit, headroom, figure: &dyn Fn(&CaseDemand<'_>) -> Bounds| {
        let Some(most) = limit else { return };
        let limit = Limit { constraint, most: most as f64, unit, headroom };
        // What counts things is kept in rehearsals.
        let figure = |case: &CaseDemand<'_>| match unit {
            Unit::Count => figure(case).at_most(rehearsal::enough(platform, case, most)),
            _ => figure(case),
        };
        reasons.extend(worst(cases, |case| limit.judge(figure(case), &case.label)));
    };
    check(Constraint::CpuTime, limits.cpu_time_s, Unit::Seconds, options.headroom, &cpu_seconds);
    check(Constraint::FileDescriptors, limits.file_descriptors, Unit::Count, 0.0, &|case| case.file_descriptors);
    check(Constraint::Threads, limits.threads, Unit::Count, 0.0, &|case| case.threads);
    reasons.extend(payloads(limits, cases));
    reasons
}

fn cpu_seconds(case: &CaseDemand<'_>) -> Bounds {
    match case.cpu_bound_ns() {
        Some(bound) => Bounds { low: case.cpu.map_or(0.0, |cpu| cpu.p50 as f64 / 1e9), high: Some(bound / 1e9) },
        None => Bounds { low: 0.0, high: None },
    }
}

/// A payload whose name says which way it goes is held against that limit, another one against both.
fn payloads(limits: &Limits, cases: &[CaseDemand<'_>]) -> Vec<Reason> {
    let mut found: Vec<Reason> = Vec::new();
    for case in cases {
        for (name, bytes) in &case.payloads {
            let (is_request, is_response) = directions(name);
            let of = [
                (Constraint::PayloadRequest, limits.request_bytes.filter(|_| is_request)),
                (Constraint::PayloadResponse, limits.response_bytes.filter(|_| is_response)),
            ];
            for (constraint, limit) in of {
                let Some(limit) = limit else { continue };
                let limit = Limit { constraint, most: limit as f64, unit: Unit::Bytes, headroom: 0.0 };
                let label = format!(" `{name}`{}", case.label);
                found.push(limit.judge(Bounds { low: *bytes, high: Some(*bytes) }, &label));
            }
        }
    }
    let worst_of = |constraint| {
        let of: Vec<&Reason> = found.iter().filter(|reason| reason.constraint == constraint).collect();
        of.into_iter().max_by(|a, b| a.figure.unwrap_or(0.0).total_cmp(&b.figure.unwrap_or(0.0))).cloned()
    };
    [Constraint::PayloadRequest, Constraint::PayloadResponse].into_iter().filter_map(worst_of).collect()
}

/// Whether a payload of this name may be (part of) a request, and of a response.
fn directions(name: &str) -> (bool, bool) {
    let is = |words: &[&str]| words.iter().any(|word| name.to_ascii_lowercase().contains(word));
    match (is(&["request", "input", "args"]), is(&["response", "output", "result", "reply"])) {
        (false, false) => (true, true),
        directions => directions,
    }
}

/// Whether duration, memory and disk of a job fit one size.
pub(super) fn of_size(platform: &Platform, size: &Size, cases: &[CaseDemand<'_>], options: &Options) -> Vec<Reason> {
    let judge = |limit: Limit| worst(cases, |case| limit.judge(size_figure(&limit, platform, size, case), &case.label));
    size_limits(platform, size, options)
        .filter_map(judge)
        .chain(rehearsal::judge(platform, size, cases, options))
        .collect()
}

/// The worst verdict of [`of_size`], in no words.
pub(super) fn verdict_of_size(
    platform: &Platform,
    size: &Size,
    cases: &[CaseDemand<'_>],
    options: &Options,
) -> Verdict {
    let of = |limit: Limit| cases.iter().map(move |case| limit.verdict(size_figure(&limit, platform, size, case)));
    let rehearsed = rehearsal::judge(platform, size, cases, options).map(|reason| reason.verdict);
    size_limits(platform, size, options).flat_map(of).chain(rehearsed).max().unwrap_or(Verdict::Compatible)
}

/// The limits that a size has.
fn size_limits(platform: &Platform, size: &Size, options: &Options) -> impl Iterator<Item = Limit> {
    let Options { headroom, .. } = *options;
    let duration = platform.limits.timeout_s.map(|limit| (Constraint::Duration, limit as f64, Unit::Seconds, headroom));
    let memory_bytes = f64::from(size.memory_mb) * f64::from(1 << 20);
    let memory = Some((Constraint::Memory, memory_bytes, Unit::Bytes, headroom));
    let disk = size.disk_bytes.or(platform.limits.temporary_bytes);
    let disk = disk.map(|limit| (Constraint::TemporaryDisk, limit as f64, Unit::Bytes, 0.0));
    [duration, memory, disk].into_iter().flatten().map(|(constraint, most, unit, headroom)| Limit {
        constraint,
        most,
        unit,
        headroom,
    })
}

/// What is held against a limit of a size.
fn size_figure(limit: &Limit, platform: &Platform, size: &Size, case: &CaseDemand<'_>) -> Bounds {
    match limit.constraint {
        Constraint::Duration => seconds(platform, size, case),
        Constraint::TemporaryDisk => case.written_bytes.at_most(rehearsal::enough_disk(platform, case)),
        _ => memory(platform, case),
    }
}

/// How long an execution takes with its cold start.
fn seconds(platform: &Platform, size: &Size, case: &CaseDemand<'_>) -> Bounds {
    match (bound_ns(platform, size, case), case.cold_start_ns(size.vcpu)) {
        (Some(bound), Some(cold)) => Bounds { low: (bound + cold) / 1e9, high: Some((bound + cold) / 1e9) },
        (Some(bound), None) => Bounds { low: bound / 1e9, high: None },
        (None, _) => Bounds { low: case.longest_ns / 1e9, high: None },
    }
}

/// What durations are held against limits as, in nanoseconds: 1.5 × the longest of a rehearsal in this size, or
/// what is predicted where there was none.
pub(super) fn bound_ns(platform: &Platform, size: &Size, case: &CaseDemand<'_>) -> Option<f64> {
    let rehearsed = rehearsal::wall_ns(platform, size, case).map(|wall_ns| 1.5 * wall_ns.max as f64);
    rehearsed.or_else(|| case.bound_ns(size.vcpu))
}

/// Where files lie in memory, what is written to them counts.
fn memory(platform: &Platform, case: &CaseDemand<'_>) -> Bounds {
    if platform.limits.files_in_memory { case.memory_bytes.plus_at_most(case.written_bytes) } else { case.memory_bytes }
}

/// The worst verdict over all cases; of equal ones, the one with the largest figure.
fn worst(cases: &[CaseDemand<'_>], judge: impl Fn(&CaseDemand<'_>) -> Reason) -> Option<Reason> {
    let figure = |reason: &Reason| reason.figure.unwrap_or(0.0);
    let all = cases.iter().map(judge);
    all.max_by(|a, b| a.verdict.cmp(&b.verdict).then_with(|| figure(a).total_cmp(&figure(b))))
}

/// What a figure is held against.
#[derive(Debug, Clone, Copy)]
struct Limit {
    constraint: Constraint,
    most: f64,
    unit: Unit,
    headroom: f64,
}

impl Limit {
    fn verdict(&self, figure: Bounds) -> Verdict {
        // An error of the last bit doesn't decide.
        let limit = self.most * (1.0 + 1e-9);
        match figure.high {
            _ if figure.low > limit => Verdict::Incompatible,
            Some(high) if high * (1.0 + self.headroom) <= limit => Verdict::Compatible,
            Some(high) if high <= limit => Verdict::Tight,
            _ => Verdict::Unknown,
        }
    }

    fn judge(&self, figure: Bounds, label: &str) -> Reason {
        let verdict = self.verdict(figure);
        // Of a bad verdict, what makes it sure.
        let is_low = verdict == Verdict::Incompatible || figure.high.is_none();
        let shown = if is_low { figure.low } else { figure.high.unwrap_or(figure.low) };
        let is_known = figure.high.is_some() || shown > 0.0;
        Reason {
            constraint: self.constraint,
            verdict,
            figure: is_known.then_some(shown),
            limit: Some(self.most),
            unit: Some(self.unit.name().to_owned()),
            margin: (is_known && shown > 0.0).then(|| rounded((self.most - shown) / shown)),
            text: self.sentence(verdict, figure, shown, label),
        }
    }

    fn sentence(&self, verdict: Verdict, figure: Bounds, shown: f64, label: &str) -> String {
        let what = format!("{}{label}", name(self.constraint));
        let limit = self.unit.show(self.most);
        let value = self.unit.show(shown);
        let percent = if shown > 0.0 { (self.most - shown) / shown * 100.0 } else { f64::INFINITY };
        match verdict {
            Verdict::Incompatible => format!("{what} {value} is above {limit}"),
            Verdict::Tight => {
                let wanted = self.headroom * 100.0;
                format!("{what} {value} of {limit} leaves {percent:.1}% of headroom; {wanted:.0}% are wanted")
            }
            Verdict::Unknown if figure.high.is_none() => {
                format!("{what} was not measured; {limit} are allowed")
            }
            Verdict::Unknown => {
                let low = self.unit.show(figure.low);
                format!("{what} is between {low} and {value}; {limit} are allowed")
            }
            Verdict::Compatible if percent > 1000.0 => format!("{what} {value} is far below {limit}"),
            Verdict::Compatible => format!("{what} {value} of {limit} leaves {percent:.0}% of headroom"),
        }
    }
}

fn name(constraint: Constraint) -> &'static str {
    match constraint {
        Constraint::Duration => "duration with cold start",
        Constraint::CpuTime => "CPU time",
        Constraint::Memory => "memory",
        Constraint::PayloadRequest => "request payload",
        Constraint::PayloadResponse => "response payload",
        Constraint::TemporaryDisk => "data written",
        Constraint::FileDescriptors => "file descriptors",
        Constraint::Threads => "threads",
        Constraint::Profile
        | Constraint::Stale
        | Constraint::Build
        | Constraint::Mixture
        | Constraint::Samples
        | Constraint::State
        | Constraint::PersistentConnections
        | Constraint::Architecture
        | Constraint::Rehearsal => "the job",
    }
}

fn rounded(margin: f64) -> f64 {
    (margin * 1e4).round() / 1e4
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Bytes => "bytes",
            Self::Count => "count",
        }
    }

    fn show(self, figure: f64) -> String {
        match self {
            Self::Seconds if figure >= 1.0 => format!("{} s", trimmed(figure, 3)),
            Self::Seconds => format!("{} ms", trimmed(figure * 1e3, 3)),
            Self::Bytes if figure >= f64::from(1 << 20) => format!("{} MiB", trimmed(figure / f64::from(1 << 20), 2)),
            Self::Bytes => format!("{figure:.0} bytes"),
            Self::Count => format!("{figure:.0}"),
        }
    }
}

/// So many decimals, without zeros at the end.
fn trimmed(figure: f64, decimals: usize) -> String {
    let text = format!("{figure:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// What doesn't decide.
pub(super) fn notes(platform: &Platform, profile: &Profile, cases: &[CaseDemand<'_>]) -> Vec<String> {
    let limits = &platform.limits;
    let mut notes = Vec::new();
    let mut note = |is_so: bool, text: String| notes.extend(is_so.then_some(text));
    note(
        cases.iter().all(|case| case.payloads.is_empty()),
        "payloads were never recorded: `record_payload` holds them against the platform's limits".to_owned(),
    );
    let unknown: Vec<&str> = [
        ("the duration", limits.timeout_s.is_none() && limits.cpu_time_s.is_none()),
        ("requests", limits.request_bytes.is_none()),
        ("responses", limits.response_bytes.is_none()),
        ("temporary disk", limits.temporary_bytes.is_none() && !limits.files_in_memory),
        ("file descriptors", limits.file_descriptors.is_none()),
        ("threads", limits.threads.is_none()),
    ]
    .into_iter()
    .filter_map(|(what, is_unknown)| is_unknown.then_some(what))
    .collect();
    note(!unknown.is_empty(), format!("the catalogue knows no limit of {}", unknown.join(", ")));
    note(cases.iter().any(|case| case.is_noisy), "the profile is noisy: durations are held wider".to_owned());
    let arch = &profile.environment.arch;
    let is_other = !platform.arch.iter().any(|own| super::catalogue::is_same_arch(own, arch));
    note(is_other && !arch.is_empty(), format!("measured on {arch}; the platform runs {}", platform.arch.join(", ")));
    if let (Some(free), Some(written)) = (limits.temporary_bytes_free, most(cases, |case| case.written_bytes.high)) {
        let what = format!("up to {} are written", Unit::Bytes.show(written));
        let text = format!("{what}: temporary disk above {} has to be asked for", Unit::Bytes.show(free as f64));
        note(written > free as f64, text);
    }
    if let (Some(limit), Some(bound)) = (limits.response_s, most(cases, |case| case.bound_ns(1.0))) {
        let text = format!("a caller that waits for the response gets none after {limit} s");
        note(bound / 1e9 > limit as f64, text);
    }
    if let (Some(limit), Some(cold)) = (limits.init_s, most(cases, |case| case.cold_start_ns(1.0))) {
        note(cold / 1e9 > limit as f64, format!("a cold start may take {limit} s"));
    }
    note(platform.init_billed.is_none(), "the source doesn't say whether a cold start is billed".to_owned());
    notes.extend(platform.notes.iter().cloned());
    notes
}

fn most(cases: &[CaseDemand<'_>], figure: impl Fn(&CaseDemand<'_>) -> Option<f64>) -> Option<f64> {
    cases.iter().filter_map(figure).max_by(f64::total_cmp)
}
