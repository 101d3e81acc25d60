//! Defaults from `Cargo.toml`.

use std::path::Path;

use serde_json::Value;

use crate::sandbox::{Package, Sandbox, own_directory, run, two_lines, write};

const SOURCE: &str = "
    #[profiling_core::profile_job]
    pub fn plain() {}

    #[profiling_core::profile_job(samples = 4)]
    pub fn given() {}
";

fn package(directory: &Path, metadata: &str) -> Package {
    let files = [("src/lib.rs", SOURCE), ("tests/profiling.rs", &two_lines("configured"))];
    Package::at("configured", directory, &files, metadata)
}

fn samples(sandbox: &Sandbox, job: &str) -> Value {
    sandbox.profile(job)["sample_size"].clone()
}

#[test]
fn everyone_has_a_say_in_order() {
    let directory = own_directory("configured");
    let metadata = "
        [package.metadata.profiling]
        samples = 3
        [workspace.metadata.profiling]
        samples = 2
        cold-samples = 2
    ";
    let sandbox = Sandbox::new(package(&directory, metadata));
    run(&mut sandbox.harness("")).expect_code(0);
    assert_eq!((samples(&sandbox, "plain"), samples(&sandbox, "given")), (3.into(), 4.into()));
    assert_eq!(sandbox.profile("plain")["cases"][0]["cold_starts"].as_array().map(Vec::len), Some(2));

    run(sandbox.harness("").env("PROFILING_SAMPLES", "5")).expect_code(0);
    assert_eq!((samples(&sandbox, "plain"), samples(&sandbox, "given")), (5.into(), 5.into()));
    run(sandbox.harness("--samples 6").env("PROFILING_SAMPLES", "5")).expect_code(0);
    assert_eq!((samples(&sandbox, "plain"), samples(&sandbox, "given")), (6.into(), 6.into()));

    // It is read when it is needed, not when the binary is built.
    package(&directory, "[package.metadata.profiling]\nsample = 3\n");
    let mistaken = run(&mut sandbox.harness(""));
    let manifest = directory.join("Cargo.toml");
    let says = format!("error: `{}`, line ", manifest.canonicalize().expect("it exists").display());
    mistaken
        .expect_code(101)
        .complains(&[&says, "`package.metadata.profiling` has no `sample`; did you mean `samples`?"]);
    assert_eq!(samples(&sandbox, "plain"), 6, "nothing was measured");

    write(&manifest, "[package]\nname = \"configured\"\n[package.metadata.profiling]\ntimeout = 5\n");
    run(&mut sandbox.harness(""))
        .expect_code(101)
        .complains(&["`timeout` in `package.metadata.profiling`: expected a string"]);
}
