//! Where profiles lie on disk.
//!
//! | file | what |
//! |---|---|
//! | `<target>/profiling/<package>/<job>.json` | a job's [`Profile`] |
//! | `<target>/profiling/<package>/<job>.samples.jsonl.gz` | its samples, one [`SampleRecord`](crate::profile::SampleRecord) a line |
//! | `<target>/blueprint-profiles.json` | the package that was profiled last, for Tangle's manager |
//! | `<target>/profiling/.history/<package>.jsonl` | what each run has measured: one [`HistoryEntry`](crate::history::HistoryEntry) a line |
//! | `<target>/profiling/.unoptimised/<package>/…` | profiles and samples of builds without optimisation |
//! | `<target>/profiling/.jobs/<package>.json` | its jobs, profiled or not: [`RegisteredJob`]s |
//! | `<target>/profiling/.lock` | held by whoever measures or writes |
//!
//! A package's directory exists once a run of its jobs has written, or dropped, a profile. A job's name
//! is its file's name if it is made of lower-case letters, digits, `_`, `-` and inner dots; what is
//! readable of another name is followed by `~` and a hash. The name within the file is the truth.
//!
//! Every file changes as a whole or not at all, so that reading needs no lock; but for the history, which grows.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
#[cfg(feature = "build")]
use std::time::SystemTime;

use serde::Deserialize;

use crate::environment::Environment;
use crate::profile::{Profile, SCHEMA};
use crate::tangle::blueprint::{DocumentJob, KnownJob};
use crate::tangle::{BlueprintProfiles, HIGHEST_ID};

pub(crate) mod atomic;
mod error;
mod history;
mod lines;
mod manifest;
mod names;
mod roster;
mod samples;
pub(crate) mod target;
#[cfg(test)]
pub(crate) mod tests;

pub use atomic::{write as replace_file, write_with as replace_file_with};
pub use error::StoreError;
use error::io_error;
pub use history::History;
pub use manifest::Manifest;
pub use roster::{RegisteredJob, registered_with};
pub use samples::{KeptSamples, StoredSamples};

/// The environment variable that names a directory in place of cargo's target directory.
pub const OUT_VARIABLE: &str = "PROFILING_OUT";

/// Where profiles of builds without optimisation are kept apart.
const UNOPTIMISED: &str = ".unoptimised";
const BLUEPRINT_PROFILES: &str = "blueprint-profiles.json";
const PROFILE_SUFFIX: &str = ".json";
const SAMPLES_SUFFIX: &str = ".samples.jsonl.gz";
/// As older releases have written them.
const PLAIN_SAMPLES_SUFFIX: &str = ".samples.jsonl";

/// The profiles of one package.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    package: String,
    build: BuildKind,
}

/// Which profiles of a package a [`Store`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildKind {
    /// Those of optimised builds, which say something about production.
    Optimised,
    /// The others: nothing is embedded, advised or compared of them, unless they are asked for by name.
    Unoptimised,
}

impl BuildKind {
    /// The kind of the build that figures of `environment` come from.
    #[must_use]
    pub fn of(environment: &Environment) -> Self {
        if environment.is_optimised() { Self::Optimised } else { Self::Unoptimised }
    }
}

impl Store {
    /// The store of `package` in cargo's target directory, or in the directory that replaces it.
    pub fn new(target_dir: impl Into<PathBuf>, package: &str) -> Self {
        Self { root: target_dir.into(), package: package.to_owned(), build: BuildKind::Optimised }
    }

    /// The package's profiles of builds of another kind.
    #[must_use]
    pub fn of_build(&self, build: BuildKind) -> Self {
        Self { build, ..self.clone() }
    }

    /// Of what builds these profiles are.
    #[must_use]
    pub fn build(&self) -> BuildKind {
        self.build
    }

    /// The store of the package at `manifest_dir`: in `out`, which is relative to `manifest_dir`, or else
    /// in cargo's target directory. `triple`: what this executable may have been built for with `--target`.
    ///
    /// On a machine that doesn't have the package, `out` is relative to the current directory.
    pub fn locate(
        manifest_dir: &Path,
        package: &str,
        out: Option<&Path>,
        triple: Option<&str>,
    ) -> Result<Self, StoreError> {
        let out = out.filter(|out| !out.as_os_str().is_empty()).map(|out| Ok(target::base(manifest_dir).join(out)));
        Ok(Self::new(out.unwrap_or_else(|| Self::target_directory(manifest_dir, triple))?, package))
    }

