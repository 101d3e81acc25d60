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
//! # When
//!
//! With the package's feature `profiling` on, nothing happens: a test run never rebuilds the crate for its
//! own results. Where no job was profiled in this checkout, the profiles of the document stay. Once jobs
//! were profiled, a job that has no valid profile in the target directory loses the one in the document.
//!
//! Outside of a checkout, as in `cargo package` and in a dependency from a registry or git, the sources are
//! not ours to change: the document with its profiles is written to `OUT_DIR`, under the same file name.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::profile::Profile;
use crate::store::target::TARGET_DIR_VARIABLES;
use crate::store::{OUT_VARIABLE, Store};
use crate::tangle::blueprint::{DocumentJob, KnownJob, document_jobs};
use crate::tangle::{BlueprintProfiles, json};

mod document;
mod error;
#[cfg(test)]
mod tests;
mod text;

pub use error::EmbedError;
use error::io_error;
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
            cross_target,
            out: variable(OUT_VARIABLE).map(PathBuf::from),
            copied: CopiedSources::find(&manifest_dir, cargo_home.as_deref()),
            manifest_dir,
            started: started(&out_dir),
            out_dir,
            lines: Vec::new(),
        })
    }

    /// Embeds the profiles into the document at `path`, relative to the package's directory.
    pub fn into_blueprint(self, path: impl AsRef<Path>) -> Result<(), EmbedError> {
        self.run(|embed| embed.file(path.as_ref(), None))
    }

    /// Writes a document that the build script makes, with the profiles in it, to `path`, relative to the
    /// package's directory. Where no job was profiled in this checkout, the profiles stay that the file
    /// has for jobs of the same index and name.
    pub fn write_blueprint(self, path: impl AsRef<Path>, document: Value) -> Result<(), EmbedError> {
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
        let result = if self.profiling { Ok(()) } else { work(&mut self) };
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
        let Some((store, profiles)) = self.profiles()? else {
            let warnings = document::mark(document)?;
            if self.copied.is_none() {
                self.warn(warnings);
            }
            return Ok(());
        };
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
        let store = Store::locate(&self.manifest_dir, &self.package, self.out.as_deref())?;
        if !store.exists() {
            self.watch_for_store(&store.profiling_directory());
            return Ok(None);
        }
        self.lines.push(format!("cargo::rerun-if-changed={}", store.directory().display()));
        let profiles = store.load_all()?;
        Ok(Some((store, profiles)))
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
            let _ = set_modified(directory, self.started);
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

fn set_modified(directory: &Path, time: SystemTime) -> io::Result<()> {
    let mut options = File::options();
    options.read(true);
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt;
        const FILE_WRITE_ATTRIBUTES: u32 = 0x100;
        const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
        options.access_mode(FILE_WRITE_ATTRIBUTES).custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
    }
    options.open(directory)?.set_modified(time)
}
