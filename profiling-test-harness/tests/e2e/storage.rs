//! Which profiles are there after which run, and what is said where they can't be written or read.

use std::fs;
use std::path::Path;

use profiling_core::JobProfile;
use profiling_core::store::{RegisteredJob, Store};
use serde_json::json;

use crate::sandbox::{Package, Sandbox, await_next_second, run};

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The ids with a trusted profile, and the number of entries.
fn profiled_ids(sandbox: &Sandbox) -> (Vec<u32>, usize) {
    let entries = sandbox.blueprint_profiles().jobs;
    let refused = entries.values().filter(|entry| !entry.is_profiled());
    assert!(refused.clone().all(|entry| *entry == JobProfile::not_profiled()));
    let mut ids: Vec<u32> = entries.iter().filter(|(_, entry)| entry.is_profiled()).map(|(id, _)| *id).collect();
    ids.sort_unstable();
    (ids, entries.len())
}

#[test]
fn a_filtered_run_replaces_what_it_ran() {
    let sandbox = Sandbox::new(Package::zoo());
    run(&mut sandbox.harness("--exact square talks")).expect_code(0);
    assert_eq!(profiled_ids(&sandbox), (vec![0], 6), "the highest id is 5");
    let old = [sandbox.store().profile_path("square"), sandbox.store().samples_path("square")];
    let before = old.each_ref().map(|path| read(path));
    run(&mut sandbox.harness("--exact keeps_state talks --samples 3")).expect_code(0);
    assert_eq!(old.each_ref().map(|path| read(path)), before);
    assert_eq!((sandbox.profile("talks")["sample_size"].clone(), sandbox.samples("talks").len()), (3.into(), 3));
    assert_eq!(profiled_ids(&sandbox), (vec![0, 5], 6));
    let stateful = &sandbox.blueprint_profiles().jobs[&5];
    assert!(stateful.stateful && stateful.persistent_connections, "as declared: {stateful:?}");
    let files =
        ["keeps_state", "square", "talks"].map(|job| [format!("{job}.json"), format!("{job}.samples.jsonl.gz")]);
    assert_eq!(sandbox.stored_files(), files.concat());
}

/// Whoever reads while a run writes has the old file or the new one.
#[cfg(unix)]
#[test]
fn files_are_replaced_rather_than_overwritten() {
    use std::io::Read;

    let sandbox = Sandbox::new(Package::zoo());
    run(&mut sandbox.harness("--exact square")).expect_code(0);
    let store = sandbox.store();
    let paths = [store.profile_path("square"), store.samples_path("square"), store.blueprint_profiles_path()];
    let before = paths.each_ref().map(|path| read(path));
    let opened = paths.each_ref().map(|path| fs::File::open(path).expect("readable"));
    run(&mut sandbox.harness("--exact square --samples 7")).expect_code(0);
    for ((path, old), mut file) in paths.iter().zip(before).zip(opened) {
        assert_ne!(read(path), old, "{}", path.display());
        let mut still = Vec::new();
        file.read_to_end(&mut still).expect("readable");
        assert_eq!(still, old, "{}", path.display());
    }
}

#[test]
fn the_cases_of_a_job_can_be_measured_one_after_the_other() {
    let sandbox = Sandbox::new(Package::zoo());
    run(&mut sandbox.harness("--exact sort/n=100,order=down")).expect_code(0);
    let first = sandbox.profile("sort");
    assert_eq!(first["cases"].as_array().map(Vec::len), Some(1));
    assert_eq!(first["cases"][0]["params"], json!({"n": 100, "order": "down"}));
    assert_eq!(first["missing_cases"].as_array().map(Vec::len), Some(3));
    assert_eq!(profiled_ids(&sandbox), (vec![], 6), "no trust without all cases");

    await_next_second();
    run(&mut sandbox.harness("--exact sort/n=10,order=up sort/n=10,order=down sort/n=100,order=up")).expect_code(0);
    let whole = sandbox.profile("sort");
    let params = |profile: &serde_json::Value| -> Vec<serde_json::Value> {
        profile["cases"].as_array().into_iter().flatten().map(|case| case["params"].clone()).collect()
    };
    let order =
        [(10, "up"), (10, "down"), (100, "up"), (100, "down")].map(|(n, order)| json!({"n": n, "order": order}));
    assert_eq!(params(&whole), order, "in the order of the attribute");
    assert!(whole.get("missing_cases").is_none());
    let mut kept = whole["cases"][3].clone();
    let origin = kept.as_object_mut().and_then(|case| case.remove("origin")).expect("it was measured in another run");
    assert_eq!(origin["environment"], first["environment"]);
    assert_eq!(kept, first["cases"][0], "kept as it was");
    assert_eq!(sandbox.samples("sort").len(), 16);
    assert_eq!(profiled_ids(&sandbox), (vec![2], 6));
}

