//! Which targets a package has that could be harnesses.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::target;
use crate::origin::HarnessTarget;

/// The targets of a package's manifest that have a `main`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    directory: PathBuf,
    /// Names, and files from which the compiler starts.
    targets: Vec<(String, PathBuf)>,
}

/// What of `cargo metadata` is read.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
    src_path: PathBuf,
}

impl Manifest {
    /// What cargo says of the package at `manifest_dir`, without the network; an error where it can't tell.
    pub fn ask(manifest_dir: &Path) -> Result<Self, String> {
        let Metadata { packages } = target::metadata(manifest_dir)?;
        let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let wanted = canonical(&manifest_dir.join("Cargo.toml"));
        let package = packages.into_iter().find(|package| canonical(&package.manifest_path) == wanted);
        let package =
            package.ok_or_else(|| format!("`cargo metadata` knows no package at `{}`", manifest_dir.display()))?;
        let is_program = |kind: &String| matches!(kind.as_str(), "test" | "bench" | "example" | "bin");
        let programs = package.targets.into_iter().filter(|target| target.kind.iter().any(is_program));
        let targets = programs.map(|target| (target.name.replace('-', "_"), target.src_path)).collect();
        let directory = package.manifest_path.parent().unwrap_or(manifest_dir).to_owned();
        Ok(Self { directory, targets })
    }

    /// Whether there still is the target. Its `main!` may stand in a module beside or below its root file.
    #[must_use]
    pub fn has(&self, harness: &HarnessTarget) -> bool {
        let file = Path::new(&harness.file);
        let holds = |root: &Path| {
            let Ok(root) = root.strip_prefix(&self.directory) else { return true };
            file.is_absolute() || file.starts_with(root.parent().unwrap_or(Path::new("")))
        };
        self.targets.iter().any(|(name, root)| *name == harness.name && holds(root))
    }

    /// Whether there is no other target than this one.
    #[must_use]
    pub fn has_nothing_but(&self, harness: &HarnessTarget) -> bool {
        self.has(harness) && self.targets.len() == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn harness(name: &str, file: &str) -> HarnessTarget {
        HarnessTarget { name: name.to_owned(), file: file.to_owned() }
    }

    #[test]
    fn targets_are_told_apart_by_name_and_place() -> Result<(), Box<dyn std::error::Error>> {
        let package = tempfile::tempdir()?;
        let path = package.path().canonicalize()?;
        for file in ["src/lib.rs", "tests/profiling.rs", "benches/two-words.rs", "tests/deep/main.rs"] {
            std::fs::create_dir_all(path.join(file).parent().ok_or("no directory")?)?;
            std::fs::write(path.join(file), "")?;
        }
        std::fs::write(path.join("Cargo.toml"), "[package]\nname = \"x\"\nedition = \"2024\"\n[workspace]\n")?;
        let manifest = Manifest::ask(&path)?;
        for (name, file, is_there) in [
            ("profiling", "tests/profiling.rs", true),
            ("profiling", "benches/profiling.rs", false),
            ("two_words", "benches/two-words.rs", true),
            ("deep", "tests/deep/harness.rs", true),
            ("gone", "tests/gone.rs", false),
            ("x", "src/lib.rs", false),
            ("profiling", "/elsewhere/harness.rs", true),
        ] {
            assert_eq!(manifest.has(&harness(name, file)), is_there, "{name} {file}");
        }
        assert!(!manifest.has_nothing_but(&harness("profiling", "tests/profiling.rs")));
        for file in ["benches/two-words.rs", "tests/deep/main.rs"] {
            std::fs::remove_file(path.join(file))?;
        }
        assert!(Manifest::ask(&path)?.has_nothing_but(&harness("profiling", "tests/profiling.rs")));
        assert!(Manifest::ask(&path.join("absent")).is_err());
        Ok(())
    }
}
