//! Crates that depend on this workspace, built and run by cargo as a user's crate is.
//!
//! All packages share one build directory, so that dependencies are compiled once; every test has a
//! target directory of its own, which is where profiles lie.

use std::collections::HashMap;
use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use profiling_core::profile::SampleRecord;
use profiling_core::store::{BuildKind, Store};
use profiling_core::tangle::BlueprintProfiles;
use serde_json::Value;
use tempfile::TempDir;

/// Where packages and what is built of them are kept between runs.
const HOME: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/e2e");

/// What the jobs of shared packages need.
const DEPENDENCIES: &str = r#"
    [dependencies.tokio]
    version = "1"
    default-features = false
    features = ["rt", "time"]

    [target.'cfg(unix)'.dependencies.rustix]
    version = "1"
    features = ["time"]
"#;

/// A build script that tells how its package is optimised; what that depends on may not be.
pub(crate) const TELLS_LEVEL: &str =
    r#"fn main() { println!("cargo::rustc-env=PROFILING_OPT_LEVEL={}", std::env::var("OPT_LEVEL").unwrap()) }"#;

/// The profiles of cargo in which a package of a test is optimised as production is, and what it depends on is built
/// as for the others. Together with [`TELLS_LEVEL`], or with `Embed`.
pub(crate) const OPTIMISED: &str = r#"
    [profile.dev]
    debug = false
    opt-level = 1
    debug-assertions = false

    [profile.dev.package."*"]
    opt-level = 0
    debug-assertions = true
"#;

/// Jobs that keep something, or look as if they did.
const KEEPER: &str = include_str!("../fixtures/keeper.rs");

/// The two lines of a user's `tests/profiling.rs`.
pub(crate) fn two_lines(package: &str) -> String {
    format!("use {} as _;\nprofiling_test_harness::main!();\n", package.replace('-', "_"))
}

/// Writes a shared package: its name, its files, and more of its manifest.
#[cfg(unix)]
type WriteShared = fn(&'static str, &[(&str, &str)], &str) -> Package;

/// A crate that tests build and run.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    name: &'static str,
    directory: PathBuf,
    build: BuildKind,
}

impl Package {
    /// Nine jobs that fail and one that passes.
    pub(crate) fn failing() -> Self {
        let source = include_str!("../fixtures/failing.rs");
        Self::shared_optimised("failing", &[("src/lib.rs", source), ("tests/profiling.rs", &two_lines("failing"))], "")
    }

    /// Jobs of every kind that end well.
    pub(crate) fn zoo() -> Self {
        let source = include_str!("../fixtures/zoo.rs");
        let two_lines = two_lines("zoo");
        let more = r#"
            [[bench]]
            name = "costs"
            harness = false
            required-features = ["profiling"]
        "#;
        Self::shared_optimised(
            "zoo",
            &[("src/lib.rs", source), ("tests/profiling.rs", &two_lines), ("benches/costs.rs", &two_lines)],
            more,
        )
    }

    /// Jobs that keep state or connections, start processes, or start slowly.
    pub(crate) fn keeper() -> Self {
        let main = Self::main_of_keeper("keeper");
        Self::shared("keeper", &[("src/lib.rs", KEEPER), ("tests/profiling.rs", &main)], "")
    }

    /// The same in a directory of its own.
    pub(crate) fn keeper_at(name: &'static str, directory: &Path) -> Self {
        let main = Self::main_of_keeper(name);
        Self::at(name, directory, &[("src/lib.rs", KEEPER), ("tests/profiling.rs", &main)], DEPENDENCIES)
    }

    fn main_of_keeper(name: &str) -> String {
        let main = r#"
            fn main() -> std::process::ExitCode {
                if std::env::var_os("KEEPER_CHILD").is_some() {
                    keeper::be_an_expensive_child();
                    return std::process::ExitCode::SUCCESS;
                }
                harness::run()
            }
            mod harness {
                profiling_test_harness::main!();
                pub fn run() -> std::process::ExitCode {
                    main()
                }
            }
        "#;
        main.replace("keeper::", &format!("{name}::"))
    }

    /// Jobs for a stage that is smaller than this machine.
    #[cfg(target_os = "linux")]
    pub(crate) fn rehearsed() -> Self {
        let source = include_str!("../fixtures/rehearsed.rs");
        let two_lines = two_lines("rehearsed");
        // There is no advice for jobs that are not optimised; what they depend on is that of the others.
        let files = [("src/lib.rs", source), ("tests/profiling.rs", &*two_lines)];
        Self::shared_optimised("rehearsed", &files, "")
    }

