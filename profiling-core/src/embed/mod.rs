//! Embeds profiles into `blueprint.json`, from `build.rs`.
//!
//! ```no_run
//! fn main() -> Result<(), profiling_core::embed::EmbedError> {
//!     profiling_core::embed::Embed::from_env()?.into_blueprint("blueprint.json")
//! }
//! ```
//!
//! [`Embed::write_blueprint`] is for build scripts that make the document themselves,
//! [`Embed::into_value`] for those that have another use for it.
//!
//! # What changes in the document
//!
//! - Each job gets a `profile`: `{"status": "profiled", …}` with the figures of a
//!   [`JobProfile`](crate::JobProfile), or `{"status": "not profiled"}`.
//! - `profiling` holds, by job id, what was measured in each case, and where and when.
//! - `profiling_data`, in `metadata` if the document has that, is the string for the chain, with an entry
//!   for every id: a job without a profile is one that can't run on serverless platforms.
//!
//! A profile goes to the job whose `job_index` is its `id`, else to the job of its name. Where a document
//! has no `job_index`, a job's position is its index, and the name decides first. Everything else in the
//! document stays as it is, to the byte; a file whose content would not change is not written.
//!
//! # Stale profiles
//!
//! Each profile has a [`Fingerprint`] of what was measured: the sources of the
//! package and of its path dependencies, the versions and features of what it depends on, its own features, the
//! compiler with its flags, and the opt-level. A release build (`PROFILE=release`, as in every Cargo profile that
//! inherits from `release`) compares. A profile that is of something else is *stale*: its job gets the status
//! `stale` with what has changed, `profiling_data` refuses it, and there is a warning, or with
//! [`Embed::deny_stale`] an error. Other builds leave the marks that they find. In a checkout where no job was
//! profiled, the profiles of the document are judged.
//!
//! Sources are all files in the directories of the library and the binaries, the build script, and files
//! that these name in `include_str!`, `include_bytes!`, `include!` and `#[path]`. What does not count: tests,
//! benches and examples, dev-dependencies, `profiling-core` itself, the package's version, the feature `profiling`
//! with what it turns on, and flags for lints. What a build script can't see: `lto`, `codegen-units` and the like in
//! the Cargo profile, dependencies that `[patch]` replaces by a path, and what the package's own build script reads.
//!
//! # When
//!
//! With the package's feature `profiling` on, nothing is embedded: a test run never rebuilds the crate for its
//! own results. Where no job was profiled in this checkout, the profiles of the document stay. Once jobs
//! were profiled, a job that has no valid profile in the target directory loses the one in the document.
//!
//! Outside of a checkout, as in `cargo package` and in a dependency from a registry or git, the sources are
//! not ours to change: the document with its profiles is written to `OUT_DIR`, under the same file name.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::fingerprint::{Change, Fingerprint};
use crate::profile::Profile;
use crate::store::target::TARGET_DIR_VARIABLES;
use crate::store::{BuildKind, OUT_VARIABLE, Store, StoreError, atomic};
use crate::tangle::blueprint::{DocumentJob, KnownJob, document_jobs};
use crate::tangle::{BlueprintProfiles, json};

mod document;
mod error;
mod fingerprint;
mod locked;
mod packages;
mod sources;
mod stale;
#[cfg(test)]
mod tests;
mod text;

pub use error::EmbedError;
use error::io_error;
use fingerprint::{Build, Taken};
use stale::Stale;
use text::Text;

/// Embeds the profiles of one package, as its build script.
#[derive(Debug)]
pub struct Embed {
    package: String,
    manifest_dir: PathBuf,
    out_dir: PathBuf,
    /// Whether the package's feature `profiling` is on.
    profiling: bool,
    /// Cargo's `OPT_LEVEL` for the package.
    opt_level: Option<OsString>,
    build: Build,
    /// Whether this build is what will be deployed, so that profiles have to be of it.
    is_release: bool,
    deny_stale: bool,
    /// The document, which is no source.
    document: Option<PathBuf>,
    /// The triple of a build with `--target`.
    cross_target: Option<OsString>,
    /// Replaces the target directory.
    out: Option<PathBuf>,
    copied: Option<CopiedSources>,
    /// No later than what cargo takes for the start of this script.
    started: SystemTime,
    /// For cargo.
    lines: Vec<String>,
}

