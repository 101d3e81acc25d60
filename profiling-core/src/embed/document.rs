//! What profiles change in a document. Nothing here touches the disk.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::EmbedError;
use crate::advise::{Advice, BlueprintAdvice, Constraint};
use crate::fingerprint::Change;
use crate::profile::Profile;
use crate::tangle::blueprint::{
    DocumentError, DocumentJob, KnownJob, distrusted, document_jobs, job_ids, measured, newest, trusted,
};
use crate::tangle::{BlueprintProfiles, JobProfile, profiling_data};

/// The schema of the `profiling` object.
const SCHEMA: &str = "profiling.blueprint/1";

const NOT_PROFILED: &str = "not profiled";
const PROFILED: &str = "profiled";
const STALE: &str = "stale";

/// Things that the author should know, each in one line.
pub(super) type Warnings = Vec<String>;

/// Puts a package's profiles into its document. A job without a complete one loses what the document said.
pub(super) fn embed(document: &mut Value, package: &str, profiles: &[Profile]) -> Result<Warnings, EmbedError> {
    let jobs = document_jobs(document)?;
    refuse_two_profiles_of_one_id(profiles)?;
    let known: Vec<KnownJob<'_>> = profiles.iter().map(|profile| (&*profile.job, profile.id)).collect();
    let ids = job_ids(&jobs, &known);
    let by_id: BTreeMap<u32, &Profile> = ids.iter().map(|(&id, &position)| (id, &profiles[position])).collect();

    for (job, value) in jobs.iter().zip(job_values(document)) {
        let profile = by_id.get(&job.index).and_then(|profile| profile_value(profile)).unwrap_or_else(not_profiled);
        value.insert("profile".to_owned(), profile);
    }
    document["profiling"] = profiling_value(&jobs, &by_id);
    let mut warnings = mismatches(&jobs, &by_id, profiles);
    if !(jobs.is_empty() && by_id.is_empty()) {
        let mut complete = BlueprintProfiles::of(package, profiles, &known, &jobs, None)?;
        keep_time_of_nothing(&mut complete, document)?;
        if let Some(advice) = blueprint_advice(&complete, &by_id) {
            document["profiling"]["advice"] = advice;
        }
        warnings.extend(write_profiling_data(document, &complete)?);
    }
    Ok(warnings)
}

/// Marks the jobs that have no profile, where nothing was profiled on this machine; what the document says
/// of the others stays.
pub(super) fn mark(document: &mut Value) -> Result<Warnings, EmbedError> {
    let jobs = document_jobs(document)?;
    let mut missing = Vec::new();
    for (job, value) in jobs.iter().zip(job_values(document)) {
        let profile = value.entry("profile").or_insert_with(not_profiled);
        if profile["status"] == NOT_PROFILED {
            missing.push(title(job));
        }
    }
    list_unprofiled(document, &jobs);
    let mut warnings = complete_profiling_data(document, &jobs)?;
    let measure = "`cargo test --release --features profiling` measures";
    if missing.len() == jobs.len() {
        warnings.push(format!("no job is profiled; {measure} every annotated job"));
    } else {
        let rest = if missing.is_empty() { String::new() } else { format!("; not profiled: {}", list(&missing)) };
        let kept = "the profiles in the document stay as they are, because no job was profiled in this checkout";
        warnings.push(format!("{kept}; {measure} them again{rest}"));
    }
    Ok(warnings)
}

/// Adds the jobs to the `profiling` object that it doesn't list, if the document has one.
fn list_unprofiled(document: &mut Value, jobs: &[DocumentJob]) {
    let Some(listed) = document.pointer_mut("/profiling/jobs").and_then(Value::as_object_mut) else { return };
    let before = listed.len();
    for job in jobs {
        listed.entry(job.index.to_string()).or_insert_with(|| listed_not_profiled(job));
    }
    let mut entries: Vec<(String, Value)> = std::mem::take(listed).into_iter().collect();
    entries.sort_by_key(|(id, _)| id.parse::<u32>().unwrap_or(u32::MAX));
    listed.extend(entries);
    if listed.len() > before {
        drop_blueprint_advice(document);
    }
}

/// It is of other jobs than the document has now; the next run that profiles them says what follows.
fn drop_blueprint_advice(document: &mut Value) {
    if let Some(profiling) = document.get_mut("profiling").and_then(Value::as_object_mut) {
        profiling.shift_remove("advice");
    }
}