    /// Jobs whose instructions are counted.
    #[cfg(target_os = "linux")]
    pub(crate) fn counting() -> Self {
        let source = include_str!("../fixtures/counting.rs");
        Self::shared("counting", &[("src/lib.rs", source), ("tests/profiling.rs", &two_lines("counting"))], "")
    }

    /// Jobs whose inputs are made once per worker.
    pub(crate) fn made() -> Self {
        let source = include_str!("../fixtures/made.rs");
        Self::shared("made", &[("src/lib.rs", source), ("tests/profiling.rs", &two_lines("made"))], "")
    }

    /// Jobs beside which something runs.
    #[cfg(target_os = "linux")]
    pub(crate) fn bystanders() -> Self {
        let source = include_str!("../fixtures/bystanders.rs");
        Self::shared("bystanders", &[("src/lib.rs", source), ("tests/profiling.rs", &two_lines("bystanders"))], "")
    }

    /// Jobs that have much to say to the harness.
    pub(crate) fn messages() -> Self {
        let source = include_str!("../fixtures/messages.rs");
        Self::shared("messages", &[("src/lib.rs", source), ("tests/profiling.rs", &two_lines("messages"))], "")
    }

    /// Jobs with budgets, and jobs that are measured for as long as it takes.
    pub(crate) fn limits() -> Self {
        let source = include_str!("../fixtures/limits.rs");
        let files = [("src/lib.rs", source), ("tests/profiling.rs", &*two_lines("limits"))];
        Self::shared_optimised("limits", &files, "")
    }

    /// The same jobs, in a build of which there is no advice.
    pub(crate) fn unoptimised_limits() -> Self {
        let source = include_str!("../fixtures/limits.rs");
        let files = [("src/lib.rs", source), ("tests/profiling.rs", &*two_lines("unoptimised_limits"))];
        Self::shared("unoptimised_limits", &files, "")
    }

    /// Jobs whose growth is known, optimised.
    pub(crate) fn growing() -> Self {
        let source = include_str!("../fixtures/growing.rs");
        let more = "[profile.dev.package.growing]\nopt-level = 3\n";
        Self::shared_optimised(
            "growing",
            &[("src/lib.rs", source), ("tests/profiling.rs", &two_lines("growing"))],
            more,
        )
    }

    /// Test binaries with jobs and allocators of their own.
    pub(crate) fn variants() -> Self {
        let sources = [
            ("no_jobs", include_str!("../fixtures/variants/no_jobs.rs")),
            ("duplicate_ids", include_str!("../fixtures/variants/duplicate_ids.rs")),
            ("duplicate_names", include_str!("../fixtures/variants/duplicate_names.rs")),
            ("uncounted", include_str!("../fixtures/variants/uncounted.rs")),
            ("unknown_target", include_str!("../fixtures/variants/unknown_target.rs")),
            ("wrapped", include_str!("../fixtures/variants/wrapped.rs")),
            ("many", include_str!("../fixtures/variants/many.rs")),
        ];
        let paths = sources.map(|(name, _)| format!("tests/{name}.rs"));
        let two_lines = two_lines("variants");
        let mut files =
            vec![("src/lib.rs", include_str!("../fixtures/variants/lib.rs")), ("tests/profiling.rs", &two_lines)];
        files.extend(paths.iter().map(String::as_str).zip(sources.map(|(_, source)| source)));
        let more = sources.map(|(name, _)| test_target(name)).concat();
        Self::shared_optimised("variants", &files, &more)
    }

    /// Jobs as they were, and as they are now.
    #[cfg(unix)]
    pub(crate) fn compared() -> Self {
        let [before, after] =
            [include_str!("../fixtures/compared/before.rs"), include_str!("../fixtures/compared/after.rs")];
        Self::of_tests("compared", [("before", before), ("after", after)], Self::shared)
    }

