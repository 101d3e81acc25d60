//! A package whose `build.rs` embeds profiles, built by cargo.

#![cfg(feature = "build")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use profiling_core::BlueprintProfiles;
use profiling_core::profile::Profile;
use profiling_core::store::Store;
use serde_json::{Value, json};

type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

const DOCUMENT: &str = r#"{
  "name": "embedded",
  "jobs": [
    {
      "name": "square",
      "job_index": 0
    },
    {
      "name": "cube",
      "job_index": 3
    }
  ]
}
"#;

const BUILD_SCRIPT: &str = r#"
fn main() -> Result<(), profiling_core::embed::EmbedError> {
    profiling_core::embed::Embed::from_env()?.into_blueprint("blueprint.json")
}
"#;

struct Package {
    directory: PathBuf,
    target: PathBuf,
}

impl Package {
    /// In a place that later runs find again: the dependencies are then built already.
    fn new() -> TestResult<Self> {
        let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let package = Self { directory: temporary.join("embedded"), target: temporary.join("embedded-target") };
        for leftover in [&package.directory, &package.target.join("profiling"), &package.target.join("package")] {
            if leftover.exists() {
                fs::remove_dir_all(leftover)?;
            }
        }
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?;
        let here = |name: &str| format!("{name} = {{ path = {} }}\n", json!(workspace.join(name)));
        let patches = here("profiling-core") + &here("profiling-macros");
        package.write(".cargo/config.toml", &format!("[patch.crates-io]\n{patches}"))?;
        let manifest = "[package]\nname = \"embedded\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
                        description = \"x\"\nlicense = \"MIT\"\n[features]\nprofiling = []\n[workspace]\n\
                        [build-dependencies]\nprofiling-core = { version = \"0.1.0\", features = [\"build\"] }\n";
        package.write("Cargo.toml", manifest)?;
        package.write("src/lib.rs", "")?;
        package.write("build.rs", BUILD_SCRIPT)?;
        package.write("blueprint.json", DOCUMENT)?;
        fs::copy(workspace.join("Cargo.lock"), package.directory.join("Cargo.lock"))?;
        Ok(package)
    }

    fn write(&self, path: &str, content: &str) -> TestResult {
        let path = self.directory.join(path);
        fs::create_dir_all(path.parent().ok_or("no directory")?)?;
        Ok(fs::write(path, content)?)
    }

    fn document(&self) -> TestResult<String> {
        Ok(fs::read_to_string(self.directory.join("blueprint.json"))?)
    }

    fn status(&self, job: usize) -> TestResult<Value> {
        Ok(serde_json::from_str::<Value>(&self.document()?)?["jobs"][job]["profile"]["status"].clone())
    }

    /// Whether cargo compiled the package.
    fn cargo(&self, arguments: &[&str]) -> TestResult<bool> {
        let output = Command::new(env!("CARGO"))
            .args(arguments)
            .arg("--offline")
            .current_dir(&self.directory)
            .env("CARGO_TARGET_DIR", &self.target)
            .env_remove("PROFILING_OUT")
            .output()?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{errors}");
        Ok(errors.contains("Compiling embedded"))
    }

    fn store(&self) -> Store {
        Store::new(&self.target, "embedded")
    }

    fn profile(&self, p99_duration_ms: u64) -> TestResult {
        let profile: Profile = serde_json::from_value(json!({
            "schema": "profiling.job/1", "package": "embedded", "job": "square", "id": 0,
            "source": {"file": "src/lib.rs", "line": 1},
            "avg_duration_ms": 1, "p95_duration_ms": 1, "p99_duration_ms": p99_duration_ms, "peak_memory_mb": 1,
            "stateful": false, "persistent_connections": false, "sample_size": 10, "cases": [],
            "environment": {"profiled_at": "2026-01-02T03:04:05Z", "os": "linux", "arch": "x86_64",
                            "target": "x86_64-unknown-linux-gnu", "rustc": "", "opt_level": "3",
                            "debug_assertions": false}
        }))?;
        let locked = self.store().lock(|| ())?;
        locked.save(&profile, &[])?;
        locked.write_blueprint_profiles(&[("square", Some(0))], &[], &[])?;
        Ok(())
    }
}

#[test]
fn cargo_builds_again_only_when_profiles_change() -> TestResult {
    let package = Package::new()?;
    assert!(package.cargo(&["build"])?);
    assert_eq!(package.status(0)?, "not profiled");
    assert!(!package.cargo(&["build"])?, "nothing has changed since the first build");

    package.profile(1)?;
    assert!(package.cargo(&["build"])?);
    assert_eq!((package.status(0)?, package.status(1)?), (json!("profiled"), json!("not profiled")));
    assert!(!package.cargo(&["build"])?, "the document changed, but by the build itself");
    let written = BlueprintProfiles::load_from_file(package.store().blueprint_profiles_path())?;
    assert_eq!(written.jobs.len(), 4, "the document's jobs are in it");

    // A test run never builds again for its own results.
    assert!(package.cargo(&["build", "--features", "profiling"])?);
    package.profile(2)?;
    assert!(!package.cargo(&["build", "--features", "profiling"])?);
    assert!(package.document()?.contains("\"p99_duration_ms\": 1,"));
    assert!(package.cargo(&["build"])?);
    assert!(package.document()?.contains("\"p99_duration_ms\": 2,"));

    package.write("blueprint.json", DOCUMENT)?;
    assert!(package.cargo(&["build"])?);
    assert_eq!(package.status(0)?, "profiled");
    assert!(!package.cargo(&["build"])?);

    package.store().lock(|| ())?.remove("square")?;
    assert!(package.cargo(&["build"])?);
    assert_eq!(package.status(0)?, "not profiled", "the job's last run failed");

    packages(&package)
}

/// Cargo fails if a build script changes the sources that it has packaged.
fn packages(package: &Package) -> TestResult {
    let committed = package.document()?;
    package.profile(4)?;
    package.cargo(&["package", "--allow-dirty"])?;
    assert_eq!(package.document()?, committed);
    package.cargo(&["build"])?;
    assert!(package.document()?.contains("\"p99_duration_ms\": 4,"), "packaging does not keep a build from embedding");
    Ok(())
}
