//! Keeps the profiles of a run: one job at a time as its outcome becomes known.

use std::fs;
use std::path::{Path, PathBuf};

use profiling_core::advise::{Advice, Catalogue, Options, advise};
use profiling_core::evidence::{Evidence, Leftover, Subject};
use profiling_core::history::HistoryEntry;
use profiling_core::job::JobDescriptor;
use profiling_core::origin::Origin;
use profiling_core::profile::{CaseProfile, Params, Profile, SCHEMA, Source};
use profiling_core::samples::SampledCase;
use profiling_core::statistics::{Model, models};
use profiling_core::store::{BuildKind, KeptSamples, LockedStore, Store, StoreError, StoredSamples};
use profiling_core::tangle::blueprint::{DocumentJob, KnownJob, document_jobs};
use profiling_core::tangle::{BlueprintProfiles, JobProfile};

use crate::advisor::Jobs;
use crate::cli::Arguments;
use crate::keep::KeepSamples;
use crate::plan::params;
use crate::roster::Roster;
use crate::session::JobOutcome;
use crate::targets::{self, Missed};
use crate::{Host, environment, origin};

/// What this binary was built for.
const TRIPLE: &str = env!("PROFILING_TARGET");

/// The locked store, and what is known of the blueprint that the profiles are for.
#[derive(Debug)]
pub(crate) struct Shelf {
    store: LockedStore,
    package: &'static str,
    /// What this run measures.
    origin: Origin,
    /// Every job of the package.
    roster: Roster,
    /// The jobs of the package's `blueprint.json`.
    document: Vec<DocumentJob>,
    catalogue: Catalogue,
    advising: Options,
    /// Where each run adds what it has measured.
    history: PathBuf,
    /// For a build with `--target`, the triple's own directory.
    also_in: Vec<PathBuf>,
    /// Which samples to keep.
    keep_samples: KeepSamples,
    /// Where to write stored samples that are too many for memory; the directory for temporary files where none was
    /// named.
    temporary: Option<PathBuf>,
    /// The models of the jobs that were kept so far.
    models: Vec<(&'static str, Vec<Model>)>,
    /// What is said of the jobs whose cases are of several builds or machines.
    mixed: Vec<String>,
    /// The first thing that went wrong; what comes after it is still tried.
    error: Option<StoreError>,
}

impl Shelf {
    /// Waits until no other run measures on this store.
    pub(crate) fn open(
        host: &Host,
        arguments: &Arguments,
        jobs: &[&'static JobDescriptor],
        catalogue: Catalogue,
    ) -> Result<Self, StoreError> {
        let manifest_dir = Path::new(host.manifest_dir);
        let store = locate(host, arguments)?;
        let history = history_path(host, arguments, &store);
        let also_in = cross_build_directory(store.root());
        let store =
            store.lock(|| complain!("Blocking waiting for another run that measures on this target directory"))?;
        let origin = origin::of_run(host, environment::describe(host));
        let store = store.locked_of_build(BuildKind::of(&origin.environment));
        let (roster, error) = Roster::with(&store, manifest_dir, &origin::harness(host), jobs);
        Ok(Self {
            store,
            package: host.package,
            origin,
            roster,
            document: read_document(&manifest_dir.join("blueprint.json")),
            catalogue,
            advising: arguments.advising(),
            history,
            also_in: also_in.into_iter().collect(),
            keep_samples: arguments.keep_samples(),
            temporary: None,
            models: Vec::new(),
            mixed: Vec::new(),
            error,
        })
    }

    /// Names the directory for stored samples that are too many for memory.
    pub(crate) fn spill_to(&mut self, directory: &Path) {
        self.temporary = Some(directory.to_owned());
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The package's profiles that advice is made from.
    pub(crate) fn optimised(&self) -> Store {
        self.store.of_build(BuildKind::Optimised)
    }

    /// What this run measures.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The models of every job that was kept, in the order of the run.
    pub(crate) fn models(&self) -> &[(&'static str, Vec<Model>)] {
        &self.models
    }

    pub(crate) fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    pub(crate) fn roster(&self) -> &Roster {
        &self.roster
    }

    /// These jobs, with those of the document.
    pub(crate) fn jobs<'a>(&'a self, known: &'a [KnownJob<'a>]) -> Jobs<'a> {
        Jobs { known, document: &self.document }
    }

