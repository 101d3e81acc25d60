//! Kept baselines: named sets of profiles with their samples, and the binary that measured them.
//!
//! A baseline is a directory, `<target>/profiling/.baselines/<package>/<name>`:
//!
//! | file | what |
//! |---|---|
//! | `baseline.json` | the [`Manifest`], which names every other file with its length and hash |
//! | `harness` | the test binary |
//! | `profiling/<package>/…` | profiles and samples, as in the store |
//!
//! It is put together beside its place and renamed, so that there is always a whole one or none.

use std::fs::{self, File};
use std::hash::Hasher;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use profiling_core::job::JobDescriptor;
use profiling_core::profile::{Environment, Params, Profile};
use profiling_core::sample::Sample;
use profiling_core::store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use thiserror::Error;
use twox_hash::XxHash64;

use crate::binary::HeldBinary;
use crate::plan::params;
use crate::wire::PROTOCOL;

pub(crate) mod archive;
mod packing;

/// What [`Manifest::schema`] names.
const SCHEMA: &str = "profiling.baseline/1";
const MANIFEST: &str = "baseline.json";
const HARNESS: &str = "harness";
/// A manifest is a list of jobs and files; what is longer is none.
const LONGEST_MANIFEST: u64 = 64 << 20;

/// Why a baseline can't be used or kept.
#[derive(Debug, Error)]
pub(crate) enum BaselineError {
    #[error("there is no baseline `{name}` of the package `{package}`{}. Keep one with --save-baseline {name}", known(.others))]
    Unknown { name: Name, package: String, others: Vec<Name> },
    #[error("can't {action} `{}`: {reason}", .path.display())]
    Io { action: &'static str, path: PathBuf, reason: io::Error },
    #[error("the baseline `{}` is damaged: {reason}. Nothing of it was used; delete it with --delete-baseline and keep a new one", .path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("the baseline `{}` has the format `{found}`, and this version reads `{SCHEMA}`: keep it anew with this version", .path.display())]
    UnknownSchema { path: PathBuf, found: String },
    #[error("the baseline `{}` was measured on {found}, and this is {here}: figures of the two can't be compared", .path.display())]
    ForeignTarget { path: PathBuf, found: String, here: &'static str },
    #[error("the baseline `{}` is of the package `{found}`, not `{package}`", .path.display())]
    ForeignPackage { path: PathBuf, found: String, package: String },
    #[error("no job has a profile to keep as the baseline `{0}`")]
    Empty(Name),
    #[error(
        "there is a baseline `{0}` already, and another one: delete it with --delete-baseline {0} before importing this one"
    )]
    Taken(Name),
    #[error("`{}` is no archive of a baseline: {reason}. Nothing was imported", .path.display())]
    Archive { path: PathBuf, reason: String },
    #[error(
        "the baseline `{0}` is of an optimised build, and this one is not: keep this one under another name, or add \
         --release"
    )]
    Optimised(Name),
    #[error("the baseline `{}` can't be exported: {reason}, and no import would take that. Save it anew", .path.display())]
    Unportable { path: PathBuf, reason: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn known(others: &[Name]) -> String {
    match others {
        [] => String::new(),
        others => {
            let names: Vec<String> = others.iter().map(|name| format!("`{name}`")).collect();
            format!(", only {}", names.join(", "))
        }
    }
}

fn io_error<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> BaselineError + 'a {
    move |reason| BaselineError::Io { action, path: path.to_owned(), reason }
}

/// The name of a baseline, which is also that of a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name(String);

impl FromStr for Name {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || name.len() > 100 || name.starts_with('.') || !name.chars().all(allowed) {
            return Err("a baseline's name has letters, digits, `-`, `_` and `.`, which it can't begin with; at most \
                        100 of them"
                .to_owned());
        }
        Ok(Self(name.to_owned()))
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a baseline is and consists of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub schema: String,
    pub name: String,
    pub package: String,
    /// What its workers speak.
    pub protocol: u32,
    /// Where its newest profile was measured.
    pub environment: Environment,
    /// Every job of the binary.
    pub jobs: Vec<KeptJob>,
    /// Every other file of the baseline.
    files: Vec<KeptFile>,
}