    /// Cargo's target directory for the package at `manifest_dir`, as `cargo metadata` names it.
    ///
    /// Where cargo can't tell, it is the one of `CARGO_TARGET_DIR`, or else the one that this executable lies in:
    /// in that itself, or in the directory of the builds for `triple` in it. Where it lies in none, its own.
    pub fn target_directory(manifest_dir: &Path, triple: Option<&str>) -> Result<PathBuf, StoreError> {
        target::directory(manifest_dir, triple)
    }

    /// The target directory, or the one that replaces it.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The package's directory. It may not exist yet.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        let directory = self.profiling_directory();
        let directory = match self.build {
            BuildKind::Optimised => directory,
            BuildKind::Unoptimised => directory.join(UNOPTIMISED),
        };
        directory.join(names::file_stem(&self.package))
    }

    /// The directory of all packages.
    #[must_use]
    pub fn profiling_directory(&self) -> PathBuf {
        self.root.join("profiling")
    }

    /// Where the profile of a job lies.
    #[must_use]
    pub fn profile_path(&self, job: &str) -> PathBuf {
        self.directory().join(names::file_stem(job) + PROFILE_SUFFIX)
    }

    /// Where the samples of a job lie.
    #[must_use]
    pub fn samples_path(&self, job: &str) -> PathBuf {
        self.directory().join(names::file_stem(job) + SAMPLES_SUFFIX)
    }

    /// Where the samples of a job lie that an older release has written, which didn't compress them.
    #[must_use]
    pub fn plain_samples_path(&self, job: &str) -> PathBuf {
        self.directory().join(names::file_stem(job) + PLAIN_SAMPLES_SUFFIX)
    }

    /// Where the profiles for Tangle's manager lie.
    #[must_use]
    pub fn blueprint_profiles_path(&self) -> PathBuf {
        self.root.join(BLUEPRINT_PROFILES)
    }

    /// Whether a run of this package's jobs has written here, be it that they all failed.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.directory().is_dir()
    }

    /// The profiles of all jobs, by name; none where nothing was profiled.
    pub fn load_all(&self) -> Result<Vec<Profile>, StoreError> {
        let profiles = self.profile_files()?.into_iter().map(|path| read_profile(&path));
        let mut profiles = profiles.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?;
        profiles.sort_by(|a, b| a.job.cmp(&b.job));
        Ok(profiles)
    }

    /// A job's profile; `None` if it has none.
    pub fn load(&self, job: &str) -> Result<Option<Profile>, StoreError> {
        Ok(read_profile(&self.profile_path(job))?.filter(|profile| profile.job == job))
    }

    /// A job's samples, as far as they were kept. Those that are too many for memory go to files in `temporary`, or
    /// in the directory for temporary files, which are removed with the result.
    pub fn samples(&self, job: &str, temporary: Option<&Path>) -> Result<StoredSamples, StoreError> {
        StoredSamples::read(&[&self.samples_path(job), &self.plain_samples_path(job)], temporary)
    }

    /// Waits until no other process measures or writes, and keeps others from it until the result is
    /// dropped or this process ends. Calls `on_wait` first if it has to wait.
    pub fn lock(&self, on_wait: impl FnOnce()) -> Result<LockedStore, StoreError> {
        let (file, path) = self.open_lock()?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                on_wait();
                file.lock().map_err(io_error("lock", &path))?;
            }
            Err(TryLockError::Error(reason)) => return Err(io_error("lock", &path)(reason)),
        }
        [self.root(), &self.profiling_directory(), &self.directory()].into_iter().for_each(atomic::sweep);
        Ok(LockedStore::new(self, file))
    }

    /// Like [`lock`](Self::lock), but `None` if it would have to wait.
    pub fn try_lock(&self) -> Result<Option<LockedStore>, StoreError> {
        let (file, path) = self.open_lock()?;
        match file.try_lock() {
            Ok(()) => Ok(Some(LockedStore::new(self, file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(reason)) => Err(io_error("lock", &path)(reason)),
        }
    }

    fn open_lock(&self) -> Result<(File, PathBuf), StoreError> {
        let directory = self.profiling_directory();
        fs::create_dir_all(&directory).map_err(io_error("create", &directory))?;
        let path = directory.join(".lock");
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        Ok((file.map_err(io_error("open", &path))?, path))
    }

    /// The package's profiles for Tangle's manager, complete up to the highest id of `known`, of
    /// `document`, and of what is already written for this package. `None` where there are no ids.
    pub fn blueprint_profiles(
        &self,
        known: &[KnownJob<'_>],
        document: &[DocumentJob],
    ) -> Result<Option<BlueprintProfiles>, StoreError> {
        self.complete(&self.load_all()?, known, document)
    }

    fn complete(
        &self,
        profiles: &[impl Borrow<Profile>],
        known: &[KnownJob<'_>],
        document: &[DocumentJob],
    ) -> Result<Option<BlueprintProfiles>, StoreError> {
        // Embedding may have written ids that only the document has.
        let written = BlueprintProfiles::load_from_file(self.blueprint_profiles_path()).ok();
        let own = written.filter(|written| written.blueprint_name == self.package);
        let highest = own.and_then(|own| own.jobs.into_keys().filter(|&id| id <= HIGHEST_ID).max());
        let complete = BlueprintProfiles::of(&self.package, profiles, known, document, highest)
            .map_err(|reason| StoreError::BlueprintProfiles { path: self.blueprint_profiles_path(), reason })?;
        Ok(Some(complete).filter(|complete| !complete.jobs.is_empty()))
    }

    /// Every file that a job may have.
    fn paths(&self, job: &str) -> [PathBuf; 3] {
        [self.profile_path(job), self.samples_path(job), self.plain_samples_path(job)]
    }

    fn files(&self) -> Result<Vec<PathBuf>, StoreError> {
        let directory = self.directory();
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(io_error("read", &directory))?,
        };
        entries.map(|entry| entry.map(|entry| entry.path()).map_err(io_error("read", &directory))).collect()
    }

    fn profile_files(&self) -> Result<Vec<PathBuf>, StoreError> {
        let is_profile = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
        Ok(self.files()?.into_iter().filter(is_profile).collect())
    }
}

/// A [`Store`] that no other process writes to.
#[derive(Debug)]
pub struct LockedStore {
    store: Store,
    /// What is in the files that were read or written under this lock.
    profiles: RefCell<HashMap<PathBuf, Profile>>,
    held: Arc<File>,
}

impl Deref for LockedStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl LockedStore {
    fn new(store: &Store, lock: File) -> Self {
        Self { store: store.clone(), profiles: RefCell::default(), held: Arc::new(lock) }
    }

    /// The package's profiles of builds of another kind, under the same lock.
    #[must_use]
    pub fn locked_of_build(&self, build: BuildKind) -> Self {
        Self { store: self.store.of_build(build), profiles: RefCell::default(), held: Arc::clone(&self.held) }
    }

    /// Writes a job's profile and samples, both or neither; without samples, none remain.
    pub fn save(&self, profile: &Profile, samples: &[KeptSamples<'_>]) -> Result<(), StoreError> {
        self.create_directory()?;
        let (path, samples_path) = (self.profile_path(&profile.job), self.samples_path(&profile.job));
        let any = samples.iter().any(|kept| kept.most > 0 && !kept.case.samples.is_empty());
        let staged_samples = any.then(|| atomic::stage(&samples_path, |file| samples::write(file, profile, samples)));
        let staged_samples = staged_samples.transpose().map_err(io_error("write", &samples_path))?;
        let staged_profile = atomic::stage(&path, |file| {
            lines::write(file, profile)?;
            file.write_all(b"\n")
        });
        let staged_profile = staged_profile.map_err(io_error("write", &path))?;
        match staged_samples {
            Some(staged) => staged.commit().map_err(io_error("write", &samples_path))?,
            None => remove_file(&samples_path)?,
        }
        remove_file(&self.plain_samples_path(&profile.job))?;
        staged_profile.commit().map_err(io_error("write", &path))?;
        self.profiles.borrow_mut().insert(path, profile.clone());
        Ok(())
    }

    /// Replaces a job's profile and leaves its samples. The file and the directory get the given time of
    /// modification: cargo runs a build script again if something is newer that it watches.
    #[cfg(feature = "build")]
    pub(crate) fn replace_profile(&self, profile: &Profile, modified: SystemTime) -> Result<(), StoreError> {
        let path = self.profile_path(&profile.job);
        let staged = atomic::stage(&path, |file| {
            lines::write(file, profile)?;
            file.write_all(b"\n")
        });
        let replaced = staged.and_then(|staged| {
            staged.file().set_modified(modified)?;
            staged.commit()?;
            atomic::set_modified(&self.directory(), modified)
        });
        replaced.map_err(io_error("write", &path))?;
        self.profiles.borrow_mut().insert(path, profile.clone());
        Ok(())
    }

    /// Reads those profiles that were neither read nor written yet. Returns why one can't be read.
    fn read_profiles(&self) -> Option<StoreError> {
        let paths = match self.profile_files() {
            Ok(paths) => paths,
            Err(error) => return Some(error),
        };
        let mut before = self.profiles.take();
        let mut first_error = None;
        let mut profiles = HashMap::with_capacity(paths.len());
        for path in paths {
            match before.remove(&path).map_or_else(|| read_profile(&path), |profile| Ok(Some(profile))) {
                Ok(profile) => profiles.extend(profile.map(|profile| (path, profile))),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        self.profiles.replace(profiles);
        first_error
    }

    /// Drops a job's profile and samples, if there are any.
    pub fn remove(&self, job: &str) -> Result<(), StoreError> {
        // Also where nothing was written before: it tells that the job ran, and has no profile.
        self.create_directory()?;
        remove_file(&self.profile_path(job))?;
        remove_file(&self.plain_samples_path(job))?;
        remove_file(&self.samples_path(job))
    }

    /// Drops the profiles and samples of all jobs but these.
    pub fn retain<'a>(&self, jobs: impl IntoIterator<Item = &'a str>) -> Result<(), StoreError> {
        let kept: HashSet<PathBuf> = jobs.into_iter().flat_map(|job| self.paths(job)).collect();
        self.create_directory()?;
        let ours = |path: &&PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            [PROFILE_SUFFIX, SAMPLES_SUFFIX, PLAIN_SAMPLES_SUFFIX].iter().any(|suffix| name.ends_with(suffix))
        };
        self.files()?.iter().filter(ours).filter(|path| !kept.contains(*path)).try_for_each(|path| remove_file(path))
    }

    /// Drops the profiles of jobs that are no longer among `known` and whose id is now another job's, as it
    /// is where a job was renamed.
    pub fn remove_replaced(&self, known: &[KnownJob<'_>]) -> Result<(), StoreError> {
        let current: HashSet<PathBuf> = known.iter().map(|(job, _)| self.profile_path(job)).collect();
        // A damaged one is reported where the profiles are put to use.
        let _ = self.read_profiles();
        let replaced = |profile: &Profile| profile.id.is_some() && known.iter().any(|&(_, id)| id == profile.id);
        let profiles = self.profiles.borrow();
        let mut dropped = profiles.iter().filter(|&(path, profile)| !current.contains(path) && replaced(profile));
        dropped.try_for_each(|(_, profile)| self.remove(&profile.job))
    }

    /// Rebuilds `blueprint-profiles.json` in the target directory and in each directory of `also_in` (for
    /// a build with `--target`, `<target>/<triple>`), and returns the files. Where no job has an id, it
    /// removes them: readers take a job that isn't listed for one that fits.
    ///
    /// `known` are the jobs of the binary, `document` those of `blueprint.json`, as far as it is known.
    ///
    /// Where a profile of the store can't be read, the files are written without it before that error is
    /// returned.
    pub fn write_blueprint_profiles(
        &self,
        known: &[KnownJob<'_>],
        document: &[DocumentJob],
        also_in: &[PathBuf],
    ) -> Result<Vec<PathBuf>, StoreError> {
        let also_in = also_in.iter().map(|directory| directory.join(BLUEPRINT_PROFILES));
        let paths: Vec<PathBuf> = [self.blueprint_profiles_path()].into_iter().chain(also_in).collect();
        // A damaged profile is no reason to keep what the file says of others.
        let damaged = self.read_profiles();
        let profiles = self.profiles.borrow();
        let Some(profiles) = self.complete(&profiles.values().collect::<Vec<_>>(), known, document)? else {
            paths.iter().try_for_each(|path| remove_file(path))?;
            return damaged.map_or(Ok(Vec::new()), Err);
        };
        for path in &paths {
            let json = profiles.to_json();
            let json = json.map_err(|reason| StoreError::BlueprintProfiles { path: path.clone(), reason })?;
            atomic::write(path, json.as_bytes()).map_err(io_error("write", path))?;
        }
        damaged.map_or(Ok(paths), Err)
    }

    fn create_directory(&self) -> Result<(), StoreError> {
        let directory = self.directory();
        fs::create_dir_all(&directory).map_err(io_error("create", &directory))
    }
}

fn remove_file(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(io_error("remove", path)),
    }
}

fn read_profile(path: &Path) -> Result<Option<Profile>, StoreError> {
    #[derive(Deserialize)]
    struct Versioned {
        schema: String,
    }
    let Some(text) = read(path)? else { return Ok(None) };
    let damaged = |error: serde_json::Error| StoreError::Damaged { path: path.to_owned(), reason: error.to_string() };
    match serde_json::from_slice::<Profile>(&text) {
        Ok(profile) if profile.schema == SCHEMA => Ok(Some(profile)),
        Ok(Profile { schema: found, .. }) => Err(StoreError::UnknownSchema { path: path.to_owned(), found }),
        Err(error) => match serde_json::from_slice(&text) {
            Ok(Versioned { schema: found }) if found != SCHEMA => {
                Err(StoreError::UnknownSchema { path: path.to_owned(), found })
            }
            _ => Err(damaged(error)),
        },
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some).map_err(io_error("read", path)),
    }
}