    /// The places that a run writes to.
    pub(crate) fn writes_to(&self) -> Vec<PathBuf> {
        let files = self.also_in.iter().map(|directory| directory.join("blueprint-profiles.json"));
        let own =
            [self.store.root().to_owned(), self.store.profiling_directory(), self.store.blueprint_profiles_path()];
        own.into_iter().chain([self.history.clone()]).chain(files).collect()
    }

    /// Stores what came of a job; nothing of one that was only too noisy. One that failed loses the profile of an
    /// earlier, better day at once, in every file. Returns the targets that the job misses.
    pub(crate) fn keep(&mut self, outcome: &JobOutcome<'_>) -> Vec<Missed> {
        let mut missed = Vec::new();
        let kept = match Fresh::of(outcome) {
            Some(fresh) => self.save(outcome, fresh, &mut missed),
            None if outcome.only_others() => Ok(()),
            None => self.store.remove(outcome.selected.job.name).and_then(|()| match self.store.build() {
                BuildKind::Optimised => self.write_blueprint_profiles(),
                BuildKind::Unoptimised => Ok(()),
            }),
        };
        self.note(kept);
        missed
    }

    /// Drops the profiles of jobs that no harness has any more.
    pub(crate) fn drop_unregistered(&mut self) {
        let dropped = self.roster.drop_unregistered(&self.store);
        self.note(dropped);
    }

    /// Writes what is written once per run, and says what went wrong in the whole of it.
    pub(crate) fn finish(&mut self) -> Result<(), StoreError> {
        let dropped = self.roster.drop_replaced(&self.store);
        self.note(dropped);
        let written = self.write_blueprint_profiles();
        self.note(written);
        for line in &self.mixed {
            complain!("warning: {line}");
        }
        let written = self.roster.write(&self.store);
        self.note(written);
        self.error.take().map_or(Ok(()), Err)
    }

    fn note(&mut self, result: Result<(), StoreError>) {
        if let Err(error) = result {
            self.error.get_or_insert(error);
        }
    }

    fn write_blueprint_profiles(&self) -> Result<(), StoreError> {
        let (known, document, also_in) = (self.roster.known(), &self.document, &self.also_in);
        if self.store.build() == BuildKind::Optimised {
            return self.store.write_blueprint_profiles(&known, document, also_in).map(|_| ());
        }
        // It is of optimised profiles alone. This run may know of a job that the file lacks; one of another package
        // stays.
        let written = BlueprintProfiles::load_from_file(self.store.blueprint_profiles_path());
        if written.is_ok_and(|written| written.blueprint_name != self.package) {
            return Ok(());
        }
        let optimised = self.store.locked_of_build(BuildKind::Optimised);
        optimised.write_blueprint_profiles(&known, document, also_in).map(|_| ())
    }

    fn save(&mut self, outcome: &JobOutcome<'_>, fresh: Fresh<'_>, missed: &mut Vec<Missed>) -> Result<(), StoreError> {
        let job = outcome.selected.job;
        let entry = |case| HistoryEntry::of(job.name, case, &self.origin.environment);
        let entries: Vec<HistoryEntry> = fresh.cases.iter().map(entry).collect();
        let most = self.keep_samples.most();
        let measured = fresh.samples.clone();
        let (profile, stored) = self.advised(job, fresh)?;
        let is_measured = |params: &Params| measured.iter().any(|case| case.params == params);
        // What an earlier run has kept stays as it is.
        let stored: Vec<KeptSamples<'_>> = stored
            .cases()
            .into_iter()
            .filter(|case| !is_measured(case.params))
            .map(|case| KeptSamples { case, most: usize::MAX })
            .collect();
        let all: Vec<KeptSamples<'_>> = measured.iter().map(|&case| KeptSamples { case, most }).chain(stored).collect();
        let kept = |case: &CaseProfile| all.iter().find(|kept| *kept.case.params == case.params).copied();
        let samples: Vec<KeptSamples<'_>> = profile.cases.iter().filter_map(kept).collect();
        missed.extend(profile.advice.iter().flat_map(|advice| targets::missed(job, advice)));
        self.store.save(&profile, &samples)?;
        let mixture = profile.mixture();
        self.mixed.extend(mixture.map(|mixture| {
            format!("{}: {mixture}: nothing relies on it until all of them are measured again: --exact {0}", job.name)
        }));
        self.models.push((job.name, profile.models));
        self.store.append_history(&self.history, &entries)
    }