    /// Jobs some of whose executions become worse, in binaries that differ elsewhere, too.
    #[cfg(unix)]
    pub(crate) fn judged() -> Self {
        let before = include_str!("../fixtures/judged.rs");
        let moved = "const CHANGED: bool = true;\n\n#[used]\nstatic KEPT: [fn(u64) -> u64; 2] = [first, second];\n\n\
            #[inline(never)]\nfn first(value: u64) -> u64 {\n    value.rotate_left(7) ^ 0x1234_5678\n}\n\n\
            #[inline(never)]\nfn second(value: u64) -> u64 {\n    \
            (0..value % 9).fold(value, |sum, number| sum ^ first(number))\n}\n";
        let after = before.replace("const CHANGED: bool = false;\n", moved);
        Self::of_tests("judged", [("before", before), ("after", &after)], Self::shared_optimised)
    }

    /// A test binary, and the one that a build puts in its place.
    #[cfg(target_os = "linux")]
    pub(crate) fn rebuilt() -> Self {
        let [old, new] = [include_str!("../fixtures/rebuilt/old.rs"), include_str!("../fixtures/rebuilt/new.rs")];
        Self::of_tests("rebuilt", [("old", old), ("new", new)], Self::shared)
    }

    /// A shared package with two test binaries that have jobs and a `main!` of their own.
    #[cfg(unix)]
    fn of_tests(name: &'static str, tests: [(&str, &str); 2], write: WriteShared) -> Self {
        let paths = tests.map(|(test, _)| format!("tests/{test}.rs"));
        let mut files = vec![("src/lib.rs", ""), ("tests/profiling.rs", "profiling_test_harness::main!();\n")];
        files.extend(paths.iter().map(String::as_str).zip(tests.map(|(_, source)| source)));
        write(name, &files, &tests.map(|(test, _)| test_target(test)).concat())
    }

    /// A package that is kept and shared between tests, none of which changes it. All have the same dependencies,
    /// so that these are built once.
    fn shared(name: &'static str, files: &[(&str, &str)], more: &str) -> Self {
        let _writing = lock("packages");
        let more = format!("{DEPENDENCIES}\n{more}");
        Self::at(name, &Path::new(HOME).join(name), files, &more)
    }

    /// A shared package that is optimised.
    fn shared_optimised(name: &'static str, files: &[(&str, &str)], more: &str) -> Self {
        let files: Vec<_> = files.iter().copied().chain([("build.rs", TELLS_LEVEL)]).collect();
        Self::shared(name, &files, &format!("{more}\n{OPTIMISED}")).optimised()
    }

    /// Writes a package into a directory: the manifest that users write, with `more` after it, the
    /// workspace's own locked versions, and `files`.
    pub(crate) fn at(name: &'static str, directory: &Path, files: &[(&str, &str)], more: &str) -> Self {
        write(&directory.join("Cargo.toml"), &manifest(name, more));
        let locked = workspace().join("Cargo.lock");
        if locked.is_file() && !directory.join("Cargo.lock").is_file() {
            fs::copy(locked, directory.join("Cargo.lock")).expect("both are files");
        }
        for (path, content) in files {
            write(&directory.join(path), content);
        }
        Self { name, directory: directory.to_owned(), build: BuildKind::Unoptimised }
    }

    /// Says that the builds that a test looks at the profiles of are optimised.
    pub(crate) fn optimised(self) -> Self {
        Self { build: BuildKind::Optimised, ..self }
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.directory.join(file)
    }
}

/// An empty directory for a package that one test has to itself. Cargo tells packages that share a build
/// directory apart by their names, so no two tests take the same one.
pub(crate) fn own_directory(name: &str) -> PathBuf {
    let directory = Path::new(HOME).join(name);
    if directory.exists() {
        fs::remove_dir_all(&directory).expect("nobody else uses it");
    }
    directory
}

pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the harness lies in the workspace")
}

fn manifest(name: &str, more: &str) -> String {
    let workspace = workspace().display();
    let profile = if more.contains("[profile.dev]") { "" } else { "[profile.dev]\ndebug = false\n" };
    format!(
        r#"
            [package]
            name = "{name}"
            version = "0.1.0"
            edition = "2024"
            description = "made by a test"
            license = "MIT"

            [features]
            profiling = ["profiling-core/profiling"]
            linkme = ["profiling", "profiling-core/linkme"]

            [dependencies]
            profiling-core = {{ path = '{workspace}/profiling-core', version = "0.1.0" }}

            [dev-dependencies]
            profiling-test-harness = {{ path = '{workspace}/profiling-test-harness', version = "0.1.0" }}

            [[test]]
            name = "profiling"
            harness = false
            required-features = ["profiling"]

            {profile}
            [workspace]

            {more}
        "#
    )
}

