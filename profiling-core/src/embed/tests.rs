use std::collections::HashMap;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::advise::{Advice, PlatformAdvice, Verdict};
use crate::store::LockedStore;
use crate::store::tests::profile;
use crate::tangle::{JobProfile, profiling_data};

type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

const TANGLE: &str = r#"{
  "name": "squaring",
  "manager": { "Evm": "SquaringBSM" },
  "jobs": [
    { "name": "square", "job_index": 0, "inputs": ["u64"], "execution": "faas" },
    { "name": "cube", "job_index": 2 },
    { "name": "fetch", "job_index": 3 }
  ]
}
"#;

const DEFINITION: &str = r#"{
    "metadata": {
        "name": "squaring",
        "profiling_data": "{\"execution_profile\": {\"confidentiality\": \"any\"}}"
    },
    "jobs": [
        {"name": "square"},
        {"metadata": {"name": "cube"}},
        {"name": "Fetches a page"}
    ],
    "sources": []
}"#;

fn compatible(platform: &str) -> PlatformAdvice {
    PlatformAdvice {
        platform: platform.to_owned(),
        verdict: Verdict::Compatible,
        reasons: Vec::new(),
        notes: Vec::new(),
        confidence: String::new(),
        as_of: String::new(),
        cheapest: None,
        fastest: None,
        balanced: None,
        sizes: Vec::new(),
        rehearsed: Vec::new(),
    }
}

/// A package with its target directory.
struct Package {
    directory: TempDir,
    variables: HashMap<&'static str, OsString>,
}

impl Package {
    fn new(document: &str) -> TestResult<Self> {
        let directory = tempfile::tempdir()?;
        let path = |name: &str| directory.path().join(name).into_os_string();
        let variables = HashMap::from([
            ("CARGO_PKG_NAME", "p".into()),
            ("CARGO_MANIFEST_DIR", path("p")),
            ("OUT_DIR", path("target/debug/build/p-1/out")),
            ("TARGET", "x86_64-unknown-linux-gnu".into()),
            ("CARGO_HOME", path("home")),
            (OUT_VARIABLE, path("target")),
        ]);
        let package = Self { directory, variables };
        fs::create_dir_all(package.path("p"))?;
        fs::create_dir_all(package.out())?;
        fs::write(package.path("p/build.rs"), "")?;
        fs::write(package.document(), document)?;
        Ok(package)
    }

