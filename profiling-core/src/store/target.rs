//! Which directory cargo builds into.

use std::env;
use std::ffi::{OsStr, OsString};
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
/// container that holds the binary alone, `CARGO_TARGET_DIR` does, else the place of the executable.
pub(super) fn directory(manifest_dir: &Path) -> Result<PathBuf, StoreError> {
    let variables = TARGET_DIR_VARIABLES.iter().find_map(env::var_os);
    if let Some(directory) = relative_to_start(variables.as_deref(), env::current_exe().ok().as_deref()) {
        return Ok(directory);
    }
    ask_cargo(manifest_dir).or_else(|reason| {
        without_cargo(env::var_os("CARGO_TARGET_DIR"), manifest_dir, env::current_exe().ok().as_deref())
            .ok_or_else(|| StoreError::NoTargetDirectory { manifest_dir: manifest_dir.to_owned(), reason })
    })
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

fn without_cargo(variable: Option<OsString>, manifest_dir: &Path, executable: Option<&Path>) -> Option<PathBuf> {
    if let Some(directory) = variable.filter(|directory| !directory.is_empty()) {
        return Some(manifest_dir.join(directory));
    }
    let is_target = |directory: &&Path| directory.ends_with("target") || directory.join("CACHEDIR.TAG").is_file();
    executable?.ancestors().skip(1).find(is_target).map(Path::to_owned)
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
        let found = directory(&path)?;
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
    fn without_cargo_the_variable_or_the_executable_tells() -> std::io::Result<()> {
        let home = tempfile::tempdir()?;
        let tagged = home.path().join("build");
        std::fs::create_dir_all(&tagged)?;
        std::fs::write(tagged.join("CACHEDIR.TAG"), "")?;
        let executable = tagged.join("debug/deps/x");
        let manifest_dir = Path::new("/src/x");
        let found =
            |variable: Option<&str>, executable| without_cargo(variable.map(Into::into), manifest_dir, executable);
        assert_eq!(found(Some("out"), Some(&*executable)), Some("/src/x/out".into()));
        assert_eq!(found(None, Some(&*executable)), Some(tagged));
        assert_eq!(found(Some(""), Some(Path::new("/a/target/debug/x"))), Some("/a/target".into()));
        assert_eq!(found(None, Some(Path::new("/usr/bin/x"))), None);
        assert_eq!(found(None, None), None);
        Ok(())
    }
}