    /// What would be stored as advice for a job now; `None` where there is nothing to store.
    pub(crate) fn advice(&self, outcome: &JobOutcome<'_>) -> Option<Advice> {
        // What is wrong with the store is said when it is written to.
        self.advised(outcome.selected.job, Fresh::of(outcome)?).ok()?.0.advice
    }

    /// The profile of a job with its advice, and the samples of earlier runs.
    fn advised(&self, job: &'static JobDescriptor, fresh: Fresh<'_>) -> Result<(Profile, StoredSamples), StoreError> {
        // A run of some cases replaces these and leaves the others.
        let partial = fresh.cases.len() < job.cases.len();
        let before = if partial { self.store.load(job.name)? } else { None };
        let stored = match before {
            Some(_) => self.store.samples(job.name, self.temporary.as_deref())?,
            None => StoredSamples::default(),
        };
        // Those of this run come first, where both have a case.
        let samples: Vec<SampledCase<'_>> = fresh.samples.iter().copied().chain(stored.cases()).collect();
        let mut profile = merge(self.package, job, fresh.cases, before, &self.origin);
        let unread = |reason| StoreError::samples(&self.store, job.name)(reason);
        if profile.mixture().is_none() {
            profile.models = models(&profile.cases, &samples).map_err(unread)?;
        }
        profile.advice = Some(advise(&profile, &samples, &self.catalogue, &self.advising).map_err(unread)?);
        Ok((profile, stored))
    }
}

/// Where the history of the package lies, relative to which what the user names is.
pub(crate) fn history_path(host: &Host, arguments: &Arguments, store: &Store) -> PathBuf {
    let chosen = arguments.history_file().map(|path| Path::new(host.manifest_dir).join(path));
    chosen.unwrap_or_else(|| store.history_path())
}

/// What a run has measured of one job.
#[derive(Debug)]
struct Fresh<'a> {
    cases: Vec<CaseProfile>,
    samples: Vec<SampledCase<'a>>,
}

impl<'a> Fresh<'a> {
    /// `None` where a case failed.
    fn of(outcome: &JobOutcome<'a>) -> Option<Self> {
        let mut fresh = Self { cases: Vec::new(), samples: Vec::new() };
        for (report, measured) in outcome.runs {
            let (Ok(case), Some(measured)) = (&report.result, measured) else { return None };
            fresh.samples.push(SampledCase { params: &case.params, samples: &measured.samples });
            fresh.cases.push(case.clone());
        }
        Some(fresh)
    }
}