    fn with_profiles(document: &str, profiles: &[Profile]) -> TestResult<Self> {
        let package = Self::new(document)?;
        package.save(profiles)?;
        Ok(package)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn out(&self) -> PathBuf {
        self.path("target/debug/build/p-1/out")
    }

    fn document(&self) -> PathBuf {
        self.path("p/blueprint.json")
    }

    fn store(&self) -> Store {
        Store::new(self.path("target"), "p")
    }

    fn lock(&self) -> TestResult<LockedStore> {
        Ok(self.store().lock(|| ())?)
    }

    fn save(&self, profiles: &[Profile]) -> TestResult {
        let locked = self.lock()?;
        Ok(profiles.iter().try_for_each(|profile| locked.save(profile, &[]))?)
    }

    fn embed(&self) -> Result<Embed, EmbedError> {
        Embed::from_variables(|name| self.variables.get(name).cloned())
    }

    /// Runs the build script; what it tells cargo.
    fn build(&self) -> Result<Vec<String>, EmbedError> {
        self.build_with(|embed| embed.file(Path::new("blueprint.json"), None))
    }

    fn build_with(&self, work: impl FnOnce(&mut Embed) -> Result<(), EmbedError>) -> Result<Vec<String>, EmbedError> {
        let mut embed = self.embed()?;
        work(&mut embed)?;
        Ok(embed.lines)
    }

    fn read(&self) -> TestResult<Value> {
        Ok(serde_json::from_str(&fs::read_to_string(self.document())?)?)
    }

    fn on_chain(&self, holder: &str) -> TestResult<BlueprintProfiles> {
        let document = self.read()?;
        let text = document.pointer(holder).and_then(|holder| holder["profiling_data"].as_str());
        Ok(profiling_data::read(text.ok_or("no profiling_data")?).ok_or("no profiles")??)
    }
}

fn warnings(lines: &[String]) -> Vec<&str> {
    lines.iter().filter_map(|line| line.strip_prefix("cargo::warning=")).collect()
}

#[test]
fn profiles_go_to_jobs_by_index() -> TestResult {
    let package = Package::with_profiles(TANGLE, &[profile("square", Some(0)), profile("cube", None)])?;
    let lines = package.build()?;
    let document = package.read()?;
    let summary = json!({
        "status": "profiled", "avg_duration_ms": 1, "p95_duration_ms": 2, "p99_duration_ms": 3, "peak_memory_mb": 4,
        "stateful": false, "persistent_connections": false, "sample_size": 10
    });
    assert_eq!(document["jobs"][0]["profile"], summary);
    assert_eq!(document["jobs"][1]["profile"], summary);
    assert_eq!(document["jobs"][2]["profile"], json!({"status": "not profiled"}));

    let profiling = &document["profiling"];
    assert_eq!(profiling["schema"], "profiling.blueprint/1");
    assert_eq!(profiling["profiled_at"], "2026-01-02T03:04:05Z");
    assert_eq!(profiling["environment"]["rustc"], "rustc 1.95.0");
    let listed: Vec<&String> = profiling["jobs"].as_object().ok_or("an object")?.keys().collect();
    assert_eq!(listed, ["0", "2", "3"]);
    assert_eq!(profiling["jobs"]["0"]["source"], json!({"file": "src/lib.rs", "line": 12}));
    assert_eq!(profiling["jobs"]["0"]["cases"][0]["wall_ns"]["p99"], u64::MAX);
    assert_eq!(profiling["jobs"]["3"], json!({"name": "fetch", "status": "not profiled"}));

    let on_chain = package.on_chain("")?;
    assert_eq!(on_chain.jobs.len(), 4);
    assert!(on_chain.jobs[&0].is_profiled() && on_chain.jobs[&2].is_profiled());
    assert_eq!([&on_chain.jobs[&1], &on_chain.jobs[&3]], [&JobProfile::not_profiled(); 2]);

    assert_eq!(warnings(&lines).len(), 1);
    assert!(warnings(&lines)[0].contains("`fetch`"), "{lines:?}");
    Ok(())
}

#[test]
fn only_what_is_new_changes_the_text() -> TestResult {
    let package = Package::with_profiles(TANGLE, &[profile("square", Some(0))])?;
    package.build()?;
    let text = fs::read_to_string(package.document())?;
    let inline =
        r#"    { "name": "square", "job_index": 0, "inputs": ["u64"], "execution": "faas", "profile": {"status":"#;
    assert!(text.contains(inline), "{text}");
    assert!(text.contains("  \"manager\": { \"Evm\": \"SquaringBSM\" },\n"), "{text}");
    assert!(text.contains("\n  ],\n  \"profiling\": {\n    \"schema\": "), "{text}");
    assert!(text.ends_with("\"\n}\n"), "{text}");
    Ok(())
}

#[test]
fn profiles_go_to_jobs_by_name_then_by_position() -> TestResult {
    let profiles = [profile("square", None), profile("cube", Some(1)), profile("fetch", Some(2))];
    let package = Package::with_profiles(DEFINITION, &profiles)?;
    let lines = package.build()?;
    let document = package.read()?;
    assert!((0..3).all(|position| document["jobs"][position]["profile"]["status"] == "profiled"));
    assert_eq!(document.get("profiling_data"), None);
    let on_chain: Value = serde_json::from_str(document["metadata"]["profiling_data"].as_str().ok_or("a string")?)?;
    assert_eq!(on_chain["execution_profile"], json!({"confidentiality": "any"}));
    assert_eq!(on_chain["schema"], "tangle.blueprint.metadata.v1");
    assert!(package.on_chain("/metadata")?.jobs.values().all(JobProfile::is_profiled));
    assert_eq!(warnings(&lines), [""; 0]);
    Ok(())
}

#[test]
fn figures_of_a_debug_build_are_told_apart() -> TestResult {
    let mut debug = profile("cube", Some(2));
    debug.environment.debug_assertions = true;
    let package = Package::with_profiles(TANGLE, &[profile("square", Some(0)), debug, profile("fetch", Some(3))])?;
    let lines = package.build()?;
    assert_eq!(warnings(&lines).len(), 1, "{lines:?}");
    assert!(
        warnings(&lines)[0].contains("not optimised, and so judged unfit for serverless platforms: `cube` (`id = 2`)."),
        "{lines:?}"
    );
    let document = package.read()?;
    assert_eq!(document["jobs"][1]["profile"]["stale"], json!(["opt_level"]));
    assert!(!package.on_chain("")?.jobs[&2].is_profiled());
    Ok(())
}

#[test]
fn cases_of_two_machines_are_told_and_refused() -> TestResult {
    let mut mixed = profile("cube", Some(2));
    mixed.cases.push(mixed.cases[0].clone());
    mixed.cases[1].params.insert("n".to_owned(), 20.into());
    let mut elsewhere = mixed.origin().to_owned();
    elsewhere.environment.cpu_model = Some("Another CPU".to_owned());
    mixed.cases[1].origin = Some(elsewhere);
    mixed.advice = Some(Advice { platforms: vec![compatible("aws-lambda")], ..Advice::default() });
    let package = Package::with_profiles(TANGLE, &[profile("square", Some(0)), mixed, profile("fetch", Some(3))])?;
    let lines = package.build()?;
    let found = warnings(&lines).join("\n");
    assert!(
        found.contains("`cube` (`id = 2`): its cases were measured in different builds or on different machines"),
        "{found}"
    );
    let document = package.read()?;
    let job = &document["jobs"][1]["profile"];
    assert_eq!((&job["status"], &job["stale"]), (&json!("stale"), &json!(["unknown"])));
    assert!(!package.on_chain("")?.jobs[&2].is_profiled() && package.on_chain("")?.jobs[&0].is_profiled());
    let listed = &document["profiling"]["jobs"]["2"];
    assert_eq!(listed["cases"][1]["origin"]["environment"]["cpu_model"], "Another CPU");
    assert_eq!(listed["advice"]["platforms"][0]["verdict"], "unknown");
    assert_eq!(listed["advice"]["platforms"][0]["reasons"][0]["constraint"], "mixture");
    Ok(())
}

#[test]
fn a_clone_knows_of_two_machines_too_and_a_build_script_can_deny_them() -> TestResult {
    let mut mixed = profile("square", Some(0));
    mixed.cases.push(mixed.cases[0].clone());
    mixed.cases[1].params.insert("n".to_owned(), 20.into());
    let package = measured_package(&mut [mixed])?;
    let mut mixed = package.store().load_all()?.remove(0);
    let mut elsewhere = mixed.origin().to_owned();
    elsewhere.environment.logical_cpus = Some(64);
    mixed.cases[1].origin = Some(elsewhere);
    package.save(&[mixed])?;
    package.build()?;
    let committed = package.read()?;
    assert_eq!(committed["jobs"][0]["profile"]["stale"], json!(["unknown"]));
    let error = package.embed()?.deny_stale().file(Path::new("blueprint.json"), None).expect_err("two machines");
    assert!(error.to_string().contains("64 CPUs"), "{error}");
    fs::remove_dir_all(package.path("target/profiling/p"))?;
    package.build()?;
    assert_eq!(package.read()?, committed);
    Ok(())
}

#[test]
fn what_contradicts_the_source_is_told() -> TestResult {
    let profiles = [profile("cube", Some(7)), profile("square", Some(3)), profile("extra", None)];
    let package = Package::with_profiles(TANGLE, &profiles)?;
    let lines = package.build()?;
    let found = warnings(&lines).join("\n");
    assert_eq!(package.read()?["jobs"][1]["profile"]["status"], "not profiled", "the index decides");
    for part in ["`cube` (`id = 7`)", "`extra`", "not profiled, and so", "`square`"] {
        assert!(found.contains(part), "{part}: {found}");
    }

    let package = Package::with_profiles(DEFINITION, &[profile("cube", Some(0))])?;
    let lines = package.build()?;
    assert!(warnings(&lines).join("\n").contains("`cube` has `id = 0` in the source and index 1"), "{lines:?}");
    Ok(())
}

#[test]
fn a_second_run_changes_nothing() -> TestResult {
    for document in [TANGLE, DEFINITION, &TANGLE.replace('\n', "\r\n"), &DEFINITION.replace(['\n', ' '], "")] {
        for profiles in [vec![], vec![profile("square", None), profile("fetch", Some(3))]] {
            let package = Package::new(document)?;
            // Without profiles: every job has failed.
            package.lock()?.remove("square")?;
            package.save(&profiles)?;
            package.build()?;
            let (text, modified) = (fs::read(package.document())?, fs::metadata(package.document())?.modified()?);
            std::thread::sleep(Duration::from_millis(20));
            package.build()?;
            assert_eq!(fs::read(package.document())?, text);
            assert_eq!(fs::metadata(package.document())?.modified()?, modified);
        }
    }
    Ok(())
}

#[test]
fn a_written_document_is_no_newer_than_the_script() -> TestResult {
    let package = Package::with_profiles(TANGLE, &[profile("square", Some(0))])?;
    let stamp = package.path("target/debug/build/p-1/invoked.timestamp");
    fs::write(&stamp, "")?;
    let started = fs::metadata(&stamp)?.modified()?;
    std::thread::sleep(Duration::from_millis(20));
    package.build()?;
    assert_eq!(fs::metadata(package.document())?.modified()?, started);
    fs::remove_file(stamp)?;
    assert!(package.embed()?.started < SystemTime::now());
    Ok(())
}

#[test]
fn every_path_that_cargo_watches_exists_and_is_old() -> TestResult {
    for profiled in [false, true] {
        let package = Package::new(TANGLE)?;
        if profiled {
            package.save(&[profile("square", Some(0))])?;
        }
        let embed = package.embed()?;
        let (started, directory) = (embed.started, embed.manifest_dir.clone());
        let lines = package.build()?;
        assert!(lines.contains(&"cargo::rerun-if-env-changed=PROFILING_OUT".to_owned()));
        let watched: Vec<PathBuf> = lines
            .iter()
            .filter_map(|line| Some(directory.join(line.strip_prefix("cargo::rerun-if-changed=")?)))
            .collect();
        let store = if profiled { package.store().directory() } else { package.store().profiling_directory() };
        assert_eq!(watched, [store, package.document()]);
        assert!(watched[1].metadata()?.modified()? <= started + Duration::from_millis(500));
        if !profiled {
            assert!(watched[0].metadata()?.modified()? <= started + Duration::from_millis(500));
        }
    }
    Ok(())
}

#[test]
fn without_a_store_the_documents_profiles_stay() -> TestResult {
    let package = Package::with_profiles(TANGLE, &[profile("square", Some(0)), profile("fetch", Some(3))])?;
    package.build()?;
    let mut document = package.read()?;
    let profiled = document.clone();
    document["jobs"].as_array_mut().ok_or("an array")?.push(json!({"name": "new", "job_index": 5}));
    let clone = Package::new(&serde_json::to_string_pretty(&document)?)?;

    let lines = clone.build()?;
    assert_eq!(warnings(&lines).len(), 1);
    assert!(warnings(&lines)[0].contains("stay as they are"), "{lines:?}");
    assert!(warnings(&lines)[0].contains("`cube`, `new`"), "{lines:?}");
    let marked = clone.read()?;
    for position in 0..3 {
        assert_eq!(marked["jobs"][position], profiled["jobs"][position]);
    }
    assert_eq!(marked["jobs"][3]["profile"], json!({"status": "not profiled"}));
    assert_eq!(marked["profiling"]["jobs"]["0"], profiled["profiling"]["jobs"]["0"]);
    assert_eq!(marked["profiling"]["jobs"]["5"], json!({"name": "new", "status": "not profiled"}));
    let on_chain = clone.on_chain("")?;
    assert_eq!(on_chain.jobs.len(), 6);
    assert!(on_chain.jobs[&0].is_profiled() && !on_chain.jobs[&5].is_profiled());

    let text = fs::read(clone.document())?;
    clone.build()?;
    assert_eq!(fs::read(clone.document())?, text);
    Ok(())
}

#[test]
fn without_a_store_and_profiles_jobs_are_only_marked() -> TestResult {
    let package = Package::new(DEFINITION)?;
    let lines = package.build()?;
    assert!(warnings(&lines)[0].contains("no job is profiled"), "{lines:?}");
    let mut expected: Value = serde_json::from_str(DEFINITION)?;
    for job in expected["jobs"].as_array_mut().ok_or("an array")? {
        job["profile"] = json!({"status": "not profiled"});
    }
    assert_eq!(package.read()?, expected);
    Ok(())
}

#[test]
fn a_job_that_failed_loses_its_profile() -> TestResult {
    let package = Package::with_profiles(TANGLE, &[profile("square", Some(0))])?;
    package.build()?;
    package.lock()?.remove("square")?;
    package.build()?;
    let document = package.read()?;
    assert_eq!(document["jobs"][0]["profile"], json!({"status": "not profiled"}));
    assert!(!document.to_string().contains("rustc 1.95.0"), "{document}");
    assert!(package.on_chain("")?.jobs.values().all(|profile| *profile == JobProfile::not_profiled()));
    Ok(())
}

#[test]
fn with_the_feature_on_nothing_happens() -> TestResult {
    let mut package = Package::with_profiles(TANGLE, &[profile("square", Some(0))])?;
    package.variables.insert("CARGO_FEATURE_PROFILING", "1".into());
    package.embed()?.into_blueprint("blueprint.json")?;
    package.embed()?.write_blueprint("blueprint.json", json!({"jobs": []}))?;
    let mut value = json!({"jobs": [{"name": "square"}]});
    package.embed()?.into_value(&mut value)?;
    assert_eq!(value, json!({"jobs": [{"name": "square"}]}));
    assert_eq!(fs::read_to_string(package.document())?, TANGLE);
    let mut embed = package.embed()?;
    embed.watch_script();
    assert_eq!(embed.lines, ["cargo::rerun-if-changed=build.rs"]);
    fs::remove_file(package.path("p/build.rs"))?;
    embed.watch_script();
    assert_eq!(embed.lines[1], "cargo::rerun-if-changed=Cargo.toml");
    Ok(())
}

#[test]
fn a_copy_of_the_sources_is_not_changed() -> TestResult {
    for marker in ["p/Cargo.toml.orig", "p/.cargo-checksum.json", ""] {
        let mut package = Package::new(TANGLE)?;
        if marker.is_empty() {
            let home = package.path("home");
            fs::create_dir_all(home.join("git/checkouts"))?;
            fs::rename(package.path("p"), home.join("git/checkouts/p"))?;
            package.variables.insert("CARGO_MANIFEST_DIR", home.join("git/checkouts/p").into());
        } else {
            fs::write(package.path(marker), "")?;
        }
        let manifest_dir = package.embed()?.manifest_dir;
        let lines = package.build()?;
        assert_eq!(lines, [""; 0], "{marker}");
        let mut embed = package.embed()?;
        embed.watch_script();
        assert_eq!(embed.lines.len(), if marker.is_empty() { 1 } else { 2 }, "{:?}", embed.lines);
        assert_eq!(fs::read_to_string(manifest_dir.join("blueprint.json"))?, TANGLE);
        assert!(!package.store().profiling_directory().exists());
        let copy: Value = serde_json::from_str(&fs::read_to_string(package.out().join("blueprint.json"))?)?;
        assert_eq!(copy["jobs"][0]["profile"], json!({"status": "not profiled"}));

        package.build_with(|embed| embed.file(Path::new("made.json"), Some(json!({"jobs": []}))))?;
        assert!(package.out().join("made.json").exists() && !manifest_dir.join("made.json").exists());
    }
    Ok(())
}

#[test]
fn what_is_wrong_is_named_and_the_document_stays() -> TestResult {
    for (document, parts) in [
        ("{\n  \"jobs\": [\n}", &["not valid JSON", "line 3 column 1"][..]),
        ("", &["not valid JSON", "line 1"]),
        ("{\"jobs\": [], \"n\": 1e999}", &["out of range", "line 1"]),
        ("\n[]", &["line 2, column 1", "not a JSON object"]),
        ("{\n\"jobs\": 3}", &["line 2, column 9", "/jobs", "not an array"]),
        ("{\"jobs\": [\n {},\n 7]}", &["line 3, column 2", "/jobs/1"]),
        ("{\"jobs\": [{\"job_index\": 1},\n{\"job_index\": 1}]}", &["line 2", "index 1"]),
        ("{\"jobs\": [{}], \"profiling_data\": {}}", &["line 1, column 34", "/profiling_data", "not a string"]),
    ] {
        let package = Package::with_profiles(document, &[profile("square", Some(0))])?;
        let error = package.build().expect_err(document).to_string();
        for part in parts.iter().chain(&["blueprint.json"]) {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert_eq!(fs::read_to_string(package.document())?, document);
    }
    Ok(())
}

#[test]
fn other_errors_leave_the_document_too() -> TestResult {
    let package = Package::with_profiles(TANGLE, &[profile("a", Some(0)), profile("b", Some(0))])?;
    let error = package.build().expect_err("two profiles of one id");
    assert!(error.to_string().contains("`a` and `b`"), "{error}");
    assert_eq!(format!("{error:?}"), error.to_string());
    fs::write(package.store().profile_path("a"), "{")?;
    let error = package.build().expect_err("damaged").to_string();
    assert!(error.contains("a.json") && error.contains("line 1"), "{error}");
    assert_eq!(fs::read_to_string(package.document())?, TANGLE);

    fs::write(package.document(), b"\xff")?;
    assert!(package.build().expect_err("not UTF-8").to_string().contains("utf-8"));
    fs::remove_file(package.document())?;
    let error = package.build().expect_err("no document").to_string();
    assert!(error.contains("blueprint.json") && error.contains("does not exist"), "{error}");
    let error = Embed::from_variables(|_| None).expect_err("no variables").to_string();
    assert!(error.contains("OUT_DIR"), "{error}");
    Ok(())
}

#[test]
fn a_mark_line_ends_and_numbers_are_kept() -> TestResult {
    let document = "\u{feff}{\r\n\t\"n\": 123456789012345678901234567890,\r\n\t\"jobs\": []\r\n}\r\n";
    let package = Package::with_profiles(document, &[])?;
    package.lock()?.remove("a")?;
    package.build()?;
    let text = fs::read_to_string(package.document())?;
    let expected = document.replace(
        "[]\r\n}",
        "[],\r\n\t\"profiling\": {\r\n\t\t\"schema\": \"profiling.blueprint/1\",\r\n\t\t\"jobs\": {}\r\n\t}\r\n}",
    );
    assert_eq!(text, expected);
    Ok(())
}

#[cfg(unix)]
#[test]
fn a_link_and_permissions_are_kept() -> TestResult {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let package = Package::with_profiles(TANGLE, &[profile("square", Some(0))])?;
    let real = package.path("elsewhere.json");
    fs::rename(package.document(), &real)?;
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640))?;
    symlink("../elsewhere.json", package.document())?;
    package.build()?;
    assert!(package.document().symlink_metadata()?.is_symlink());
    assert_eq!(real.metadata()?.permissions().mode() & 0o777, 0o640);
    assert!(fs::read_to_string(real)?.contains("\"status\":\"profiled\""));
    Ok(())
}