/// A test binary with a `main!` of its own, for a manifest.
fn test_target(name: &str) -> String {
    format!("[[test]]\nname = \"{name}\"\nharness = false\nrequired-features = [\"profiling\"]\n")
}

/// Writes a file, unless it is as it should be: cargo compiles anew what is newer.
pub(crate) fn write(path: &Path, content: &str) {
    if fs::read_to_string(path).is_ok_and(|old| old == content) {
        return;
    }
    fs::create_dir_all(path.parent().expect("files lie in directories")).expect("a directory can be made");
    fs::write(path, content).expect("a file can be written");
}

/// Waits for a lock that threads and processes share.
fn lock(name: &str) -> File {
    let file = open_lock(name);
    file.lock().expect("a file can be locked");
    file
}

fn open_lock(name: &str) -> File {
    fs::create_dir_all(HOME).expect("a directory can be made");
    let path = Path::new(HOME).join(format!("{name}.lock"));
    File::options().write(true).create(true).truncate(false).open(path).expect("a file can be made")
}

/// A package with a target directory of this test's own.
#[derive(Debug)]
pub(crate) struct Sandbox {
    pub(crate) package: Package,
    target: PathBuf,
    _home: TempDir,
    _turn: File,
}

impl Sandbox {
    pub(crate) fn new(package: Package) -> Self {
        let turn = open_lock("turns");
        turn.lock_shared().expect("a file can be locked");
        Self::of(package, turn)
    }

    /// For a test that is about time: while it runs, no other one does.
    pub(crate) fn alone(package: Package) -> Self {
        Self::of(package, lock("turns"))
    }

    fn of(package: Package, turn: File) -> Self {
        let home = TempDir::new().expect("a directory can be made");
        // As cargo names it.
        let target = home.path().canonicalize().expect("it was just made").join("target");
        Self { package, target, _home: home, _turn: turn }
    }

    /// The target directory; it may not exist yet.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Builds into another directory from now on.
    pub(crate) fn set_target(&mut self, target: &Path) {
        target.clone_into(&mut self.target);
    }

    /// `cargo` with these arguments, in the package's directory.
    pub(crate) fn cargo(&self, arguments: &str) -> Command {
        self.command(cargo_path(), arguments)
    }

    /// The package's `tests/profiling.rs`, compiled, without cargo around it.
    pub(crate) fn harness(&self, arguments: &str) -> Command {
        self.test_binary("profiling", arguments)
    }

    /// One of the package's test binaries, without cargo around it.
    pub(crate) fn test_binary(&self, test: &'static str, arguments: &str) -> Command {
        self.command(self.executable(test), arguments)
    }

    /// Where cargo has put a test binary.
    pub(crate) fn executable(&self, test: &'static str) -> PathBuf {
        static KNOWN: Mutex<Option<HashMap<(&str, &str), PathBuf>>> = Mutex::new(None);
        let mut known = KNOWN.lock().expect("building doesn't panic");
        let known = known.get_or_insert_default();
        known.entry((self.package.name, test)).or_insert_with(|| self.build(test)).clone()
    }

    fn build(&self, test: &str) -> PathBuf {
        let line = format!("test --features profiling --test {test} --no-run --message-format json-render-diagnostics");
        let built = run(self.cargo(&line).env("CARGO_TARGET_DIR", Path::new(HOME).join("target")));
        built.expect_code(0);
        let mut messages = built.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let of_test = |message: &Value| message["target"]["name"] == test && message["executable"].is_string();
        let message = messages.rfind(of_test).expect("cargo names what it has built");
        PathBuf::from(message["executable"].as_str().expect("just checked"))
    }