/// The job's profile: fresh cases where there are any, stored ones else, in the order of the attribute. Stored cases that the job no longer has are left out.
fn merge(
    package: &str,
    job: &'static JobDescriptor,
    mut fresh: Vec<CaseProfile>,
    stored: Option<Profile>,
    origin: &Origin,
) -> Profile {
    let mut stale = Vec::new();
    if let Some(mut profile) = stored {
        told_before(&mut profile);
        let origins: Vec<Origin> = profile.cases.iter().map(|case| profile.origin_of(case).to_owned()).collect();
        profile.cases.iter_mut().zip(origins).for_each(|(case, origin)| case.origin = Some(origin));
        let is_new = |params: &Params| !fresh.iter().any(|case| case.params == *params);
        let cases: Vec<CaseProfile> = profile.cases.drain(..).filter(|case| is_new(&case.params)).collect();
        let is_other =
            |case: &CaseProfile| case.origin.as_ref().is_some_and(|own| own.fingerprint != origin.fingerprint);
        if cases.iter().any(is_other) {
            // No one build has all of these cases: it takes a run of all to know what they cost.
            stale = std::mem::take(&mut profile.stale);
        }
        fresh.extend(cases);
    }
    let order: Vec<Params> = job.cases().map(params).collect();
    let position = |params: &Params| order.iter().position(|known| known == params);
    fresh.retain(|case| position(&case.params).is_some());
    fresh.sort_by_key(|case| position(&case.params));
    let missing_cases = order.iter().filter(|params| !fresh.iter().any(|case| case.params == **params)).cloned();
    let evidence: Evidence = fresh.iter().flat_map(|case| case.evidence.findings()).cloned().collect();
    let mut profile = Profile {
        schema: SCHEMA.to_owned(),
        package: package.to_owned(),
        job: job.name.to_owned(),
        id: job.id,
        source: Source { file: job.source.file.to_owned(), line: job.source.line },
        targets: job.targets.iter().map(|&target| target.to_owned()).collect(),
        summary: JobProfile::of(
            &fresh,
            job.stateful || evidence.is_seen(Subject::State),
            job.persistent_connections || evidence.is_seen(Subject::Connections),
        ),
        stateful_evidence: evidence.sentences(Subject::State),
        connection_evidence: evidence.sentences(Subject::Connections),
        noise: fresh.iter().filter_map(|case| case.noise.as_ref()).max_by_key(|noise| noise.grade).cloned(),
        missing_cases: missing_cases.collect(),
        models: Vec::new(),
        cases: fresh,
        environment: origin.environment.clone(),
        fingerprint: None,
        harness: None,
        executable: None,
        stale,
        advice: None,
    };
    profile.set_origin(origin);
    profile
}

/// Gives the sentences of a profile that has no other evidence to every one of its cases: an older release didn't
/// write down which of them had shown it.
fn told_before(profile: &mut Profile) {
    if profile.cases.iter().any(|case| !case.evidence.is_empty()) {
        return;
    }
    let told = |about, sentences: &[String]| {
        let told = |sentence: &String| Leftover::Told { about, sentence: sentence.clone() }.seen();
        sentences.iter().map(told).collect::<Evidence>()
    };
    let mut evidence = told(Subject::State, &profile.stateful_evidence);
    evidence.add(told(Subject::Connections, &profile.connection_evidence));
    profile.cases.iter_mut().for_each(|case| case.evidence.clone_from(&evidence));
}

/// The jobs that the package's document lists; none where there is no such document yet. One that can't
/// be read is for `build.rs` to refuse.
pub(crate) fn read_document(path: &Path) -> Vec<DocumentJob> {
    let Ok(text) = fs::read(path) else { return Vec::new() };
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&text);
    let jobs = serde_json::from_slice(text)
        .map_err(|error| error.to_string())
        .and_then(|document| document_jobs(&document).map_err(|error| error.to_string()));
    jobs.unwrap_or_else(|reason| {
        complain!("warning: `{}` is no blueprint: {reason}", path.display());
        Vec::new()
    })
}

/// The store of the package.
pub(crate) fn locate(host: &Host, arguments: &Arguments) -> Result<Store, StoreError> {
    Store::locate(Path::new(host.manifest_dir), host.package, arguments.out.as_deref(), Some(TRIPLE))
}

/// `<target>/<triple>`, where this binary was built with `--target`.
fn cross_build_directory(target_directory: &Path) -> Option<PathBuf> {
    cross_build_directory_of(&std::env::current_exe().ok()?, target_directory)
}

fn cross_build_directory_of(executable: &Path, target_directory: &Path) -> Option<PathBuf> {
    // <target>/<triple>/<profile>/deps/<executable>
    let of_triple = executable.ancestors().nth(3).filter(|directory| directory.ends_with(TRIPLE))?;
    // One that happens to be called so may be the whole.
    (of_triple != target_directory).then(|| target_directory.join(TRIPLE))
}