#[test]
fn the_managers_file_gets_the_documents_jobs() -> TestResult {
    let package = Package::with_profiles(TANGLE, &[profile("square", Some(0))])?;
    let path = package.store().blueprint_profiles_path();
    package.lock()?.write_blueprint_profiles(&[("square", Some(0))], &[], &[])?;
    assert_eq!(BlueprintProfiles::load_from_file(&path)?.jobs.len(), 1);

    let running = package.lock()?;
    package.build()?;
    assert_eq!(BlueprintProfiles::load_from_file(&path)?.jobs.len(), 1, "whoever holds the lock writes it");
    drop(running);
    package.build()?;
    let complete = BlueprintProfiles::load_from_file(&path)?;
    assert_eq!(complete.jobs.len(), 4);
    assert!(complete.jobs[&0].is_profiled() && (1..4).all(|id| !complete.jobs[&id].is_profiled()));

    BlueprintProfiles::new("other").save_to_file(&path)?;
    package.build()?;
    assert_eq!(BlueprintProfiles::load_from_file(&path)?.blueprint_name, "other");
    Ok(())
}

#[test]
fn a_build_for_a_triple_has_a_directory_of_its_own() -> TestResult {
    let mut package = Package::new(TANGLE)?;
    let root = package.path("target");
    package.variables.remove(OUT_VARIABLE);
    assert_eq!(package.embed()?.cross_directory(&root), None);
    let triple = root.join("x86_64-unknown-linux-gnu");
    package.variables.insert("OUT_DIR", triple.join("debug/build/p-1/out").into());
    assert_eq!(package.embed()?.cross_directory(&root), Some(triple));
    package.variables.insert(OUT_VARIABLE, "out".into());
    assert_eq!(package.embed()?.cross_directory(&root), None);
    Ok(())
}

