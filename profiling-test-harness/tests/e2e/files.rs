//! Whose the files are that lie there afterwards.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::sandbox::{
    OPTIMISED, Outcome, Package, Sandbox, TELLS_LEVEL, own_directory, run, started_by, two_lines, write,
};

/// The jobs that leave something, with what they leave.
const LEAVERS: [(&str, &str); 11] = [
    ("leaves_in_a_new_directory", "new/deep/0"),
    ("leaves_an_empty_file_once", "once"),
    ("leaves_by_renaming", "renamed"),
    ("leaves_a_directory", "made"),
    ("leaves_by_a_child", "by-a-child"),
    ("leaves_in_an_old_directory", "src/left"),
    ("leaves_a_link", "link"),
    ("leaves_more_in_a_file", "journal"),
    ("leaves_by_a_mapping", "mapped"),
    ("leaves_by_a_mapping_of_an_old_file", "old-mapped"),
    ("replaces_a_file", "counter"),
];
const INNOCENT: [&str; 4] =
    ["sorts", "removes_what_it_writes", "reads_what_setup_wrote", "reads_what_its_fixture_wrote"];

struct Leaver {
    sandbox: Sandbox,
    directory: PathBuf,
}

/// Optimised, so that there is advice.
fn leaver(name: &'static str) -> Leaver {
    let directory = own_directory(name);
    let source = include_str!("../fixtures/leaver.rs");
    let old = "x".repeat(4096);
    let files = [
        ("src/lib.rs", source),
        ("tests/profiling.rs", &*two_lines(name)),
        ("build.rs", TELLS_LEVEL),
        ("journal", "x"),
        ("old-mapped", &old),
        ("counter", "0"),
    ];
    Leaver { sandbox: Sandbox::alone(Package::at(name, &directory, &files, OPTIMISED).optimised()), directory }
}

fn sentences(profile: &Value) -> String {
    profile["stateful_evidence"].to_string()
}

impl Leaver {
    #[track_caller]
    fn expect_found(&self) {
        let directory = self.directory.canonicalize().expect("it is there");
        for (job, path) in LEAVERS {
            let profile = self.sandbox.profile(job);
            assert_eq!(profile["stateful"], true, "{job}: {}", profile["cases"][0]["evidence"]);
            let path = directory.join(path);
            assert!(path.symlink_metadata().is_ok(), "{job} was run");
            let path = format!("{} behind", path.display());
            assert!(sentences(&profile).contains(&path), "{job}: {}", sentences(&profile));
        }
        let temporary = self.sandbox.profile("leaves_in_its_temporary_directory");
        assert!(sentences(&temporary).contains("/temporary behind"), "{}", sentences(&temporary));
    }

    #[track_caller]
    fn expect_innocent(&self, jobs: &[&str]) {
        for job in jobs {
            let profile = self.sandbox.profile(job);
            assert_eq!(profile["stateful"], false, "{job}: {}", sentences(&profile));
            assert_eq!(profile["cases"][0]["evidence"], Value::Null, "{job}");
        }
    }
}

/// A process that rewrites a file every few milliseconds, builds of another crate, TMPDIR within the working
/// directory, output redirected.
#[test]
fn only_what_a_job_wrote_is_its_own() {
    let leaver = leaver("leaver");
    let log = fs::File::create(leaver.directory.join("run.log")).expect("writable");
    fs::create_dir(leaver.directory.join("scratch")).expect("writable");
    let mut harness = leaver.sandbox.harness("");
    let manifest = "[package]\nname = \"other\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
    write(&leaver.directory.join("other/Cargo.toml"), manifest);
    harness.env("TMPDIR", leaver.directory.join("scratch")).stdout(log);
    let done = AtomicBool::new(false);
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                fs::write(leaver.directory.join("blueprint.json.new"), "{}").expect("writable");
                fs::write(leaver.directory.join("default_1.profraw"), "x").expect("writable");
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let mut builds = 0;
        let (directory, done_too) = (&leaver.directory, &done);
        let mut build = leaver.sandbox.cargo("build --quiet --offline --manifest-path other/Cargo.toml");
        scope.spawn(move || {
            while !done_too.load(Ordering::Relaxed) {
                builds += 1;
                write(&directory.join("other/src/lib.rs"), &format!("pub fn other() -> u32 {{ {builds} }}"));
                run(build.env("CARGO_TARGET_DIR", "other/target").env_remove("CARGO_BUILD_BUILD_DIR")).expect_code(0);
            }
        });
        let ran = run_to_log(&mut harness);
        done.store(true, Ordering::Relaxed);
        ran
    });
    assert!(ran, "{}", fs::read_to_string(leaver.directory.join("run.log")).unwrap_or_default());
    leaver.expect_innocent(&INNOCENT);
    leaver.expect_found();
    let log = fs::read_to_string(leaver.directory.join("run.log")).expect("written");
    assert!(log.contains("stateful: leaves_by_renaming leaves the file "), "{log}");
    // What is there already is not made again.
    run(&mut leaver.sandbox.harness("")).expect_code(0);
    leaver.expect_innocent(&INNOCENT);
    leaver.expect_found();
}

fn run_to_log(harness: &mut Command) -> bool {
    harness.status().expect("it runs").success()
}