#[test]
fn a_full_run_drops_what_is_no_longer_registered() {
    let sandbox = Sandbox::new(Package::variants());
    run(&mut sandbox.test_binary("many", "--exact job_03 job_04")).expect_code(0);
    run(&mut sandbox.harness("in_the_library")).expect_code(0);
    let kept =
        ["in_the_library", "job_03", "job_04"].map(|job| [format!("{job}.json"), format!("{job}.samples.jsonl.gz")]);
    assert_eq!(sandbox.stored_files(), kept.concat());
    run(&mut sandbox.harness("--ignored")).expect_code(0);
    assert_eq!(sandbox.stored_files(), kept.concat());
    // `many` is another target, whose jobs are none of this one's; but this one is known to have had a job that is gone.
    let store = sandbox.store();
    let mut jobs = store.registered().expect("it is whole").expect("jobs have run");
    let own = jobs.iter().find(|job| job.name == "in_the_library").expect("it has run").harnesses.clone();
    jobs.push(RegisteredJob { name: "gone".to_owned(), id: None, harnesses: own });
    store.lock(|| ()).expect("nothing runs").register(&jobs).expect("writable");
    for path in [Store::profile_path, Store::samples_path] {
        fs::copy(path(&store, "in_the_library"), path(&store, "gone")).expect("writable");
    }
    run(&mut sandbox.harness("in_the_library")).expect_code(0);
    assert_eq!(sandbox.stored_files().len(), 8, "a filtered run drops nothing");
    run(&mut sandbox.harness("")).expect_code(0);
    assert_eq!(sandbox.stored_files(), kept.concat());
}

#[test]
fn what_is_damaged_is_named_and_what_is_whole_is_kept() {
    let sandbox = Sandbox::new(Package::zoo());
    run(&mut sandbox.harness("--exact square sort talks")).expect_code(0);
    let store = sandbox.store();

    let truncated = store.profile_path("sort");
    let whole = read(&truncated);
    fs::write(&truncated, &whole[..whole.len() / 2]).expect("writable");
    let outcome = run(&mut sandbox.harness("--exact square --samples 3"));
    outcome.expect_code(101).complains(&[truncated.to_str().expect("UTF-8"), "is damaged: EOF while parsing"]);
    assert_eq!((sandbox.profile("square")["sample_size"].clone(), sandbox.samples("square").len()), (3.into(), 3));
    assert_eq!(sandbox.profile("talks")["sample_size"], 2);
    assert_eq!(read(&truncated), whole[..whole.len() / 2], "not for us to repair");

    // Measuring the job again is what the message advises, and enough.
    run(&mut sandbox.harness("--exact sort")).expect_code(0);
    assert_eq!(profiled_ids(&sandbox), (vec![0, 2], 6));

    let samples = store.samples_path("sort");
    fs::write(&samples, "{\"params\": {}, \"sample\"").expect("writable");
    let partial = run(&mut sandbox.harness("--exact sort/n=10,order=up"));
    partial.expect_code(101).complains(&[samples.to_str().expect("UTF-8"), "is damaged", "line 1"]);

    // Made of the others in every run.
    fs::write(store.blueprint_profiles_path(), "{").expect("writable");
    run(&mut sandbox.harness("--exact sort")).expect_code(0);
    assert_eq!(profiled_ids(&sandbox), (vec![0, 2], 6));
}