#[test]
fn a_document_that_is_made_keeps_its_profiles() -> TestResult {
    let made = || serde_json::from_str::<Value>(TANGLE);
    let write = |package: &Package, document: Value| {
        package.build_with(|embed| embed.file(Path::new("blueprint.json"), Some(document)))
    };
    let package = Package::with_profiles(TANGLE, &[profile("square", Some(0)), profile("fetch", Some(3))])?;
    fs::remove_file(package.document())?;
    write(&package, made()?)?;
    let text = fs::read_to_string(package.document())?;
    assert!(text.starts_with("{\n  \"name\": \"squaring\",\n"), "{text}");
    write(&package, made()?)?;
    assert_eq!(fs::read_to_string(package.document())?, text);

    let clone = Package::new(&text)?;
    write(&clone, made()?)?;
    assert_eq!(fs::read_to_string(clone.document())?, text);

    let mut renamed = made()?;
    renamed["jobs"][0]["name"] = "other".into();
    write(&clone, renamed)?;
    let document = clone.read()?;
    assert_eq!(document["jobs"][0]["profile"], json!({"status": "not profiled"}));
    assert_eq!(document["profiling"]["jobs"]["0"], json!({"name": "other", "status": "not profiled"}));
    assert_eq!(document["jobs"][2]["profile"]["status"], "profiled");
    let on_chain = clone.on_chain("")?;
    assert!(!on_chain.jobs[&0].is_profiled() && on_chain.jobs[&3].is_profiled());

    fs::write(clone.document(), "[]")?;
    let error = write(&clone, made()?).expect_err("not a blueprint").to_string();
    assert!(error.contains("blueprint.json") && error.contains("line 1"), "{error}");
    Ok(())
}