#[test]
fn where_namespaces_are_denied_nobody_is_accused() {
    let leaver = leaver("denied");
    let mut harness = leaver.sandbox.harness("--exact sorts leaves_by_renaming removes_what_it_writes");
    // There is no `unshare` to be found.
    let ran: Outcome = run(harness.env("PATH", "/nowhere"));
    ran.expect_code(0).says(&["perhaps stateful: leaves_by_renaming may leave the file ", "renamed behind: "]);
    leaver.expect_innocent(&["sorts", "removes_what_it_writes"]);
    let profile = leaver.sandbox.profile("leaves_by_renaming");
    assert_eq!(profile["stateful"], false, "{profile}");
    let finding = &profile["cases"][0]["evidence"][0];
    assert_eq!((&finding["kind"], &finding["certainty"]), (&"file".into(), &"unknown".into()));
    assert!(finding["reason"].as_str().is_some_and(|reason| reason.contains("unshare")), "{finding}");
}

/// The same as a user who is nobody in particular.
#[test]
fn a_user_without_privileges_finds_what_root_finds() {
    let leaver = leaver("unprivileged");
    let mut harness = leaver.sandbox.harness("");
    if rustix::process::geteuid().is_root() {
        let home = leaver.sandbox.target().parent().expect("it lies in one").to_owned();
        for directory in [&home, &leaver.directory] {
            let owned = Command::new("chown").args(["-R", "65534:65534"]).arg(directory).status();
            assert!(owned.expect("it is everywhere").success());
        }
        let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
        let may = ["unshare", "--user", "--map-current-user", "--keep-caps", "--mount", "true"];
        let may = Command::new(nobody[0]).args(&nobody[1..]).args(may).current_dir(&leaver.directory).status();
        if !may.is_ok_and(|status| status.success()) {
            return eprintln!("skipped: other users than root can't work here, or have no namespaces");
        }
        harness = started_by(&nobody, &harness);
    }
    run(&mut harness).expect_code(0);
    leaver.expect_innocent(&INNOCENT);
    leaver.expect_found();
}

/// As containers and some distributions do; the machine's own settings stay as they are.
#[test]
fn where_namespaces_are_denied_a_verdict_is_unknown_with_the_path() {
    let leaver = leaver("none_left");
    let deny = "for of in user mnt; do echo 0 > /proc/sys/user/max_${of}_namespaces || exit 99; done; exec \"$@\"";
    let deny = ["unshare", "--user", "--map-root-user", "sh", "-c", deny, "sh"];
    if !Command::new(deny[0]).args(&deny[1..]).arg("true").status().is_ok_and(|status| status.success()) {
        return eprintln!("skipped: there are no namespaces here to deny others in: other tests show what follows");
    }
    let ran = run(&mut started_by(&deny, &leaver.sandbox.harness("--samples 5")));
    ran.expect_code(0).says(&["perhaps stateful: leaves_a_link may leave the file "]);
    // What `setup` has written can't be told from the rest either.
    leaver.expect_innocent(&INNOCENT[..2]);
    for (job, path) in LEAVERS {
        let profile = leaver.sandbox.profile(job);
        assert_eq!((&profile["stateful"], &profile["stateful_evidence"]), (&false.into(), &Value::Null), "{job}");
        for platform in profile["advice"]["platforms"].as_array().expect("it was optimised") {
            let why = platform["reasons"].to_string();
            assert_eq!(platform["verdict"], "unknown", "{job}: {platform}");
            let path = leaver.directory.join(path);
            assert!(why.contains(&*path.to_string_lossy()) && why.contains("`unshare --user"), "{job}: {why}");
            assert!(why.contains("\"constraint\":\"state\""), "{why}");
        }
    }
    let sorts = leaver.sandbox.profile("sorts")["advice"]["platforms"].to_string();
    assert!(sorts.contains("aws-lambda") && !sorts.contains("\"state\""), "{sorts}");
    let temporary = leaver.sandbox.profile("leaves_in_its_temporary_directory");
    assert!(sentences(&temporary).contains("/temporary behind"), "it is the job's own: {}", sentences(&temporary));
}

const CASES: &str = "
#[profiling_core::profile_job(
    samples = 2, params(a = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], b = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), args(a + b),
)]
pub fn adds(sum: u32) -> u32 {
    sum
}
";

/// Nothing is read of them unless something changes.
#[test]
fn files_that_lie_there_take_no_time() {
    let directory = own_directory("many_files");
    let files = [("src/lib.rs", CASES), ("tests/profiling.rs", &*two_lines("many_files"))];
    let sandbox = Sandbox::alone(Package::at("many_files", &directory, &files, ""));
    let crowded = tempfile::tempdir().expect("writable");
    for directory in 0..500 {
        let directory = crowded.path().join(directory.to_string());
        fs::create_dir(&directory).expect("writable");
        (0..100).for_each(|file| fs::write(directory.join(file.to_string()), "").expect("writable"));
    }
    let empty = tempfile::tempdir().expect("writable");
    let took = |directory: &std::path::Path| {
        let ran = run(sandbox.harness("").current_dir(directory));
        ran.expect_code(0).says(&["adds/a=9,b=9 ... ok"]);
        ran.took
    };
    took(empty.path());
    let longer = (0..5).map(|_| took(crowded.path()).saturating_sub(took(empty.path()))).min().expect("five");
    // Some 0.06 s on an idle machine; a walk for each worker would take several seconds.
    assert!(longer < Duration::from_millis(700), "{longer:?} longer");
}
