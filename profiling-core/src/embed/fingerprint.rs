//! Takes the fingerprint of what is built, in its build script.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::error::{EmbedError, io_error};
use super::locked::Lockfile;
use super::packages::{OURS, Package, Packages};
use super::sources::Sources;
use crate::fingerprint::{Fingerprint, Fnv};

/// What cargo tells a build script of the build.
#[derive(Debug)]
pub(super) struct Build {
    rustc: OsString,
    /// The flags for the compiler, each ended by a unit separator but for the last.
    flags: String,
    features: BTreeSet<String>,
    opt_level: String,
}

/// A fingerprint, with the files that it was taken of.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) fingerprint: Fingerprint,
    pub(super) files: BTreeSet<PathBuf>,
}

impl Build {
    /// Flags can come from here where cargo doesn't notice that they changed:
    /// <https://github.com/rust-lang/cargo/issues/13003>.
    pub(super) const VARIABLES: [&str; 2] = ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"];

    pub(super) fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let text = |name| variable(name).map(|value| value.to_string_lossy().into_owned()).unwrap_or_default();
        Self {
            rustc: variable("RUSTC").unwrap_or_else(|| "rustc".into()),
            flags: text("CARGO_ENCODED_RUSTFLAGS"),
            features: text("CARGO_CFG_FEATURE").split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            opt_level: text("OPT_LEVEL"),
        }
    }

    /// `left_out` is a file that is made of profiles, and so no source.
    pub(super) fn fingerprint(
        &self,
        package: &str,
        manifest_dir: &Path,
        left_out: Option<&Path>,
    ) -> Result<Taken, EmbedError> {
        let packages = Packages::find(package, manifest_dir).map_err(EmbedError::NoFingerprint)?;
        let mut files: BTreeSet<PathBuf> = packages.all.iter().map(|package| package.manifest_path.clone()).collect();
        let mut sources = BTreeMap::new();
        for package in &packages.all {
            let read = Sources::read(package, left_out)?;
            sources.insert(package.name.clone(), read.hash);
            files.extend(read.files);
        }
        // The workspace's manifest has what its members inherit.
        let lock = packages.workspace_root.join("Cargo.lock");
        files.extend(
            [packages.workspace_root.join("Cargo.toml"), lock.clone()].into_iter().filter(|path| path.is_file()),
        );
        let fingerprint = Fingerprint {
            sources,
            dependencies: dependencies(&packages, &read_lock(&lock)?),
            features: self.features(&packages.all[0]),
            toolchain: self.toolchain()?,
            opt_level: self.opt_level.clone(),
        };
        Ok(Taken { fingerprint, files })
    }

    fn features(&self, package: &Package) -> Vec<String> {
        let of_tests = package.features_of_tests();
        self.features.iter().filter(|name| !of_tests.contains(&***name)).cloned().collect()
    }

    fn toolchain(&self) -> Result<String, EmbedError> {
        let failed = |reason| EmbedError::NoFingerprint(format!("`{} --version`: {reason}", self.rustc.display()));
        let output = Command::new(&self.rustc).arg("--version").output().map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok([version].into_iter().chain(code_flags(&self.flags)).collect::<Vec<_>>().join(" "))
    }
}

/// The compiler's flags, but for those that only say what it complains of.
fn code_flags(encoded: &str) -> Vec<String> {
    const LEVELS: [&str; 5] = ["--warn", "--allow", "--deny", "--forbid", "--cap-lints"];
    const SHORT: [&str; 4] = ["-W", "-A", "-D", "-F"];
    let mut flags = encoded.split('\u{1f}').filter(|flag| !flag.is_empty());
    let mut kept = Vec::new();
    while let Some(flag) = flags.next() {
        if SHORT.contains(&flag) || LEVELS.contains(&flag) {
            flags.next();
        } else if !SHORT.iter().chain(&LEVELS).any(|level| flag.starts_with(level)) {
            kept.push(flag.to_owned());
        }
    }
    kept
}

fn read_lock(path: &Path) -> Result<String, EmbedError> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        text => text.map_err(io_error("read", path)),
    }
}

/// What the packages ask for, and what they get.
fn dependencies(packages: &Packages, lock: &str) -> String {
    let lock = Lockfile::parse(lock);
    let mut lines = BTreeSet::new();
    for (index, package) in packages.all.iter().enumerate() {
        let built: BTreeSet<_> = package.built_dependencies().collect();
        let names = built.iter().map(|dependency| &*dependency.name).collect();
        lines.extend(lock.closure((&package.name, &package.version), &names, OURS));
        // What a feature of the tests turns on is no difference either.
        let of_tests = if index == 0 { package.features_of_tests() } else { BTreeSet::new() };
        let features: BTreeMap<_, _> =
            package.features.iter().filter(|(name, _)| !of_tests.contains(&***name)).collect();
        lines.insert(json!([package.name, package.edition, built, features]).to_string());
    }
    let hash = lines.iter().fold(Fnv::new(), |hash, line| hash.with(line.as_bytes()).with(b"\n"));
    format!("{:016x}", hash.finish())
}

#[cfg(test)]
mod tests {
    use super::super::packages::tests::{TestResult, write_packages};
    use super::*;
    use crate::fingerprint::Change;

    /// A workspace: `a` needs `b` and a crate from a registry, and its tests `c`.
    struct Workspace {
        home: tempfile::TempDir,
        variables: BTreeMap<&'static str, &'static str>,
    }

    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"0.1.0\"\ndependencies = [\n \"b\",\n \"r\",\n]\n\n\
                        [[package]]\nname = \"r\"\nversion = \"1.0.0\"\nsource = \"registry+x\"\n\n\
                        [[package]]\nname = \"z\"\nversion = \"1.0.0\"\nsource = \"registry+x\"\n";