/// A job of a baseline's binary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptJob {
    pub job: String,
    /// The params of its cases, in the order of the binary.
    pub cases: Vec<Params>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct KeptFile {
    /// Below the baseline's directory, with `/`.
    path: String,
    bytes: u64,
    /// XXH64 with seed 0, in hexadecimal: against damage, not against malice.
    xxh64: String,
}

impl Manifest {
    /// The number of jobs that have a profile.
    pub(crate) fn profiled(&self) -> usize {
        let is_profile =
            |file: &&KeptFile| Path::new(&file.path).extension().is_some_and(|extension| extension == "json");
        self.files.iter().filter(is_profile).count()
    }

    fn read(directory: &Path) -> Result<Self, BaselineError> {
        let path = directory.join(MANIFEST);
        let file = File::open(&path).map_err(io_error("read", &path))?;
        let mut text = Vec::new();
        file.take(LONGEST_MANIFEST).read_to_end(&mut text).map_err(io_error("read", &path))?;
        Self::parse(&text, &path)
    }

    /// `path` is for the error alone.
    fn parse(text: &[u8], path: &Path) -> Result<Self, BaselineError> {
        #[derive(Deserialize)]
        struct Versioned {
            schema: String,
        }
        let damaged =
            |error: serde_json::Error| BaselineError::Damaged { path: path.to_owned(), reason: error.to_string() };
        let Versioned { schema } = serde_json::from_slice(text).map_err(damaged)?;
        if schema != SCHEMA {
            return Err(BaselineError::UnknownSchema { path: path.to_owned(), found: schema });
        }
        serde_json::from_slice(text).map_err(damaged)
    }

    /// Refuses what can't be compared with this binary.
    fn check(&self, package: &str, path: &Path) -> Result<(), BaselineError> {
        if self.package != package {
            let (found, package) = (self.package.clone(), package.to_owned());
            return Err(BaselineError::ForeignPackage { path: path.to_owned(), found, package });
        }
        let here = env!("PROFILING_TARGET");
        if self.environment.target != here {
            let found = self.environment.target.clone();
            return Err(BaselineError::ForeignTarget { path: path.to_owned(), found, here });
        }
        let damaged = |reason| Err(BaselineError::Damaged { path: path.to_owned(), reason });
        if let Err(reason) = Name::from_str(&self.name) {
            return damaged(format!("its name is `{}`: {reason}", self.name));
        }
        match self.files.iter().find(|file| !is_inside(Path::new(&file.path))) {
            Some(file) => damaged(format!("it names the file `{}`, which lies outside of it", file.path)),
            None => Ok(()),
        }
    }
}

/// Whether a path leads nowhere but down.
fn is_inside(path: &Path) -> bool {
    path.components().next().is_some() && path.components().all(|part| matches!(part, Component::Normal(_)))
}

impl KeptFile {
    fn of(directory: &Path, path: &str) -> Result<Self, BaselineError> {
        let whole = directory.join(path);
        let (bytes, xxh64) = fingerprint(&whole).map_err(io_error("read", &whole))?;
        Ok(Self { path: path.to_owned(), bytes, xxh64 })
    }

    /// What is wrong with the file in `directory`.
    fn damage(&self, directory: &Path) -> Option<String> {
        let path = directory.join(&self.path);
        match (path.symlink_metadata(), fingerprint(&path)) {
            (Err(error), _) | (_, Err(error)) => Some(format!("`{}`: {error}", self.path)),
            (Ok(metadata), _) if !metadata.is_file() => Some(format!("`{}` is no regular file", self.path)),
            (_, Ok((bytes, _))) if bytes != self.bytes => {
                Some(format!("`{}` has {bytes} bytes of {}", self.path, self.bytes))
            }
            (_, Ok((_, xxh64))) if xxh64 != self.xxh64 => Some(format!("`{}` has changed", self.path)),
            _ => None,
        }
    }
}

/// A file's length and hash.
fn fingerprint(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let (mut hasher, mut bytes) = (XxHash64::with_seed(0), 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((bytes, format!("{:016x}", hasher.finish())));
        }
        hasher.write(&buffer[..read]);
        bytes += read as u64;
    }
}

