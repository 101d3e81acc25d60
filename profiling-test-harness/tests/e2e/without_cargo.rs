//! A test binary that runs where there is no cargo, as under an emulator, in a container, or on a device.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::sandbox::{Outcome, Package, Sandbox, copy_program, run};

/// A machine with nothing but the binary.
struct Device {
    sandbox: Sandbox,
    home: TempDir,
}

fn device() -> Device {
    Device { sandbox: Sandbox::new(Package::failing()), home: tempfile::tempdir().expect("writable") }
}

impl Device {
    fn path(&self, path: &str) -> PathBuf {
        self.home.path().canonicalize().expect("it is there").join(path)
    }

    /// Copies the binary here and prepares it to be run, in a directory that has nothing to do with it.
    fn harness(&self, place: &str) -> Command {
        let place = self.path(place);
        fs::create_dir_all(place.parent().expect("it lies in a directory")).expect("writable");
        copy_program(&self.sandbox.executable("profiling"), &place);
        let mut command = Command::new(place);
        command.args(["--exact", "passes"]).env_clear().env("PATH", "/nonexistent").current_dir("/");
        command
    }

    /// As cargo does.
    fn tag(&self, directory: &str) {
        fs::create_dir_all(self.path(directory)).expect("writable");
        fs::write(self.path(directory).join("CACHEDIR.TAG"), "").expect("writable");
    }

    /// Expects the store here, and returns the triple in it.
    #[track_caller]
    fn expect_store(&self, outcome: &Outcome, root: &str) -> String {
        outcome.expect_code(0).says(&["1 passed; 0 failed"]);
        let root = self.path(root);
        let profile = fs::read(root.join("profiling/failing/passes.json")).unwrap_or_else(|_| panic!("{outcome}"));
        let profile: Value = serde_json::from_slice(&profile).expect("a profile is JSON");
        assert!(root.join("blueprint-profiles.json").is_file(), "{outcome}");
        profile["environment"]["target"].as_str().expect("it is known").to_owned()
    }
}

fn manager_file(directory: &Path) -> bool {
    directory.join("blueprint-profiles.json").is_file()
}

#[test]
fn a_lone_binary_keeps_its_profiles_beside_it() {
    let device = device();
    let outcome = run(&mut device.harness("apps/profiling-test"));
    let triple = device.expect_store(&outcome, "apps");
    assert!(!device.path("apps").join(triple).exists());
}

#[test]
fn a_place_that_is_named_is_used() {
    let device = device();
    let outcome = run(device.harness("apps/profiling-test").env("PROFILING_OUT", device.path("out")));
    device.expect_store(&outcome, "out");
    assert!(!device.path("apps/profiling").exists());
}

#[test]
fn a_target_directory_is_known_by_its_layout() {
    let device = device();
    let triple = device.expect_store(&run(&mut device.harness("a/target/debug/deps/x")), "a/target");
    assert!(!device.path("a/target").join(&triple).exists());
    device.tag("b");
    device.expect_store(&run(&mut device.harness("b/debug/deps/x")), "b");
    // Builds for a target.
    device.expect_store(&run(&mut device.harness(&format!("c/target/{triple}/debug/deps/x"))), "c/target");
    device.tag("d");
    device.tag(&format!("d/{triple}"));
    device.expect_store(&run(&mut device.harness(&format!("d/{triple}/debug/deps/x"))), "d");
    for target in ["c/target", "d"] {
        let of_triple = device.path(target).join(&triple);
        assert!(manager_file(&of_triple) && !of_triple.join(&triple).exists(), "{target}");
        assert!(!of_triple.join("profiling").exists(), "{target}");
    }
    // The directory of such builds alone.
    let alone = format!("e/{triple}");
    device.tag(&alone);
    device.expect_store(&run(&mut device.harness(&format!("{alone}/debug/deps/x"))), &alone);
    assert!(!device.path(&alone).join(&triple).exists() && !manager_file(&device.path("e")));
}