#[test]
fn a_value_gets_its_profiles() -> TestResult {
    let package = Package::with_profiles("", &[profile("square", Some(0))])?;
    let mut value: Value = serde_json::from_str(TANGLE)?;
    package.embed()?.into_value(&mut value)?;
    assert_eq!(value["jobs"][0]["profile"]["status"], "profiled");
    let error = package.embed()?.into_value(&mut json!([])).expect_err("not a blueprint");
    assert!(error.to_string().contains("not a JSON object"), "{error}");
    Ok(())
}

/// A package with sources, whose profiles were measured of them.
fn measured_package(profiles: &mut [Profile]) -> TestResult<Package> {
    let mut package = Package::new(TANGLE)?;
    fs::create_dir_all(package.path("p/src"))?;
    fs::write(package.path("p/src/lib.rs"), "")?;
    fs::write(package.path("p/Cargo.toml"), "[package]\nname = \"p\"\nedition = \"2024\"\n[workspace]\n")?;
    package.variables.extend([("PROFILE", "release".into()), ("OPT_LEVEL", "3".into())]);
    let fingerprint = package.embed()?.fingerprint()?.fingerprint;
    for profile in &mut *profiles {
        profile.fingerprint = Some(fingerprint.clone());
    }
    package.save(profiles)?;
    Ok(package)
}