/// The baselines of one package.
#[derive(Debug)]
pub(crate) struct Baselines {
    directory: PathBuf,
    package: String,
}

/// A baseline that is whole.
#[derive(Debug)]
pub(crate) struct Baseline {
    pub name: Name,
    pub manifest: Manifest,
    directory: PathBuf,
}

/// What keeping a baseline came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Saved {
    /// The jobs that the baseline now has.
    pub jobs: usize,
    /// It was there already, of the same binary, and has got these jobs in addition.
    pub added: bool,
}

impl Baselines {
    pub(crate) fn of(store: &Store, package: &str) -> Self {
        let directory = store.profiling_directory().join(".baselines");
        // The store's own directory has the package's name in a form that is safe for files.
        let name = store.directory().file_name().map(ToOwned::to_owned).unwrap_or_default();
        Self { directory: directory.join(name), package: package.to_owned() }
    }

    fn path(&self, name: &Name) -> PathBuf {
        self.directory.join(&name.0)
    }

    /// The names of all baselines, in order.
    pub(crate) fn names(&self) -> Result<Vec<Name>, BaselineError> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(io_error("read", &self.directory))?,
        };
        let mut names: Vec<Name> =
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        names.sort();
        Ok(names)
    }

    /// Refuses to put figures of a build without optimisation in the place of optimised ones.
    pub(crate) fn refuse_to_replace(&self, name: &Name, environment: &Environment) -> Result<(), BaselineError> {
        let kept = self.describe(name).is_ok_and(|kept| kept.environment.is_optimised());
        if kept && !environment.is_optimised() { Err(BaselineError::Optimised(name.clone())) } else { Ok(()) }
    }

    /// What a baseline says of itself, whole or not.
    pub(crate) fn describe(&self, name: &Name) -> Result<Manifest, BaselineError> {
        Manifest::read(&self.path(name))
    }

    /// Removes a baseline.
    pub(crate) fn delete(&self, name: &Name) -> Result<(), BaselineError> {
        let path = self.existing(name)?;
        fs::remove_dir_all(&path).map_err(io_error("remove", &path))
    }

    /// A baseline, all of whose files are as they were written.
    pub(crate) fn load(&self, name: &Name) -> Result<Baseline, BaselineError> {
        let directory = self.existing(name)?;
        let manifest = Manifest::read(&directory)?;
        manifest.check(&self.package, &directory)?;
        if let Some(reason) = manifest.files.iter().find_map(|file| file.damage(&directory)) {
            return Err(BaselineError::Damaged { path: directory, reason });
        }
        Ok(Baseline { name: name.clone(), manifest, directory })
    }

    fn existing(&self, name: &Name) -> Result<PathBuf, BaselineError> {
        let path = self.path(name);
        if path.is_dir() {
            return Ok(path);
        }
        let others = self.names()?;
        Err(BaselineError::Unknown { name: name.clone(), package: self.package.clone(), others })
    }

    /// Keeps the profiles of these jobs as they are in the store, and this binary. Where there is a
    /// baseline of that name already, it is replaced; if it is of the same binary, its other jobs stay.
    pub(crate) fn save(
        &self,
        name: &Name,
        store: &Store,
        binary: &HeldBinary,
        measured: &[&str],
        registered: &[&'static JobDescriptor],
        environment: &Environment,
    ) -> Result<Saved, BaselineError> {
        let new = self.begin()?;
        let harness = new.path().join(HARNESS);
        binary.copy_to(&harness).map_err(io_error("copy", binary.path()))?;
        let mut files = vec![KeptFile::of(new.path(), HARNESS)?];
        let before = self.same_binary(name, &files[0]);
        let inner = Store::new(new.path(), &self.package);
        let directory = inner.directory();
        fs::create_dir_all(&directory).map_err(io_error("create", &directory))?;
        let source = |job: &str| -> Option<Store> {
            let stores = [measured.contains(&job).then(|| store.clone()), before.as_ref().map(Baseline::store)];
            stores.into_iter().flatten().find(|store| store.profile_path(job).exists())
        };
        let mut jobs = 0;
        for job in registered {
            let Some(source) = source(job.name) else { continue };
            for path in [Store::profile_path, Store::samples_path, Store::plain_samples_path] {
                let (from, to) = (path(&source, job.name), path(&inner, job.name));
                // Of the last two there is one; none where no samples were kept.
                if !from.exists() {
                    continue;
                }
                fs::copy(&from, &to).map_err(io_error("copy", &from))?;
                files.push(KeptFile::of(new.path(), &relative(new.path(), &to))?);
            }
            jobs += 1;
        }
        if jobs == 0 {
            return Err(BaselineError::Empty(name.clone()));
        }
        let manifest = Manifest {
            schema: SCHEMA.to_owned(),
            name: name.to_string(),
            package: self.package.clone(),
            protocol: PROTOCOL,
            environment: environment.clone(),
            jobs: registered.iter().map(|job| KeptJob::of(job)).collect(),
            files,
        };
        let path = new.path().join(MANIFEST);
        let text = serde_json::to_vec_pretty(&manifest).map_err(io::Error::from);
        text.and_then(|text| fs::write(&path, text)).map_err(io_error("write", &path))?;
        self.put(new, name)?;
        Ok(Saved { jobs, added: before.is_some() })
    }

    /// The baseline of that name, if it is whole and of this binary.
    fn same_binary(&self, name: &Name, harness: &KeptFile) -> Option<Baseline> {
        self.load(name).ok().filter(|baseline| baseline.manifest.files.contains(harness))
    }

    /// An empty directory beside the baselines; what killed runs have left there is removed.
    fn begin(&self) -> Result<TempDir, BaselineError> {
        fs::create_dir_all(&self.directory).map_err(io_error("create", &self.directory))?;
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if [".new-", ".old-"].iter().any(|ours| name.as_encoded_bytes().starts_with(ours.as_bytes())) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        tempfile::Builder::new().prefix(".new-").tempdir_in(&self.directory).map_err(io_error("write", &self.directory))
    }

    /// Moves a complete directory to its place.
    fn put(&self, new: TempDir, name: &Name) -> Result<(), BaselineError> {
        let path = self.path(name);
        let old = tempfile::Builder::new().prefix(".old-").tempdir_in(&self.directory);
        let old = old.map_err(io_error("write", &self.directory))?;
        match fs::rename(&path, old.path().join("was")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error("replace", &path)(error)),
            _ => {}
        }
        fs::rename(new.path(), &path).map_err(io_error("write", &path))?;
        // It is no longer where it would be removed from.
        let _ = new.keep();
        Ok(())
    }
}