#[test]
fn a_target_directory_that_cannot_be_made_is_named() {
    let mut sandbox = Sandbox::new(Package::zoo());
    let file = sandbox.target().with_file_name("file");
    fs::write(&file, "").expect("writable");
    sandbox.set_target(&file.join("target"));
    let outcome = run(&mut sandbox.harness("--exact square"));
    outcome.expect_code(101).complains(&["error: can't create `", file.to_str().expect("UTF-8"), "directory"]);
}

#[cfg(target_os = "linux")]
mod mounted {
    use super::*;
    use crate::disk::Disk;

    /// Every file of the store, with its content.
    fn contents(sandbox: &Sandbox) -> Vec<(String, Vec<u8>)> {
        let directory = sandbox.store().directory();
        let mut files: Vec<(String, Vec<u8>)> =
            sandbox.stored_files().into_iter().map(|name| (name.clone(), read(&directory.join(name)))).collect();
        files.push(("blueprint-profiles.json".to_owned(), read(&sandbox.store().blueprint_profiles_path())));
        files
    }

    #[test]
    fn a_full_disk_is_named_and_what_is_there_is_kept() {
        let mut sandbox = Sandbox::new(Package::zoo());
        let Some(disk) = Disk::mount(sandbox.target()) else { return };
        sandbox.set_target(&disk.path().join("target"));
        disk.fill();
        let empty = run(&mut sandbox.harness("--exact square"));
        empty.expect_code(101).complains(&[
            "error: can't ",
            sandbox.target().to_str().expect("UTF-8"),
            "No space left",
        ]);
        disk.clear();

        run(&mut sandbox.harness("--exact square sort")).expect_code(0);
        let before = contents(&sandbox);
        disk.fill();
        let full = run(&mut sandbox.harness("--exact square talks"));
        let store = sandbox.store().directory();
        full.expect_code(101).complains(&["error: can't write `", store.to_str().expect("UTF-8"), "No space left"]);
        assert_eq!(contents(&sandbox), before);
        disk.clear();
        run(&mut sandbox.harness("--exact talks")).expect_code(0);
        assert_eq!(sandbox.profile("talks")["sample_size"], 2);
    }

    #[test]
    fn a_read_only_target_directory_is_named() {
        let mut sandbox = Sandbox::new(Package::zoo());
        let Some(disk) = Disk::mount(sandbox.target()) else { return };
        sandbox.set_target(&disk.path().join("target"));
        run(&mut sandbox.harness("--exact square sort")).expect_code(0);
        let before = contents(&sandbox);
        disk.make_read_only();
        let outcome = run(&mut sandbox.harness("--exact square"));
        let root = sandbox.target().to_str().expect("UTF-8");
        outcome.expect_code(101).complains(&["error: can't ", root, "Read-only file system", "--out DIR"]);
        assert_eq!(contents(&sandbox), before);
    }
}

/// A filtered run, which is all that nextest makes, can't know that a job is gone; but its id tells.
#[test]
fn a_renamed_job_loses_the_profile_of_its_old_name() {
    let sandbox = Sandbox::new(Package::zoo());
    run(&mut sandbox.harness("--exact square")).expect_code(0);
    let store = sandbox.store();
    let mut profile = sandbox.profile("square");
    profile["job"] = json!("squared");
    let old = [store.profile_path("squared"), store.samples_path("squared")];
    fs::write(&old[0], profile.to_string()).expect("the store can be written");
    fs::copy(store.samples_path("square"), &old[1]).expect("the store can be written");
    run(&mut sandbox.harness("--exact talks")).expect_code(0);
    assert_eq!(old.map(|path| path.exists()), [false, false]);
    assert!(store.profile_path("square").exists());
}

#[test]
fn a_closed_standard_output_costs_no_profile() {
    let sandbox = Sandbox::new(Package::zoo());
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut harness = sandbox.harness("--exact square talks");
    let status = harness.stdout(writer).stderr(std::process::Stdio::null()).status().expect("the harness starts");
    assert_eq!(status.code(), Some(0));
    assert_eq!(profiled_ids(&sandbox).0, [0]);
    assert!(sandbox.store().profile_path("talks").exists());
}