fn edit(package: &Package) -> TestResult {
    Ok(fs::write(package.path("p/src/lib.rs"), "pub fn new() {}")?)
}

#[test]
fn a_release_build_marks_what_is_stale() -> TestResult {
    let mut package = measured_package(&mut [profile("square", Some(0)), profile("cube", Some(2))])?;
    assert_eq!(warnings(&package.build()?).len(), 1, "of the job that nobody annotated");
    let fresh = package.read()?;
    assert_eq!(fresh["jobs"][0]["profile"]["status"], "profiled");

    edit(&package)?;
    let lines = package.build()?;
    let expected = "stale, and so judged unfit for serverless platforms: `cube` (`id = 2`), `square` (`id = 0`). \
                    Changed since the measurement: the sources of `p`.";
    assert!(warnings(&lines)[0].starts_with(expected), "{lines:?}");
    let stale = package.read()?;
    assert_eq!(stale["jobs"][0]["profile"]["status"], "stale");
    assert_eq!(stale["jobs"][0]["profile"]["stale"], json!(["sources"]));
    assert_eq!(stale["jobs"][0]["profile"]["p99_duration_ms"], 3, "what was measured stays to be seen");
    assert_eq!(stale["profiling"]["jobs"]["2"]["status"], "stale");
    assert!(package.on_chain("")?.jobs.values().all(|entry| *entry == JobProfile::not_profiled()));
    let for_manager = BlueprintProfiles::load_from_file(package.store().blueprint_profiles_path())?;
    assert!(for_manager.jobs.values().all(|entry| *entry == JobProfile::not_profiled()));
    assert!(package.store().load_all()?.iter().all(|profile| profile.stale == [Change::Sources]));

    // Another build says what it finds, and another release build says the same.
    package.variables.insert("PROFILE", "debug".into());
    package.build()?;
    assert_eq!(package.read()?, stale);
    package.variables.insert("PROFILE", "release".into());
    package.build()?;
    assert_eq!(package.read()?, stale);

    fs::write(package.path("p/src/lib.rs"), "")?;
    package.build()?;
    assert_eq!(package.read()?, fresh);
    assert!(package.store().load_all()?.iter().all(|profile| profile.stale.is_empty()));
    Ok(())
}