/// Sources that cargo copied, which are not the author's to change.
#[derive(Debug)]
enum CopiedSources {
    /// A package or a vendored dependency, with the file that only these have.
    Marked(&'static str),
    /// A dependency in cargo's home directory.
    InCargoHome,
}

impl CopiedSources {
    fn find(manifest_dir: &Path, cargo_home: Option<&Path>) -> Option<Self> {
        let markers = ["Cargo.toml.orig", ".cargo-checksum.json"];
        if let Some(marker) = markers.into_iter().find(|marker| manifest_dir.join(marker).exists()) {
            return Some(Self::Marked(marker));
        }
        let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let manifest_dir = canonical(manifest_dir);
        let is_below =
            |part: &&str| cargo_home.is_some_and(|home| manifest_dir.starts_with(canonical(&home.join(part))));
        ["registry", "git/checkouts"].iter().any(is_below).then_some(Self::InCargoHome)
    }
}

impl Embed {
    /// Reads what cargo tells a build script.
    pub fn from_env() -> Result<Self, EmbedError> {
        Self::from_variables(|name| env::var_os(name).filter(|value| !value.is_empty()))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, EmbedError> {
        let required = |name| variable(name).ok_or(EmbedError::NotABuildScript { variable: name });
        let out_dir = PathBuf::from(required("OUT_DIR")?);
        // `--target` adds a directory of the triple's name; without it, TARGET is set all the same.
        let cross_target = variable("TARGET").filter(|triple| out_dir.iter().any(|part| part == triple));
        let home = || env::home_dir().map(|home| home.join(".cargo"));
        let cargo_home = variable("CARGO_HOME").map(PathBuf::from).or_else(home);
        let manifest_dir = PathBuf::from(required("CARGO_MANIFEST_DIR")?);
        Ok(Self {
            package: required("CARGO_PKG_NAME")?.to_string_lossy().into_owned(),
            profiling: variable("CARGO_FEATURE_PROFILING").is_some(),
            opt_level: variable("OPT_LEVEL"),
            is_release: variable("PROFILE").is_some_and(|profile| profile == "release"),
            deny_stale: false,
            document: None,
            cross_target,
            out: variable(OUT_VARIABLE).map(PathBuf::from),
            copied: CopiedSources::find(&manifest_dir, cargo_home.as_deref()),
            manifest_dir,
            started: started(&out_dir),
            out_dir,
            lines: Vec::new(),
            build: Build::from_variables(variable),
        })
    }

    /// Fails a release build that finds a [stale](self#stale-profiles) profile, or can't tell.
    ///
    /// ```no_run
    /// # use profiling_core::embed::{Embed, EmbedError};
    /// fn main() -> Result<(), EmbedError> {
    ///     Embed::from_env()?.deny_stale().into_blueprint("blueprint.json")
    /// }
    /// ```
    #[must_use]
    pub fn deny_stale(mut self) -> Self {
        self.deny_stale = true;
        self
    }

    /// Embeds the profiles into the document at `path`, relative to the package's directory.
    pub fn into_blueprint(mut self, path: impl AsRef<Path>) -> Result<(), EmbedError> {
        self.document = Some(self.manifest_dir.join(&path));
        self.run(|embed| embed.file(path.as_ref(), None))
    }

    /// Writes a document that the build script makes, with the profiles in it, to `path`, relative to the
    /// package's directory. Where no job was profiled in this checkout, the profiles stay that the file
    /// has for jobs of the same index and name.
    pub fn write_blueprint(mut self, path: impl AsRef<Path>, document: Value) -> Result<(), EmbedError> {
        self.document = Some(self.manifest_dir.join(&path));
        self.run(|embed| embed.file(path.as_ref(), Some(document)))
    }

    /// Embeds the profiles into a document that the caller has read or made, and will use.
    ///
    /// With the feature `profiling` on, the document stays as it is. To keep it as a file, leave that to
    /// [`write_blueprint`](Self::write_blueprint): it knows when not to write.
    pub fn into_value(self, document: &mut Value) -> Result<(), EmbedError> {
        self.run(|embed| embed.value(document))
    }

    fn run(mut self, work: impl FnOnce(&mut Self) -> Result<(), EmbedError>) -> Result<(), EmbedError> {
        self.watch_script();
        if let Some(level) = &self.opt_level {
            // The harness's `main!` reads it: profiles record how the measured package itself was built.
            self.lines.push(format!("cargo::rustc-env=PROFILING_OPT_LEVEL={}", level.display()));
        }
        let result = if self.profiling {
            self.hand_over_fingerprint();
            Ok(())
        } else {
            work(&mut self)
        };
        for line in &self.lines {
            println!("{line}");
        }
        result
    }

    fn file(&mut self, path: &Path, made: Option<Value>) -> Result<(), EmbedError> {
        let source = self.manifest_dir.join(path);
        let old = match (Text::read(&source), &made) {
            (Err(EmbedError::NoDocument { .. }), Some(_)) => None,
            (old, _) => Some(old?),
        };
        let new = self.content(old.as_ref(), made)?;
        if self.copied.is_some() {
            let copy = self.out_dir.join(path.file_name().unwrap_or(path.as_os_str()));
            return fs::write(&copy, new).map_err(io_error("write", &copy));
        }
        if old.is_none_or(|old| old.whole() != new) {
            // A file that is newer than the script's start would have the script run in every build.
            text::replace(&source, &new, self.started)?;
        }
        self.lines.push(format!("cargo::rerun-if-changed={}", path.display()));
        Ok(())
    }

    /// The new content of the file that holds `old`.
    fn content(&mut self, old: Option<&Text>, made: Option<Value>) -> Result<String, EmbedError> {
        let Some(old) = old else {
            let mut document = made.unwrap_or_default();
            self.value(&mut document)?;
            return Ok(json::pretty(&document, "  ")? + "\n");
        };
        let existing = old.parse()?;
        document_jobs(&existing).map_err(|reason| old.not_a_blueprint(reason))?;
        let document = if let Some(mut made) = made {
            document::carry_over(&mut made, &existing)?;
            self.value(&mut made)?;
            made
        } else {
            let mut document = existing;
            self.value(&mut document).map_err(|error| match error {
                EmbedError::NotABlueprintValue(reason) => old.not_a_blueprint(reason),
                error => error,
            })?;
            document
        };
        Ok(format!("{}{}", old.mark, json::patch(&old.json, &document)?))
    }

    fn value(&mut self, document: &mut Value) -> Result<(), EmbedError> {
        let jobs = document_jobs(document)?;
        let Some((store, mut profiles)) = self.profiles()? else {
            let warnings = document::mark(document)?;
            if self.copied.is_none() {
                self.warn(warnings);
                self.judge_document(document)?;
            }
            return Ok(());
        };
        self.judge(&store, &mut profiles)?;
        let warnings = document::embed(document, &self.package, &profiles)?;
        self.warn(warnings);
        self.complete_blueprint_profiles(&store, &profiles, &jobs)
    }

    /// The package's profiles; `None` where no job was profiled.
    fn profiles(&mut self) -> Result<Option<(Store, Vec<Profile>)>, EmbedError> {
        if self.copied.is_some() {
            return Ok(None);
        }
        for variable in [OUT_VARIABLE].into_iter().chain(TARGET_DIR_VARIABLES) {
            self.lines.push(format!("cargo::rerun-if-env-changed={variable}"));
        }
        let store = Store::locate(&self.manifest_dir, &self.package, self.out.as_deref(), None)?;
        if !store.exists() {
            if store.of_build(BuildKind::Unoptimised).exists() {
                self.warn(vec!["profiles of builds without optimisation are not embedded".to_owned()]);
            }
            self.watch_for_store(&store.profiling_directory());
            return Ok(None);
        }
        self.lines.push(format!("cargo::rerun-if-changed={}", store.directory().display()));
        let profiles = store.load_all()?;
        Ok(Some((store, profiles)))
    }

    /// Marks the profiles that are stale, here and in the store.
    fn judge(&mut self, store: &Store, profiles: &mut [Profile]) -> Result<(), EmbedError> {
        let is_any = !profiles.is_empty();
        let Some(Taken { fingerprint, .. }) = self.fingerprint_to_judge_by(is_any)? else { return Ok(()) };
        let marks = |profiles: &[Profile]| -> Vec<Vec<Change>> {
            profiles.iter().map(|profile| profile.stale.clone()).collect()
        };
        let before = marks(profiles);
        let found = stale::judge(profiles, &fingerprint);
        if marks(profiles) != before
            && let Err(error) = self.mark(store, &fingerprint)
        {
            // The document says it all the same.
            self.warn(vec![error.to_string()]);
        }
        if self.deny_stale {
            // Those that are stale say so themselves. Otherwise these are a warning of every build.
            let untrusted = document::untrusted(profiles.iter().filter(|profile| profile.stale.is_empty()));
            if !untrusted.is_empty() {
                return Err(EmbedError::Stale(found.lines().into_iter().chain(untrusted).collect()));
            }
        }
        self.conclude(&found)
    }

    /// Marks the profiles of the store that are stale.
    fn mark(&self, store: &Store, fingerprint: &Fingerprint) -> Result<(), StoreError> {
        // A run of the jobs may hold the lock for minutes. What it writes, the next build judges.
        let Some(locked) = store.try_lock()? else { return Ok(()) };
        let mut profiles = locked.load_all()?;
        stale::judge(&mut profiles, fingerprint);
        profiles.iter().try_for_each(|profile| locked.replace_profile(profile, self.started))
    }

    /// Marks the profiles of a document that are stale, where there is no store.
    fn judge_document(&mut self, document: &mut Value) -> Result<(), EmbedError> {
        let is_any = stale::listed(document).next().is_some();
        let Some(Taken { fingerprint, .. }) = self.fingerprint_to_judge_by(is_any)? else { return Ok(()) };
        let found = stale::judge_document(document, &fingerprint)?;
        self.conclude(&found)
    }

    fn conclude(&mut self, found: &Stale) -> Result<(), EmbedError> {
        if found.is_none() {
            return Ok(());
        }
        if self.deny_stale {
            return Err(EmbedError::Stale(found.lines()));
        }
        self.warn(found.lines());
        Ok(())
    }

    /// The fingerprint of a release build, where there is anything to judge. Where it can't be taken, profiles
    /// stay as they are found.
    fn fingerprint_to_judge_by(&mut self, is_any: bool) -> Result<Option<Taken>, EmbedError> {
        if !self.is_release || !is_any {
            return Ok(None);
        }
        match self.fingerprint() {
            Err(error) if !self.deny_stale => {
                self.warn(vec![format!("profiles may be stale: {error}")]);
                Ok(None)
            }
            taken => taken.map(Some),
        }
    }

    /// Takes the fingerprint of this build, and has cargo run the script again when it may be another one.
    fn fingerprint(&mut self) -> Result<Taken, EmbedError> {
        let taken = self.build.fingerprint(&self.package, &self.manifest_dir, self.document.as_deref())?;
        let files = taken.files.iter().map(|file| format!("cargo::rerun-if-changed={}", file.display()));
        let variables = Build::VARIABLES.iter().map(|name| format!("cargo::rerun-if-env-changed={name}"));
        self.lines.extend(files.chain(variables));
        Ok(taken)
    }

    /// For the harness's `main!`: profiles say what they were measured of. The script runs when the sources have
    /// changed, and then they are compiled anyway.
    fn hand_over_fingerprint(&mut self) {
        if self.copied.is_some() {
            return;
        }
        let taken = self.fingerprint().and_then(|taken| Ok(serde_json::to_string(&taken.fingerprint)?));
        match taken {
            Ok(fingerprint) => self.lines.push(format!("cargo::rustc-env=PROFILING_FINGERPRINT={fingerprint}")),
            Err(error) => self.warn(vec![format!("a release build will take the profiles for stale: {error}")]),
        }
    }

    /// Adds the jobs that only the document knows to the file that Tangle's manager reads, where that
    /// describes this package.
    fn complete_blueprint_profiles(
        &mut self,
        store: &Store,
        profiles: &[Profile],
        jobs: &[DocumentJob],
    ) -> Result<(), EmbedError> {
        let path = store.blueprint_profiles_path();
        let is_of_other = |written: &BlueprintProfiles| written.blueprint_name != self.package;
        if BlueprintProfiles::load_from_file(&path).is_ok_and(|written| is_of_other(&written)) {
            return Ok(());
        }
        let known: Vec<KnownJob<'_>> = profiles.iter().map(|profile| (&*profile.job, profile.id)).collect();
        let also_in: Vec<PathBuf> = self.cross_directory(store.root()).into_iter().collect();
        let complete = store.blueprint_profiles(&known, jobs)?;
        let is_complete = |directory: &Path| {
            let written = BlueprintProfiles::load_from_file(directory.join(path.file_name().unwrap_or_default()));
            written.is_ok_and(|written| complete.as_ref().is_some_and(|complete| complete.jobs == written.jobs))
        };
        if complete.is_none() || (is_complete(store.root()) && also_in.iter().all(|directory| is_complete(directory))) {
            return Ok(());
        }
        // A run of the jobs may hold the lock for minutes; it writes the file when it ends.
        let written = store.try_lock().and_then(|locked| {
            locked.map_or(Ok(Vec::new()), |locked| locked.write_blueprint_profiles(&known, jobs, &also_in))
        });
        if let Err(error) = written {
            self.warn(vec![error.to_string()]);
        }
        Ok(())
    }

    /// Where a build with `--target` puts its binaries' directory.
    fn cross_directory(&self, root: &Path) -> Option<PathBuf> {
        self.cross_target.as_ref().filter(|_| self.out.is_none()).map(|triple| root.join(triple))
    }

    /// Without any line, cargo would watch the whole package. A path that doesn't exist counts as changed.
    fn watch_script(&mut self) {
        let script = if self.manifest_dir.join("build.rs").is_file() { "build.rs" } else { "Cargo.toml" };
        self.lines.push(format!("cargo::rerun-if-changed={script}"));
        if let (Some(CopiedSources::Marked(marker)), false) = (&self.copied, self.profiling) {
            // `cargo package` and `cargo build` share what they know of the script. The file isn't there
            // in a checkout: the next build there runs the script again, and watches what it has to.
            self.lines.push(format!("cargo::rerun-if-changed={marker}"));
        }
    }

    /// Watches the directory that the first run of the jobs will change.
    fn watch_for_store(&mut self, directory: &Path) {
        // Where it can't be made, the next build finds out by itself that there is a store.
        if !directory.exists() && fs::create_dir_all(directory).is_ok() {
            let _ = atomic::set_modified(directory, self.started);
        }
        if directory.exists() {
            self.lines.push(format!("cargo::rerun-if-changed={}", directory.display()));
        }
    }

    fn warn(&mut self, warnings: Vec<String>) {
        self.lines.extend(warnings.into_iter().map(|warning| format!("cargo::warning={}", warning.replace('\n', " "))));
    }
}

/// What cargo takes for the start of the script whose `OUT_DIR` this is, or earlier.
fn started(out_dir: &Path) -> SystemTime {
    /// Longer than it takes to start a process, on a busy machine and on file systems with coarse clocks.
    const MARGIN: Duration = Duration::from_secs(2);
    // Cargo writes this file just before, and compares with it.
    let stamp = out_dir.parent().and_then(|parent| fs::metadata(parent.join("invoked.timestamp")).ok());
    stamp.and_then(|stamp| stamp.modified().ok()).unwrap_or_else(|| SystemTime::now() - MARGIN)
}