#[cfg(test)]
mod tests {
    use profiling_core::fingerprint::{Change, Fingerprint};
    use profiling_core::job::{Case, Param, ParamValue};
    use profiling_core::profile::{Circumstances, Environment};
    use profiling_core::sample::Sample;

    use super::*;

    #[test]
    fn a_triple_is_taken_once() {
        let found = |below: &str, target: &str| {
            cross_build_directory_of(&Path::new(below).join("debug/deps/x"), Path::new(target))
        };
        let of_triple = format!("/t/{TRIPLE}");
        assert_eq!(found(&of_triple, "/t"), Some(of_triple.clone().into()));
        assert_eq!(found("/t", "/t"), None);
        assert_eq!(found(&of_triple, &of_triple), None);
        assert_eq!(
            found(&format!("/build/{TRIPLE}"), "/t"),
            Some(of_triple.into()),
            "with a build directory elsewhere"
        );
    }

    static PARAMS: [Param; 1] = [Param { name: "n", values: &[ParamValue::Integer(1), ParamValue::Integer(2)] }];
    static JOB: JobDescriptor =
        JobDescriptor { name: "sort", id: Some(0), params: &PARAMS, cases: &[&[0], &[1]], ..JobDescriptor::PLAIN };

    fn origin(time: &str, fingerprint: Option<Fingerprint>) -> Origin {
        let environment = Environment {
            profiled_at: time.to_owned(),
            os: String::new(),
            arch: String::new(),
            target: String::new(),
            cpu_model: None,
            logical_cpus: None,
            memory_bytes: None,
            rustc: String::new(),
            opt_level: "3".to_owned(),
            debug_assertions: false,
            git_commit: None,
            measurement_overhead_ns: None,
        };
        Origin { environment, fingerprint, harness: None, executable: Some("1".to_owned()) }
    }

    fn taken(hash: &str) -> Fingerprint {
        Fingerprint {
            sources: [("zoo".to_owned(), hash.to_owned())].into(),
            dependencies: String::new(),
            features: Vec::new(),
            toolchain: String::new(),
            opt_level: "3".to_owned(),
        }
    }

    fn fresh(case: usize, wall_ns: u64) -> Vec<CaseProfile> {
        let params = params(Case { job: &JOB, index: case });
        let figures = Sample { wall_ns, peak_rss_bytes: Some(1), ..Sample::default() };
        vec![CaseProfile::of(params, &[figures, figures], &Circumstances::default()).expect("samples")]
    }

    #[test]
    fn a_case_replaces_its_like_and_leaves_the_others() {
        let first = merge("zoo", &JOB, fresh(1, 5_000_000), None, &origin("a", None));
        assert_eq!((first.cases.len(), first.missing_cases.len()), (1, 1), "the other case is not measured yet");
        let second = merge("zoo", &JOB, fresh(0, 1_000_000), Some(first), &origin("b", None));
        assert_eq!((second.cases.len(), second.missing_cases.len()), (2, 0));
        assert_eq!(second.cases[0].params["n"], 1, "in the order of the attribute");
        assert_eq!(second.summary.as_ref().map(|summary| summary.p99_duration_ms), Some(5));
        let third = merge("zoo", &JOB, fresh(1, 2_000_000), Some(second), &origin("c", None));
        assert_eq!(third.cases.len(), 2);
        assert_eq!(third.summary.map(|summary| summary.p99_duration_ms), Some(2));
        assert_eq!(third.environment.profiled_at, "c");
    }

    fn leaves_a_file(mut fresh: Vec<CaseProfile>, path: &str) -> Vec<CaseProfile> {
        fresh[0].evidence.extend([Leftover::File { path: path.to_owned() }.seen()]);
        fresh
    }