/// Adds the jobs to `profiling_data` that it doesn't have, if it has any. Readers pair ids with profiles by
/// position: a job must not fall off the end.
fn complete_profiling_data(document: &mut Value, jobs: &[DocumentJob]) -> Result<Warnings, EmbedError> {
    let mut warnings = Warnings::new();
    let highest = jobs.iter().map(|job| job.index).max();
    let (Some(read), Some(highest)) = (profiling_data::read(existing_profiling_data(document)?), highest) else {
        return Ok(warnings);
    };
    match read {
        Err(error) => warnings.push(format!("`profiling_data` can't be read: {error}")),
        Ok(mut profiles) => {
            let was_incomplete = profiles.fill_gaps(highest)?;
            warnings.extend(was_incomplete.then(|| write_profiling_data(document, &profiles)).transpose()?.flatten());
        }
    }
    Ok(warnings)
}

/// Takes the profiles of `existing` over to a document that was made anew, for every job that has the same
/// index and name in both.
pub(super) fn carry_over(document: &mut Value, existing: &Value) -> Result<(), EmbedError> {
    let jobs = document_jobs(document)?;
    let old_jobs = document_jobs(existing)?;
    let old_values = existing["jobs"].as_array().into_iter().flatten();
    let old: HashMap<u32, (&DocumentJob, &Value)> =
        old_jobs.iter().zip(old_values).map(|(job, value)| (job.index, (job, value))).collect();
    let same = |job: &DocumentJob| old.get(&job.index).filter(|(old, _)| old.name == job.name).map(|(_, value)| *value);

    for (job, value) in jobs.iter().zip(job_values(document)) {
        if let Some(profile) = same(job).and_then(|old| old.get("profile")) {
            value.entry("profile").or_insert_with(|| profile.clone());
        }
    }
    // An id that no document lists comes from the source alone, and stays.
    let is_kept = |id: u32| match jobs.iter().find(|job| job.index == id) {
        Some(job) => same(job).is_some(),
        None => !old.contains_key(&id),
    };
    if let (Some(profiling), None) = (existing.get("profiling"), document.get("profiling")) {
        let mut profiling = profiling.clone();
        let mut is_whole = true;
        if let Some(listed) = profiling.get_mut("jobs").and_then(Value::as_object_mut) {
            let before = listed.len();
            listed.retain(|id, _| id.parse().is_ok_and(is_kept));
            is_whole = listed.len() == before;
        }
        document["profiling"] = profiling;
        if !is_whole {
            drop_blueprint_advice(document);
        }
    }
    if let Some(Ok(mut profiles)) = profiling_data::read(existing_profiling_data(existing)?) {
        profiles.jobs.retain(|id, _| is_kept(*id));
        write_profiling_data(document, &profiles)?;
    }
    Ok(())
}

fn refuse_two_profiles_of_one_id(profiles: &[Profile]) -> Result<(), EmbedError> {
    let mut seen = HashMap::new();
    for profile in profiles {
        let Some(id) = profile.id else { continue };
        if let Some(first) = seen.insert(id, &profile.job) {
            return Err(EmbedError::TwoProfiles { id, first: first.clone(), second: profile.job.clone() });
        }
    }
    Ok(())
}

/// The jobs of a document that [`document_jobs`] has read.
fn job_values(document: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    document["jobs"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut)
}

fn not_profiled() -> Value {
    json!({"status": NOT_PROFILED})
}

/// `{"status": "profiled", …}` with the seven figures; `None` without a complete profile.
fn profile_value(profile: &Profile) -> Option<Value> {
    let mut value = json!({"status": PROFILED});
    append(&mut value, measured(profile)?);
    value.as_object_mut().into_iter().for_each(|value| set_status(value, &distrusted(profile)));
    Some(value)
}

/// Says of a measured job whether it is stale, and what has changed.
pub(super) fn set_status(measured: &mut Map<String, Value>, stale: &[Change]) {
    measured.shift_remove(STALE);
    let status = if stale.is_empty() { PROFILED } else { STALE };
    measured.insert("status".to_owned(), status.into());
    if let (Some(status), false) = (measured.keys().position(|key| key == "status"), stale.is_empty()) {
        measured.shift_insert(status + 1, STALE.to_owned(), json!(stale));
    }
}

/// Says of the measured jobs of the document whether they are stale; `stale` tells it of an index, or nothing.
pub(super) fn set_job_status<'a>(
    document: &mut Value,
    stale: impl Fn(u32) -> Option<&'a [Change]>,
) -> Result<(), EmbedError> {
    let jobs = document_jobs(document)?;
    for (job, value) in jobs.iter().zip(job_values(document)) {
        let profile = value.get_mut("profile").and_then(Value::as_object_mut);
        let profile = profile.filter(|profile| profile.get("status").is_some_and(|status| status != NOT_PROFILED));
        if let (Some(profile), Some(stale)) = (profile, stale(job.index)) {
            set_status(profile, stale);
        }
    }
    Ok(())
}