#[test]
fn only_a_release_build_judges() -> TestResult {
    let mut package = measured_package(&mut [profile("square", Some(0))])?;
    edit(&package)?;
    package.variables.insert("PROFILE", "debug".into());
    let lines = package.build_with(|embed| {
        embed.deny_stale = true;
        embed.file(Path::new("blueprint.json"), None)
    })?;
    assert_eq!(package.read()?["jobs"][0]["profile"]["status"], "profiled");
    assert!(!lines.iter().any(|line| line.contains("src/lib.rs") || line.contains("stale")), "{lines:?}");
    Ok(())
}

#[test]
fn a_build_script_can_deny_what_is_stale() -> TestResult {
    let package = measured_package(&mut [profile("square", Some(0))])?;
    let deny = |embed: Embed| {
        let mut embed = embed.deny_stale();
        embed.file(Path::new("blueprint.json"), None)
    };
    deny(package.embed()?)?;
    let embedded = package.read()?;
    edit(&package)?;
    let error = deny(package.embed()?).expect_err("stale");
    assert!(matches!(&error, EmbedError::Stale(lines) if lines.len() == 1), "{error}");
    assert_eq!(package.read()?, embedded);

    fs::write(package.path("p/Cargo.toml"), "nonsense")?;
    let error = deny(package.embed()?).expect_err("it can't be told");
    assert!(matches!(error, EmbedError::NoFingerprint(_)), "{error}");
    // Without, it is a warning.
    let lines = package.build()?;
    assert!(warnings(&lines).iter().any(|line| line.contains("profiles may be stale: ")), "{lines:?}");
    Ok(())
}

