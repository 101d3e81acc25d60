//! `show`: the stored profiles for a reader.

use profiling_core::evidence::Subject;
use profiling_core::profile::{CaseProfile, Profile};

use crate::report::{case_path, stages, table};

/// The table of all cases, then a paragraph for each job, then the stages.
pub(super) fn render(profiles: &[&Profile], unprofiled: &[&str]) -> String {
    let mut parts = Vec::new();
    if !profiles.is_empty() {
        parts.push(table::stored(profiles));
        parts.push(profiles.iter().map(|profile| describe(profile)).collect::<Vec<_>>().join("\n"));
        parts.extend(profiles.iter().flat_map(|profile| stages::render(profile)));
    }
    if !unprofiled.is_empty() {
        parts.push(format!("no profile: {}", unprofiled.join(", ")));
    }
    parts.join("\n\n")
}

/// Where and of what a profile is, and what keeps it from being a basis for advice.
fn describe(profile: &Profile) -> String {
    let environment = &profile.environment;
    let debug = if environment.debug_assertions { ", debug assertions on" } else { "" };
    let commit = environment.git_commit.as_deref().map(|commit| commit.chars().take(9).collect::<String>());
    let commit = commit.map(|commit| format!(", commit {commit}")).unwrap_or_default();
    let id = profile.id.map(|id| format!(" (id {id})")).unwrap_or_default();
    let mut lines = vec![format!(
        "{}{id}: measured {} with opt-level {}{debug}{commit}",
        profile.job, environment.profiled_at, environment.opt_level
    )];
    lines.extend(faults(profile));
    lines.extend(origins(profile));
    let declared = profile.summary.as_ref();
    let evidence = [
        ("stateful", declared.is_some_and(|summary| summary.stateful), &profile.stateful_evidence),
        (
            "persistent connections",
            declared.is_some_and(|summary| summary.persistent_connections),
            &profile.connection_evidence,
        ),
    ];
    for (what, is_so, why) in evidence.into_iter().filter(|(_, is_so, _)| *is_so) {
        debug_assert!(is_so);
        lines.push(format!("{what}: {}", if why.is_empty() { "as declared".to_owned() } else { why.join("; ") }));
    }
    for (subject, what) in [(Subject::State, "stateful"), (Subject::Connections, "persistent connections")] {
        lines.extend(profile.doubts(subject).into_iter().map(|doubt| format!("perhaps {what}: {doubt}")));
    }
    if !profile.targets.is_empty() {
        lines.push(format!("targets: {}", profile.targets.join(", ")));
    }
    lines.join("\n  ")
}

/// Where each case was measured, if not all of them can be put side by side.
fn origins(profile: &Profile) -> Vec<String> {
    if profile.mixture().is_none() {
        return Vec::new();
    }
    let line = |case: &CaseProfile| {
        let environment = profile.origin_of(case).environment;
        format!(
            "{}: measured {} with opt-level {}, {}, on {}",
            case_path(&profile.job, &case.params),
            environment.profiled_at,
            environment.opt_level,
            environment.rustc,
            environment.describe_machine(),
        )
    };
    profile.cases.iter().map(line).collect()
}

/// What is wrong with a profile as such, a sentence each.
pub(super) fn faults(profile: &Profile) -> Vec<String> {
    let mut faults = Vec::new();
    if !profile.stale.is_empty() {
        let changes = profile.stale.iter().filter_map(|change| serde_json::to_value(change).ok());
        let changes: Vec<String> = changes.filter_map(|word| Some(word.as_str()?.replace('_', " "))).collect();
        faults.push(format!("stale: changed since the measurement: {}", changes.join(", ")));
    }
    if let Some(mixture) = profile.mixture() {
        faults.push(format!("{mixture}: measure all of them again"));
    }
    if !profile.is_optimised() {
        faults.push("measured in a build without optimisation: measure with `--release`".to_owned());
    }
    if !profile.missing_cases.is_empty() {
        faults.push(format!("{} of its cases were never measured", profile.missing_cases.len()));
    }
    faults
}