/// Changes the profiles of `profiling_data`, if there are any that can be read.
pub(super) fn change_profiling_data(
    document: &mut Value,
    change: impl FnOnce(&mut BlueprintProfiles),
) -> Result<(), EmbedError> {
    if let Some(Ok(mut profiles)) = profiling_data::read(existing_profiling_data(document)?) {
        change(&mut profiles);
        write_profiling_data(document, &profiles)?;
    }
    Ok(())
}

/// Appends the fields of a structure.
fn append(object: &mut Value, fields: &impl serde::Serialize) {
    if let (Some(object), Ok(Value::Object(fields))) = (object.as_object_mut(), serde_json::to_value(fields)) {
        object.extend(fields);
    }
}

fn profiling_value(jobs: &[DocumentJob], by_id: &BTreeMap<u32, &Profile>) -> Value {
    let mut value = json!({"schema": SCHEMA});
    let used = by_id.values().copied().filter(|profile| measured(profile).is_some());
    if let Some(environment) = newest(used) {
        value["profiled_at"] = environment.profiled_at.clone().into();
        value["environment"] = json!(environment);
    }
    let mut listed: BTreeMap<u32, Value> = jobs.iter().map(|job| (job.index, listed_not_profiled(job))).collect();
    for (&id, profile) in by_id {
        if let Some(summary) = measured(profile) {
            let mut entry = json!({"name": profile.job, "status": PROFILED, "source": profile.source});
            append(&mut entry, summary);
            entry["cases"] = json!(profile.cases);
            // The document says once what is true of most jobs.
            if value.get("environment").is_some_and(|common| *common != json!(profile.environment)) {
                entry["environment"] = json!(profile.environment);
            }
            if let Some(fingerprint) = &profile.fingerprint {
                entry["fingerprint"] = json!(fingerprint);
            }
            entry.as_object_mut().into_iter().for_each(|entry| set_status(entry, &distrusted(profile)));
            if let Some(advice) = &profile.advice {
                entry["advice"] = json!(still_true(advice.clone(), profile));
            }
            listed.insert(id, entry);
        }
    }
    value["jobs"] = listed.into_iter().map(|(id, entry)| (id.to_string(), entry)).collect::<Map<_, _>>().into();
    value
}

/// Advice for what is still built as it was measured; else it says that it is not.
fn still_true(mut advice: Advice, profile: &Profile) -> Advice {
    if !profile.stale.is_empty() {
        advice.distrust(Constraint::Stale, "what was measured has changed since: measure again");
    }
    if let Some(mixture) = profile.mixture() {
        advice.distrust(Constraint::Mixture, &format!("{mixture}: measure all of them again"));
    }
    if !profile.is_optimised() {
        advice.distrust(Constraint::Build, "measured in a build without optimisation: measure with `--release`");
    }
    advice
}

/// What follows for the whole blueprint; `None` where no profile holds advice.
fn blueprint_advice(complete: &BlueprintProfiles, by_id: &BTreeMap<u32, &Profile>) -> Option<Value> {
    let trusted = by_id.iter().filter(|(_, profile)| trusted(profile).is_some());
    let advice: BTreeMap<u32, &Advice> =
        trusted.filter_map(|(id, profile)| Some((*id, profile.advice.as_ref()?))).collect();
    (!advice.is_empty()).then(|| json!(BlueprintAdvice::of(&complete.jobs, &advice)))
}

fn listed_not_profiled(job: &DocumentJob) -> Value {
    let mut value = json!({});
    if let Some(name) = &job.name {
        value["name"] = name.as_str().into();
    }
    value["status"] = NOT_PROFILED.into();
    value
}