fn relative(directory: &Path, path: &Path) -> String {
    let below = path.strip_prefix(directory).unwrap_or(path);
    below.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

impl KeptJob {
    fn of(job: &'static JobDescriptor) -> Self {
        Self { job: job.name.to_owned(), cases: job.cases().map(params).collect() }
    }
}

impl Baseline {
    /// The binary that measured it.
    pub(crate) fn harness(&self) -> PathBuf {
        self.directory.join(HARNESS)
    }

    /// The number of a case in that binary.
    pub(crate) fn case_index(&self, job: &str, params: &Params) -> Option<usize> {
        let known = self.manifest.jobs.iter().find(|known| known.job == job)?;
        known.cases.iter().position(|case| case == params)
    }

    fn store(&self) -> Store {
        Store::new(&self.directory, &self.manifest.package)
    }

    /// A job's profile; `None` where it had none.
    pub(crate) fn load(&self, job: &str) -> Result<Option<Profile>, BaselineError> {
        Ok(self.store().load(job)?)
    }

    /// So many of its samples at most, by case.
    pub(crate) fn samples(&self, job: &str, most: usize) -> Result<Vec<(Params, Vec<Sample>)>, BaselineError> {
        let stored = self.store().samples(job, None)?;
        let thinned = stored.cases().into_iter().map(|case| Ok((case.params.clone(), case.samples.thinned(most)?)));
        thinned.collect::<io::Result<_>>().map_err(io_error("read", &self.directory))
    }

    /// The jobs that have a profile.
    pub(crate) fn profiled(&self) -> Result<Vec<String>, BaselineError> {
        Ok(self.store().load_all()?.into_iter().map(|profile| profile.job).collect())
    }
}