    #[test]
    fn evidence_goes_with_its_case() {
        let merge = |fresh, stored| merge("zoo", &JOB, fresh, stored, &origin("a", None));
        let stateful = |profile: &Profile| profile.summary.as_ref().map(|summary| summary.stateful);
        let first = merge(leaves_a_file(fresh(0, 5), "/a"), None);
        let both = merge(leaves_a_file(fresh(1, 5), "/b"), Some(first));
        assert_eq!(both.stateful_evidence, ["leaves the file /a behind", "leaves the file /b behind"]);
        let other = merge(fresh(0, 5), Some(both));
        assert_eq!(
            (&*other.stateful_evidence, stateful(&other)),
            (&["leaves the file /b behind".to_owned()][..], Some(true))
        );
        let mended = merge(fresh(1, 5), Some(other));
        assert_eq!((mended.stateful_evidence, mended.summary.map(|summary| summary.stateful)), (vec![], Some(false)));
    }

    #[test]
    fn sentences_of_an_older_release_stay_as_long_as_a_case_of_it() {
        let merge = |fresh, stored| merge("zoo", &JOB, fresh, stored, &origin("a", None));
        let mut old = merge(fresh(0, 5), Some(merge(fresh(1, 5), None)));
        old.stateful_evidence = vec!["leaves the file /x behind".to_owned()];
        old.connection_evidence = vec!["listens on 127.0.0.1:1".to_owned()];
        let sentences = |profile: &Profile| (profile.stateful_evidence.clone(), profile.connection_evidence.clone());
        let told = sentences(&old);
        for _ in 0..2 {
            old = merge(leaves_a_file(fresh(0, 5), "/a"), Some(old));
            assert_eq!(old.stateful_evidence.len(), 2, "{:?}", old.stateful_evidence);
            old = merge(fresh(0, 5), Some(old));
            assert_eq!(sentences(&old), told);
        }
        let new = merge(fresh(1, 5), Some(old));
        assert_eq!(sentences(&new), (vec![], vec![]));
    }

    #[test]
    fn cases_of_different_sources_have_no_common_fingerprint() {
        let merge = |case, stored, hash| merge("zoo", &JOB, fresh(case, 5), stored, &origin("a", Some(taken(hash))));
        let mut first = merge(0, None, "old");
        assert_eq!(first.fingerprint, Some(taken("old")));
        first.stale.push(Change::Sources);
        let again = merge(1, Some(first.clone()), "old");
        assert_eq!((&again.fingerprint, &*again.stale), (&Some(taken("old")), &[][..]), "it is of what is built again");
        let mixed = merge(1, Some(first), "new");
        assert_eq!((&mixed.fingerprint, &*mixed.stale), (&None, &[Change::Sources][..]));
        assert!(mixed.mixture().is_some());
        let whole = merge(0, Some(mixed), "new");
        assert_eq!((&whole.fingerprint, whole.mixture()), (&Some(taken("new")), None), "every case is of it again");
    }

    #[test]
    fn each_case_keeps_the_time_and_the_build_it_is_of() {
        let first = merge("zoo", &JOB, fresh(0, 5), None, &origin("a", None));
        let mut later = origin("b", None);
        later.environment.opt_level = "2".to_owned();
        let mixed = merge("zoo", &JOB, fresh(1, 5), Some(first), &later);
        let origins: Vec<_> =
            mixed.cases.iter().map(|case| mixed.origin_of(case).environment.opt_level.clone()).collect();
        assert_eq!(
            (&origins[..], mixed.environment.profiled_at.as_str()),
            (&["3".to_owned(), "2".to_owned()][..], "b")
        );
        assert!(mixed.mixture().is_some() && mixed.models.is_empty());
        let third = merge("zoo", &JOB, fresh(0, 5), Some(mixed), &later);
        assert_eq!((third.mixture(), third.cases[0].origin.is_none()), (None, true));
    }

    #[test]
    fn a_case_that_the_job_no_longer_has_is_dropped() {
        let mut stored = merge("zoo", &JOB, fresh(1, 5), None, &origin("a", None));
        let mut old = Params::new();
        old.insert("n".to_owned(), 99.into());
        stored.cases[0].params = old;
        let profile = merge("zoo", &JOB, fresh(0, 5), Some(stored), &origin("b", None));
        assert_eq!(profile.cases.len(), 1);
    }
}