    /// A program with these arguments, in the package's directory.
    pub(crate) fn command(&self, program: PathBuf, arguments: &str) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments.split_whitespace())
            .current_dir(&self.package.directory)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_BUILD_BUILD_DIR", Path::new(HOME).join("build"));
        for (name, _) in env::vars_os() {
            if disturbs(&name.to_string_lossy()) {
                command.env_remove(name);
            }
        }
        command
    }

    /// Where the package's builds keep their profiles.
    pub(crate) fn store(&self) -> Store {
        self.store_of(self.package.build)
    }

    pub(crate) fn store_of(&self, build: BuildKind) -> Store {
        Store::new(&self.target, self.package.name).of_build(build)
    }

    /// A job's profile, as anyone would read it; `null` where there is none.
    pub(crate) fn profile(&self, job: &str) -> Value {
        let path = self.store().profile_path(job);
        if !path.exists() {
            return Value::Null;
        }
        serde_json::from_slice(&fs::read(&path).expect("it exists")).expect("a profile is JSON")
    }

    /// A job's samples; none where there is no such file.
    pub(crate) fn samples(&self, job: &str) -> Vec<SampleRecord> {
        let Ok(file) = File::open(self.store().samples_path(job)) else { return Vec::new() };
        let text = io::read_to_string(flate2::read::GzDecoder::new(file)).expect("it is whole");
        text.lines().map(|line| serde_json::from_str(line).expect("a line is a sample")).collect()
    }

    /// The file for Tangle's manager.
    pub(crate) fn blueprint_profiles(&self) -> BlueprintProfiles {
        BlueprintProfiles::load_from_file(self.store().blueprint_profiles_path()).expect("the file is complete")
    }

    /// The names of the files in the package's directory of profiles.
    pub(crate) fn stored_files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.store().directory()).into_iter().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn cargo_path() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
}

/// Whether a variable of this process, which cargo or nextest has started, would change what a child does.
fn disturbs(variable: &str) -> bool {
    const OURS: [&str; 7] = ["CARGO", "RUST_TEST_", "NEXTEST", "PROFILING_", "CLICOLOR", "NO_COLOR", "FORCE_COLOR"];
    const USERS: [&str; 7] = [
        "CARGO_HOME",
        "CARGO_NET_",
        "CARGO_HTTP_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_RUSTFLAGS",
    ];
    // Set by `command`.
    const SET: [&str; 2] = ["CARGO_TARGET_DIR", "CARGO_BUILD_BUILD_DIR"];
    let starts_with = |prefixes: &[&str]| prefixes.iter().any(|prefix| variable.starts_with(prefix));
    starts_with(&OURS) && !starts_with(&USERS) && !SET.contains(&variable)
}

/// Copies a program that is about to be run. This process must not have it open for writing: another test may start a
/// process meanwhile, which would have it open, too, for a moment.
#[cfg(unix)]
#[track_caller]
pub(crate) fn copy_program(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().expect("cp is everywhere").success(), "{}", to.display());
}

/// Waits until it is another second: times in profiles have no smaller unit.
pub(crate) fn await_next_second() {
    let now = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
    std::thread::sleep(Duration::from_nanos(1_000_000_000 - u64::from(now.subsec_nanos())));
}

/// Whether there is a Valgrind; says so where there is none.
#[cfg(unix)]
pub(crate) fn has_valgrind() -> bool {
    let found = Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("skipped: valgrind is not installed");
    }
    found
}

/// A command that another one starts.
#[cfg(target_os = "linux")]
pub(crate) fn started_by(words: &[&str], command: &Command) -> Command {
    let mut started = Command::new(words[0]);
    started.args(&words[1..]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => started.env(name, value),
            None => started.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        started.current_dir(directory);
    }
    started
}

/// How a process ended, and what it printed.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

/// Runs a command to its end, and until nobody holds its output open any more.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let begin = Instant::now();
    let Output { status, stdout, stderr } = command.output().expect("the program exists");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    Outcome { status, stdout: text(stdout), stderr: text(stderr), took: begin.elapsed() }
}

impl Outcome {
    #[track_caller]
    pub(crate) fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(self.status.code(), Some(code), "{self}");
        self
    }

    /// Expects texts in standard output.
    #[track_caller]
    pub(crate) fn says(&self, texts: &[&str]) -> &Self {
        for text in texts {
            assert!(self.stdout.contains(text), "standard output lacks `{text}`\n{self}");
        }
        self
    }

    /// Expects texts in standard error.
    #[track_caller]
    pub(crate) fn complains(&self, texts: &[&str]) -> &Self {
        for text in texts {
            assert!(self.stderr.contains(text), "standard error lacks `{text}`\n{self}");
        }
        self
    }

    /// Expects texts to be absent from standard output.
    #[track_caller]
    pub(crate) fn never_says(&self, texts: &[&str]) -> &Self {
        for text in texts {
            assert!(!self.stdout.contains(text), "standard output has `{text}`\n{self}");
        }
        self
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { status, stdout, stderr, took } = self;
        write!(f, "{status} after {took:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}