/// What the author may have overlooked.
fn mismatches(jobs: &[DocumentJob], by_id: &BTreeMap<u32, &Profile>, profiles: &[Profile]) -> Warnings {
    let mut warnings = Warnings::new();
    let has_none = |job: &&DocumentJob| by_id.get(&job.index).is_none_or(|profile| measured(profile).is_none());
    let unprofiled: Vec<String> = jobs.iter().filter(has_none).map(title).collect();
    if !unprofiled.is_empty() {
        warnings.push(format!(
            "not profiled, and so judged unfit for serverless platforms: {}. \
             `cargo test --release --features profiling` profiles every annotated job",
            list(&unprofiled)
        ));
    }
    warnings.extend(untrusted(profiles));
    for profile in profiles {
        let id = by_id.iter().find(|(_, paired)| paired.job == profile.job).map(|(id, _)| *id);
        let is_listed = |id: u32| jobs.iter().any(|job| job.index == id);
        match (id, profile.id) {
            (Some(index), Some(id)) if index != id => warnings.push(format!(
                "`{}` has `id = {id}` in the source and index {index} in the document; its profile went to {index}",
                profile.job
            )),
            (Some(index), _) if is_listed(index) => {}
            _ => warnings.push(format!("the document has no job for the profile of {}", known_title(profile))),
        }
    }
    warnings
}

/// A line for what keeps profiles from being relied on beside changes since: a build without optimisation, several
/// builds or machines.
pub(super) fn untrusted<'a>(profiles: impl IntoIterator<Item = &'a Profile> + Clone) -> Warnings {
    let unoptimised = profiles.clone().into_iter().filter(|profile| !profile.is_optimised());
    let unoptimised: Vec<String> = unoptimised.map(known_title).collect();
    let mut lines = Warnings::new();
    if !unoptimised.is_empty() {
        lines.push(format!(
            "measured in a build that is not optimised, and so judged unfit for serverless platforms: {}. \
             `cargo test --release --features profiling` measures what is deployed",
            list(&unoptimised)
        ));
    }
    let mixed = profiles.into_iter().filter_map(|profile| Some((profile, profile.mixture()?)));
    lines.extend(mixed.map(|(profile, mixture)| {
        format!(
            "judged unfit for serverless platforms: {}: {mixture}. `cargo test --release --features profiling` measures \
             all of them again",
            known_title(profile)
        )
    }));
    lines
}

fn title(job: &DocumentJob) -> String {
    job.name.as_ref().map_or_else(|| format!("job {}", job.index), |name| format!("`{name}`"))
}

pub(super) fn known_title(profile: &Profile) -> String {
    profile.id.map_or_else(|| format!("`{}`", profile.job), |id| format!("`{}` (`id = {id}`)", profile.job))
}

pub(super) fn list(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

/// Where `profiling_data` stands: in `metadata` if the document has that, else at the top.
fn holder(document: &Value) -> (&'static str, &Value) {
    document.get("metadata").filter(|metadata| metadata.is_object()).map_or(("", document), |m| ("/metadata", m))
}

fn existing_profiling_data(document: &Value) -> Result<&str, DocumentError> {
    let (place, holder) = holder(document);
    match holder.get("profiling_data") {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text),
        Some(_) => {
            let reason = "not a string; the chain keeps a string that holds JSON".to_owned();
            Err(DocumentError { pointer: format!("{place}/profiling_data"), reason })
        }
    }
}

/// Of a document in which nothing is profiled, the time says nothing: it does not change.
fn keep_time_of_nothing(profiles: &mut BlueprintProfiles, document: &Value) -> Result<(), DocumentError> {
    let nothing = !profiles.jobs.values().any(JobProfile::is_profiled);
    if let (true, Some(Ok(old))) = (nothing, profiling_data::read(existing_profiling_data(document)?))
        && old.jobs == profiles.jobs
    {
        profiles.profiled_at = old.profiled_at;
    }
    Ok(())
}