    const A: &str = "[dependencies]\nb = { path = \"../b\" }\nr = \"1\"\n[dev-dependencies]\nc = { path = \"../c\" }\n\
                     [features]\nprofiling = []\nfast = []\n";

    impl Workspace {
        fn new() -> Result<Self, Box<dyn std::error::Error>> {
            let home = tempfile::tempdir()?;
            fs::write(home.path().join("Cargo.toml"), "[workspace]\nmembers = [\"*\"]\nresolver = \"3\"\n")?;
            fs::write(home.path().join("Cargo.lock"), LOCK)?;
            write_packages(home.path(), &[("a", A), ("b", ""), ("c", "")])?;
            let variables = [("OPT_LEVEL", "3"), ("CARGO_CFG_FEATURE", "fast")].into();
            Ok(Self { home, variables })
        }

        fn take(&self) -> Result<Taken, EmbedError> {
            let build = Build::from_variables(|name| self.variables.get(name).map(OsString::from));
            build.fingerprint("a", &self.home.path().join("a"), None)
        }

        fn write(&self, path: &str, content: &str) -> io::Result<()> {
            fs::write(self.home.path().join(path), content)
        }
    }

    #[test]
    fn a_change_shows_in_its_part() -> TestResult {
        let mut workspace = Workspace::new()?;
        let measured = workspace.take()?.fingerprint;
        let changes = |workspace: &Workspace| -> Result<Vec<Change>, EmbedError> {
            Ok(workspace.take()?.fingerprint.changes_since(Some(&measured)))
        };
        assert_eq!(changes(&workspace)?, []);

        // Of what is not in the build.
        workspace.write("c/src/lib.rs", "// a comment")?;
        workspace.write("Cargo.lock", &LOCK.replace("\"z\"\nversion = \"1.0.0\"", "\"z\"\nversion = \"1.0.1\""))?;
        workspace.write(
            "a/Cargo.toml",
            &fs::read_to_string(workspace.home.path().join("a/Cargo.toml"))?.replace("0.1.0", "0.1.1"),
        )?;
        workspace.write("Cargo.lock", &LOCK.replace("\"a\"\nversion = \"0.1.0\"", "\"a\"\nversion = \"0.1.1\""))?;
        workspace.variables.insert("CARGO_CFG_FEATURE", "fast,profiling");
        workspace.variables.insert("CARGO_ENCODED_RUSTFLAGS", "-D\u{1f}warnings\u{1f}-Wunused\u{1f}--cap-lints=warn");
        assert_eq!(changes(&workspace)?, []);

        workspace.write("b/src/lib.rs", "pub fn new() {}")?;
        assert_eq!(changes(&workspace)?, [Change::Sources]);
        workspace.write("b/src/lib.rs", "")?;
        let lock = fs::read_to_string(workspace.home.path().join("Cargo.lock"))?;
        workspace.write("Cargo.lock", &lock.replace("\"r\"\nversion = \"1.0.0\"", "\"r\"\nversion = \"1.0.1\""))?;
        assert_eq!(changes(&workspace)?, [Change::Dependencies]);
        workspace.write("Cargo.lock", &lock)?;
        workspace.variables.insert("CARGO_CFG_FEATURE", "profiling");
        workspace.variables.insert("OPT_LEVEL", "s");
        workspace.variables.insert("CARGO_ENCODED_RUSTFLAGS", "-C\u{1f}target-cpu=native");
        assert_eq!(changes(&workspace)?, [Change::Features, Change::Toolchain, Change::OptLevel]);
        Ok(())
    }

    #[test]
    fn a_feature_of_a_dependency_is_part_of_it() -> TestResult {
        let workspace = Workspace::new()?;
        let measured = workspace.take()?.fingerprint;
        let manifest = workspace.home.path().join("a/Cargo.toml");
        fs::write(
            &manifest,
            fs::read_to_string(&manifest)?.replace("r = \"1\"", "r = { version = \"1\", features = [\"x\"] }"),
        )?;
        assert_eq!(workspace.take()?.fingerprint.changes_since(Some(&measured)), [Change::Dependencies]);
        Ok(())
    }

    #[test]
    fn all_that_it_rests_on_can_be_watched() -> TestResult {
        let workspace = Workspace::new()?;
        let root = workspace.home.path().canonicalize()?;
        let files = workspace.take()?.files;
        let names: Vec<&str> =
            files.iter().map(|path| path.strip_prefix(&root).unwrap_or(path).to_str().unwrap_or_default()).collect();
        assert_eq!(names, ["Cargo.lock", "Cargo.toml", "a/Cargo.toml", "a/src/lib.rs", "b/Cargo.toml", "b/src/lib.rs"]);
        Ok(())
    }

    #[test]
    fn without_cargo_or_rustc_it_says_why() -> TestResult {
        let mut workspace = Workspace::new()?;
        workspace.variables.insert("RUSTC", "/nowhere/rustc");
        assert!(workspace.take().expect_err("no compiler").to_string().contains("`/nowhere/rustc --version`"));
        let empty = tempfile::tempdir()?;
        let error = Build::from_variables(|_| None).fingerprint("a", empty.path(), None).expect_err("no package");
        assert!(error.to_string().contains("`cargo metadata`"), "{error}");
        Ok(())
    }
}