#[test]
fn the_profiles_of_a_clone_are_judged_too() -> TestResult {
    let package = measured_package(&mut [profile("square", Some(0)), profile("cube", None)])?;
    package.build()?;
    let committed = package.read()?;
    fs::remove_dir_all(package.path("target/profiling/p"))?;
    package.build()?;
    assert_eq!(package.read()?, committed);

    edit(&package)?;
    let lines = package.build()?;
    assert!(warnings(&lines).iter().any(|line| line.contains("stale, and so judged") && line.contains("`square`")));
    let stale = package.read()?;
    assert_eq!(stale["jobs"][0]["profile"]["status"], "stale");
    assert_eq!(stale["jobs"][2]["profile"]["status"], "not profiled");
    assert_eq!(stale["profiling"]["jobs"]["0"]["stale"], json!(["sources"]));
    assert!(package.on_chain("")?.jobs.values().all(|entry| !entry.is_profiled()));
    let error = package.embed()?.deny_stale().file(Path::new("blueprint.json"), None).expect_err("stale");
    assert!(matches!(error, EmbedError::Stale(_)), "{error}");

    fs::write(package.path("p/src/lib.rs"), "")?;
    package.build()?;
    assert_eq!(package.read()?, committed);
    Ok(())
}

#[test]
fn a_profile_of_nothing_known_is_stale() -> TestResult {
    let package = measured_package(&mut [])?;
    package.save(&[profile("square", Some(0))])?;
    let lines = package.build()?;
    assert!(warnings(&lines)[0].contains("it is not known what was measured"), "{lines:?}");
    assert_eq!(package.read()?["jobs"][0]["profile"]["stale"], json!(["unknown"]));
    Ok(())
}

#[test]
fn a_marked_store_is_no_reason_to_run_again() -> TestResult {
    let package = measured_package(&mut [profile("square", Some(0))])?;
    edit(&package)?;
    let mut embed = package.embed()?;
    let begin = SystemTime::now() - Duration::from_secs(100);
    embed.started = begin;
    embed.file(Path::new("blueprint.json"), None)?;
    let store = package.store();
    for path in [store.directory(), store.profile_path("square")] {
        assert!(fs::metadata(&path)?.modified()? <= begin, "{}", path.display());
    }
    Ok(())
}
