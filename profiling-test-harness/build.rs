//! Hands on what only a build script is told: profiles record how the code they measure was built.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(rustc).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    println!("cargo::rustc-env=PROFILING_RUSTC={}", String::from_utf8_lossy(&version).trim());
    for (variable, given) in [("PROFILING_TARGET", "TARGET"), ("PROFILING_OPT_LEVEL", "OPT_LEVEL")] {
        println!("cargo::rustc-env={variable}={}", env::var(given).unwrap_or_default());
    }
}
