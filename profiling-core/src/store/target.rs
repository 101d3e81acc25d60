//! Which directory cargo builds into.

use std::env;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::StoreError;

/// The variables by which cargo is told the directory, the stronger first.
pub(crate) const TARGET_DIR_VARIABLES: [&str; 2] = ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"];

/// What of `cargo metadata` is read.
#[derive(Deserialize)]
struct Metadata {
    target_directory: PathBuf,
}

/// The target directory of the package at `manifest_dir`.
///
/// Cargo knows it: its configuration files and variables decide. Where there is no cargo, as in a
/// container or on a device that holds the binary alone, `CARGO_TARGET_DIR` does, else the place of the
/// executable. `triple`: what that may have been built for with `--target`.
pub(super) fn directory(manifest_dir: &Path, triple: Option<&str>) -> Result<PathBuf, StoreError> {
    let executable = env::current_exe().ok();
    let variables = TARGET_DIR_VARIABLES.iter().find_map(env::var_os);
    if let Some(directory) = relative_to_start(variables.as_deref(), executable.as_deref()) {
        return Ok(directory);
    }
    ask_cargo(manifest_dir).or_else(|reason| {
        let named = env::var_os("CARGO_TARGET_DIR").filter(|directory| !directory.is_empty());
        let named = named.map(|directory| base(manifest_dir).join(directory));
        named
            .or_else(|| around(executable.as_deref()?, triple).map(Path::to_owned))
            .ok_or_else(|| StoreError::NoTargetDirectory { manifest_dir: manifest_dir.to_owned(), reason })
    })
}

/// What paths of the user's are relative to: the package, or the current directory on a machine that doesn't
/// have it.
pub(super) fn base(manifest_dir: &Path) -> PathBuf {
    let current = || env::current_dir().unwrap_or_else(|_| manifest_dir.to_owned());
    if manifest_dir.is_dir() { manifest_dir.to_owned() } else { current() }
}

/// What a variable names that is relative to where cargo was started, which only cargo knew. What it built
/// lies there: test binaries and build scripts alike.
fn relative_to_start(variable: Option<&OsStr>, executable: Option<&Path>) -> Option<PathBuf> {
    let named = Path::new(variable?);
    let directory: PathBuf = named.components().filter(|part| *part != Component::CurDir).collect();
    if named.is_absolute() || directory.as_os_str().is_empty() {
        return None;
    }
    executable?.ancestors().skip(1).find(|ancestor| ancestor.ends_with(&directory)).map(Path::to_owned)
}

fn ask_cargo(manifest_dir: &Path) -> Result<PathBuf, String> {
    metadata::<Metadata>(manifest_dir).map(|metadata| metadata.target_directory)
}

/// What cargo says of the workspace at `manifest_dir`, without its dependencies: that takes neither the network
/// nor a lock, and half a tenth of a second.
pub(crate) fn metadata<T: DeserializeOwned>(manifest_dir: &Path) -> Result<T, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(&cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(manifest_dir.join("Cargo.toml"))
        // Cargo reads its configuration from here upwards.
        .current_dir(manifest_dir)
        .output()
        .map_err(|error| format!("can't run `{}`: {error}", cargo.display()))?;
    if !output.status.success() {
        return Err(format!("`cargo metadata`: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("`cargo metadata`: {error}"))
}

/// The target directory that an executable lies in; the directory beside it where it lies in none.
fn around<'a>(executable: &'a Path, triple: Option<&str>) -> Option<&'a Path> {
    let is_target = |directory: &Path| directory.ends_with("target") || directory.join("CACHEDIR.TAG").is_file();
    let Some(innermost) = executable.ancestors().skip(1).find(|directory| is_target(directory)) else {
        return executable.parent();
    };
    // In the target directory, builds for a target have one of their own, which is tagged as well.
    let outer = innermost.parent().filter(|outer| is_target(outer));
    let is_of_triple = triple.is_some_and(|triple| innermost.ends_with(triple));
    outer.filter(|_| is_of_triple).or(Some(innermost))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_names_the_directory() -> Result<(), Box<dyn std::error::Error>> {
        let package = tempfile::tempdir()?;
        let path = package.path().canonicalize()?;
        std::fs::create_dir_all(path.join(".cargo"))?;
        std::fs::create_dir_all(path.join("src"))?;
        std::fs::write(path.join("src/lib.rs"), "")?;
        std::fs::write(path.join("Cargo.toml"), "[package]\nname = \"x\"\nedition = \"2024\"\n[workspace]\n")?;
        std::fs::write(path.join(".cargo/config.toml"), "[build]\ntarget-dir = \"elsewhere\"\n")?;
        let found = directory(&path, None)?;
        // The variable of whoever runs this test goes before the file.
        let expected = env::var_os("CARGO_TARGET_DIR").map_or(path.join("elsewhere"), |variable| path.join(variable));
        assert_eq!(found, expected);
        Ok(())
    }

    #[test]
    fn a_relative_variable_is_found_where_cargo_was_started() {
        let found = |variable: &str, executable: &str| {
            relative_to_start(Some(OsStr::new(variable)), Some(Path::new(executable)))
        };
        assert_eq!(found("x/target", "/home/x/target/debug/deps/t"), Some("/home/x/target".into()));
        assert_eq!(found("./out", "/home/out/out/debug/deps/t"), Some("/home/out/out".into()));
        assert_eq!(found("/x/target", "/x/target/debug/deps/t"), None);
        assert_eq!(found("../out", "/home/out/debug/deps/t"), None);
        assert_eq!(found("out", "/build/debug/deps/t"), None);
        assert_eq!(relative_to_start(None, Some(Path::new("/x/target/debug/deps/t"))), None);
    }

    #[test]
    fn an_executable_lies_in_a_target_directory_or_alone() -> std::io::Result<()> {
        let home = tempfile::tempdir()?;
        let triple = "riscv64gc-unknown-linux-gnu";
        let [tagged, lone] = ["build", "lone"].map(|name| home.path().join(name));
        let [for_target, lone_for_target] = [&tagged, &lone].map(|directory| directory.join(triple));
        for directory in [&tagged, &for_target, &lone_for_target] {
            std::fs::create_dir_all(directory)?;
            std::fs::write(directory.join("CACHEDIR.TAG"), "")?;
        }
        let found = |directory: &Path, triple| {
            around(&directory.join("debug/deps/x"), triple).map(Path::to_owned).expect("it lies somewhere")
        };
        for given in [None, Some(triple)] {
            assert_eq!(found(&tagged, given), tagged);
            assert_eq!(found(Path::new("/a/target"), given), Path::new("/a/target"));
            assert_eq!(found(Path::new("/usr/lib"), given), Path::new("/usr/lib/debug/deps"));
        }
        assert_eq!(found(&for_target, Some(triple)), tagged);
        assert_eq!(found(&for_target, Some("another")), for_target);
        assert_eq!(found(&lone_for_target, Some(triple)), lone_for_target, "a directory that happens to be called so");
        assert_eq!(found(&Path::new("/a/target").join(triple), Some(triple)), Path::new("/a/target"));
        Ok(())
    }

    #[test]
    fn without_the_package_paths_are_relative_to_the_current_directory() -> std::io::Result<()> {
        let package = tempfile::tempdir()?;
        assert_eq!(base(package.path()), package.path());
        assert_eq!(base(&package.path().join("not-here")), env::current_dir()?);
        Ok(())
    }
}
