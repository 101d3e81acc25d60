//! Which profiles are stale: what they were measured of is not what is built.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::EmbedError;
use super::document::{self, known_title};
use crate::fingerprint::{Change, Fingerprint};
use crate::profile::Profile;
use crate::tangle::{BlueprintProfiles, JobProfile};

/// What has changed, in words, and the jobs that it makes stale.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Stale(BTreeMap<Vec<String>, Vec<String>>);

impl Stale {
    fn add(&mut self, job: String, now: &Fingerprint, measured: Option<&Fingerprint>) {
        self.0.entry(now.describe_changes_since(measured)).or_default().push(job);
    }

    /// A line for all jobs that the same changes make stale.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |(changes, jobs): (&Vec<String>, &Vec<String>)| {
            format!(
                "stale, and so judged unfit for serverless platforms: {}. Changed since the measurement: {}. \
                 `cargo test --release --features profiling` measures again",
                document::list(jobs),
                changes.join("; ")
            )
        };
        self.0.iter().map(line).collect()
    }

    pub(super) fn is_none(&self) -> bool {
        self.0.is_empty()
    }
}

/// Marks each of the profiles as stale or not.
pub(super) fn judge(profiles: &mut [Profile], now: &Fingerprint) -> Stale {
    let mut stale = Stale::default();
    for profile in profiles {
        profile.stale = now.changes_since(profile.fingerprint.as_ref());
        if !profile.stale.is_empty() {
            stale.add(known_title(profile), now, profile.fingerprint.as_ref());
        }
    }
    stale
}

/// Marks each of the profiles that a document has as stale or not.
pub(super) fn judge_document(document: &mut Value, now: &Fingerprint) -> Result<Stale, EmbedError> {
    let mut stale = Stale::default();
    let mut judged: BTreeMap<u32, (Vec<Change>, Option<JobProfile>)> = BTreeMap::new();
    for (id, entry) in listed(document) {
        let measured: Option<Fingerprint> =
            entry.get("fingerprint").and_then(|found| serde_json::from_value(found.clone()).ok());
        let mut changes = now.changes_since(measured.as_ref());
        // Its cases are of different machines, which no build can change.
        let is_mixed =
            entry.get("stale").and_then(Value::as_array).is_some_and(|marks| marks.contains(&json!(Change::Unknown)));
        if is_mixed && !changes.contains(&Change::Unknown) {
            changes.push(Change::Unknown);
        }
        document::set_status(entry, &changes);
        if !changes.is_empty() {
            let name = entry.get("name").and_then(Value::as_str);
            stale.add(name.map_or_else(|| format!("job {id}"), |name| format!("`{name}`")), now, measured.as_ref());
        }
        judged.insert(id, (changes, serde_json::from_value(Value::Object(entry.clone())).ok()));
    }
    document::set_job_status(document, |id| judged.get(&id).map(|(changes, _)| &**changes))?;
    document::change_profiling_data(document, |profiles: &mut BlueprintProfiles| {
        for (id, entry) in &mut profiles.jobs {
            match judged.get(id) {
                Some((changes, Some(summary))) if changes.is_empty() => entry.clone_from(summary),
                Some(_) => *entry = JobProfile::not_profiled(),
                None => {}
            }
        }
    })?;
    Ok(stale)
}

/// The measured jobs of the `profiling` object, with their ids.
pub(super) fn listed(document: &mut Value) -> impl Iterator<Item = (u32, &mut Map<String, Value>)> {
    let jobs = document.pointer_mut("/profiling/jobs").and_then(Value::as_object_mut);
    let entries = jobs.into_iter().flatten().filter_map(|(id, entry)| Some((id.parse().ok()?, entry.as_object_mut()?)));
    entries.filter(|(_, entry)| entry.contains_key("cases"))
}