fn write_profiling_data(document: &mut Value, profiles: &BlueprintProfiles) -> Result<Option<String>, EmbedError> {
    let written = profiling_data::write(existing_profiling_data(document)?, profiles)?;
    let (place, _) = holder(document);
    if let Some(holder) = document.pointer_mut(place) {
        holder["profiling_data"] = written.profiling_data.into();
    }
    Ok(written.dropped.map(|dropped| {
        let start: String = dropped.chars().filter(|c| !c.is_control()).take(60).collect();
        format!("`profiling_data` held neither a JSON object nor profiles; this is gone: `{start}`")
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::tests::profile;

    /// Jobs with or without an index and a name, of few names, so that some meet.
    fn any_document() -> impl Strategy<Value = Value> {
        let name = proptest::option::of("[a-d]");
        let jobs = proptest::collection::vec((any::<bool>(), name), 0..6);
        (jobs, any::<bool>(), any::<i64>()).prop_map(|(jobs, is_definition, unknown)| {
            let job = |(position, (is_indexed, name)): (usize, (bool, Option<String>))| {
                let mut job = json!({"unknown": {"x": unknown}});
                if let Some(name) = name {
                    job["name"] = name.into();
                }
                // No two jobs may have one index: an indexed job is far from any position.
                if is_indexed {
                    job["job_index"] = (20 - position).into();
                }
                job
            };
            let jobs: Vec<Value> = jobs.into_iter().enumerate().map(job).collect();
            let mut document = json!({"b": 1, "jobs": jobs, "a": {"y": unknown}});
            if is_definition {
                document["metadata"] = json!({"profiling_data": "{\"execution_profile\":{}}", "z": 1});
            }
            document
        })
    }

    fn any_profiles() -> impl Strategy<Value = Vec<Profile>> {
        let id = prop_oneof![Just(None), (0_u32..25).prop_map(Some)];
        proptest::collection::btree_map("[a-d]", id, 0..4).prop_map(|jobs| {
            let mut seen = std::collections::HashSet::new();
            let unique = jobs.into_iter().filter(|(_, id)| id.is_none() || seen.insert(*id));
            unique.map(|(name, id)| profile(&name, id)).collect()
        })
    }

    /// The document without what was added.
    fn stripped(mut document: Value) -> Value {
        for job in job_values(&mut document) {
            job.remove("profile");
        }
        let root = document.as_object_mut().expect("an object");
        root.shift_remove("profiling");
        root.shift_remove("profiling_data");
        if let Some(metadata) = root.get_mut("metadata") {
            metadata["profiling_data"] = "{\"execution_profile\":{}}".into();
        }
        document
    }

    #[test]
    fn advice_comes_along_until_it_is_of_other_jobs() -> Result<(), EmbedError> {
        let mut document = json!({"jobs": [{"name": "a"}, {"name": "b"}]});
        let mut advised = profile("a", Some(0));
        advised.advice = Some(Advice::default());
        embed(&mut document, "p", &[advised, profile("b", Some(1))])?;
        let profiling = &document["profiling"];
        assert_eq!(profiling["jobs"]["0"]["advice"], json!(Advice::default()));
        assert_eq!(profiling["jobs"]["1"].get("advice"), None);
        let lambda = &profiling["advice"]["strategies"][0];
        assert_eq!(lambda["strategy"], json!({"Serverless": {"job_ids": [0, 1]}}));
        assert_eq!(lambda["doubts"][1]["reasons"], json!(["the profile holds no advice on this platform"]));

        let before = document.clone();
        mark(&mut document)?;
        assert_eq!(document, before);
        if let Some(jobs) = document["jobs"].as_array_mut() {
            jobs.push(json!({"name": "c"}));
        }
        let mut made = json!({"jobs": [{"name": "b"}]});
        carry_over(&mut made, &document)?;
        assert_eq!(made["profiling"].get("advice"), None, "it was of a job that is gone");
        mark(&mut document)?;
        assert_eq!(document["profiling"].get("advice"), None, "it was of fewer jobs");
        Ok(())
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_every_id_has_an_entry(original in any_document(), profiles in any_profiles()) {
            let mut document = original.clone();
            embed(&mut document, "p", &profiles)?;
            prop_assert_eq!(stripped(document.clone()).to_string(), original.to_string());

            let jobs = document_jobs(&document)?;
            let profiled = job_values(&mut document).filter(|job| job["profile"]["status"] == PROFILED).count();
            prop_assert!(profiled <= profiles.len());
            match profiling_data::read(existing_profiling_data(&document)?) {
                None => prop_assert!(jobs.is_empty()),
                Some(on_chain) => {
                    let on_chain = on_chain?.jobs;
                    let count = u32::try_from(on_chain.len())?;
                    prop_assert!((0..count).all(|id| on_chain.contains_key(&id)));
                    prop_assert!(jobs.iter().all(|job| job.index < count));
                    for (job, value) in jobs.iter().zip(job_values(&mut document)) {
                        prop_assert_eq!(on_chain[&job.index].is_profiled(), value["profile"]["status"] == PROFILED);
                    }
                }
            }

            let mut again = document.clone();
            embed(&mut again, "p", &profiles)?;
            prop_assert_eq!(again.to_string(), document.to_string());
            let mut elsewhere = document.clone();
            mark(&mut elsewhere)?;
            prop_assert_eq!(elsewhere.to_string(), document.to_string());
            let mut made = original;
            carry_over(&mut made, &document)?;
            mark(&mut made)?;
            prop_assert_eq!(made.get("profiling"), document.get("profiling"));
            prop_assert_eq!(&made["jobs"], &document["jobs"]);
        }
    }
}
