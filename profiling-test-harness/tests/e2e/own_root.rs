//! What lies in the directory for temporary files and isn't ours stays.

use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::geteuid;
use tempfile::TempDir;

use crate::cgroups;
use crate::processes;
use crate::sandbox::{Outcome, Package, Sandbox, copy_program, run};

/// The user who no file belongs to.
const NOBODY: u32 = 65_534;

/// A directory for temporary files, shared as `/tmp` is.
struct Shared(TempDir);

impl Shared {
    fn new() -> Self {
        let shared = TempDir::new().expect("writable");
        fs::set_permissions(shared.path(), fs::Permissions::from_mode(0o1777)).expect("it is ours");
        Self(shared)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// The root of a user, made if it isn't there.
    fn root(&self, user: u32) -> PathBuf {
        let root = self.path().join(format!("profiling-harness-{user}"));
        if !root.exists() {
            fs::DirBuilder::new().mode(0o700).create(&root).expect("writable");
            chown(&root, Some(user), None).expect("it is this user's, or root's to give");
        }
        root
    }

    fn run(&self, mut harness: Command) -> Outcome {
        run(harness.env("TMPDIR", self.path()))
    }
}

/// A directory as a run of this user leaves it that was killed, with a file in it and a record of what it made elsewhere.
fn killed_run(root: &Path, token: &str, user: u32, record: &str) -> PathBuf {
    let directory = root.join(format!("run-{token}"));
    fs::DirBuilder::new().mode(0o700).create(&directory).expect("writable");
    for (name, content) in [("lock", ""), ("file", "x"), ("elsewhere", record)] {
        fs::write(directory.join(name), content).expect("writable");
        chown(directory.join(name), Some(user), None).expect("it is this user's, or root's to give");
    }
    chown(&directory, Some(user), None).expect("it is this user's, or root's to give");
    directory
}

/// Every file and directory below.
fn tree(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("readable").map(|entry| entry.expect("readable")) {
        found.push(entry.path());
        if entry.file_type().expect("readable").is_dir() {
            found.extend(tree(&entry.path()));
        }
    }
    found.sort();
    found
}

fn write(path: PathBuf) {
    fs::create_dir_all(path.parent().expect("it lies in a directory")).expect("writable");
    fs::write(path, "of a user").expect("writable");
}

#[test]
fn what_only_looks_like_ours_stays() {
    let (sandbox, shared, outside) = (Sandbox::new(Package::keeper()), Shared::new(), Shared::new());
    let user = geteuid().as_raw();
    let root = shared.root(user);
    for path in [
        "profiling-2024-11-28/notes",
        "profiling-1-0123456789abcdef/cgroups/x",
        "profiling-4294967295-x/file",
        "profiling-harness/run-0123456789abcdef/lock",
        "profiling-harness-notes/run-0123456789abcdef/lock",
        "run-0123456789abcdef/lock",
    ] {
        write(shared.path().join(path));
    }
    for path in [
        "notes/file",
        "run-notes/lock",
        "run-0123456789ABCDEF/lock",
        "run-0123456789abcdef.txt",
        "run-00000000000000ff",
    ] {
        write(root.join(path));
    }
    write(outside.path().join("run/lock"));
    symlink(outside.path().join("run"), root.join("run-00000000000000ee")).expect("nothing is there");
    let living = killed_run(&root, "00000000000000dd", user, "");
    let held = File::options().write(true).open(living.join("lock")).expect("it was just made");
    held.lock().expect("nobody else holds it");
    let before = [tree(shared.path()), tree(outside.path())];

    // What it says that it has made elsewhere has others' names, or is a link to it.
    let token = "00000000000000aa";
    let link = outside.path().join(format!("profiling-{token}-1"));
    symlink(outside.path().join("run"), &link).expect("nothing is there");
    let foreign = outside.path().join("run");
    let record = format!("d{0}\0f{0}/lock\0g{0}\0d{1}\0f{1}\0", foreign.display(), link.display());
    let dead = killed_run(&root, token, user, &record);
    symlink(outside.path().join("run"), dead.join("link")).expect("nothing is there");

    shared.run(sandbox.harness("--exact removes_its_file")).expect_code(0).says(&["1 passed; 0 failed"]);
    assert!(!dead.exists(), "it is ours, and over");
    fs::remove_file(link).expect("it is a link, and stays");
    assert_eq!([tree(shared.path()), tree(outside.path())], before);
    drop(held);
    shared.run(sandbox.harness("--exact removes_its_file")).expect_code(0);
    assert!(!living.exists(), "it is over now");
}

#[test]
fn groups_that_only_look_like_ours_stay() {
    if !cgroups::can_be_made() {
        return eprintln!("skipped: this machine lets us make no control groups");
    }
    let (sandbox, shared) = (Sandbox::new(Package::keeper()), Shared::new());
    let names = ["profiling-1-notes", "profiling-4194304-0123456789abcdef-1"];
    let groups: Vec<PathBuf> = cgroups::own().iter().flat_map(|own| names.map(|name| own.join(name))).collect();
    for group in &groups {
        fs::create_dir(group).expect("groups can be made");
    }
    let outcome = shared.run(sandbox.harness("--exact has_a_short_child"));
    let gone: Vec<_> = groups.iter().filter(|group| fs::remove_dir(group).is_err()).collect();
    outcome.expect_code(0);
    assert!(gone.is_empty(), "{gone:?}");
}

#[test]
fn a_root_that_is_a_link_is_not_followed() {
    let (sandbox, shared, outside) = (Sandbox::new(Package::keeper()), Shared::new(), Shared::new());
    let user = geteuid().as_raw();
    killed_run(outside.path(), "00000000000000aa", user, "");
    fs::set_permissions(outside.path(), fs::Permissions::from_mode(0o700)).expect("it is ours");
    let root = shared.path().join(format!("profiling-harness-{user}"));
    symlink(outside.path(), &root).expect("nothing is there");
    let before = [tree(shared.path()), tree(outside.path())];
    let outcome = shared.run(sandbox.harness("--exact removes_its_file"));
    outcome.expect_code(0).complains(&[&format!("note: `{}` is no directory", root.display())]);
    assert_eq!([tree(shared.path()), tree(outside.path())], before);
}

/// `/tmp` is often shared between containers, which don't see each other's processes.
#[test]
fn a_run_in_another_container_lives_on() {
    let contained = |arguments: &[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.args(arguments).args(["--pid", "--fork", "--mount-proc"]);
        unshare
    };
    let ways: [&[&str]; 2] = [&[], &["--user", "--map-current-user", "--keep-caps"]];
    let works =
        |way: &&[&str]| contained(way).arg("true").stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    let Some(way) = ways.into_iter().find(|way| works(way)) else {
        return eprintln!("skipped: this machine lets us make no namespace of processes");
    };
    let (living, other, shared) = (Sandbox::new(Package::keeper()), Sandbox::new(Package::failing()), Shared::new());
    let mut first = living.harness("--exact has_a_child_and_never_ends");
    first.env("TMPDIR", shared.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut first = first.spawn().expect("it runs");
    let deadline = Instant::now() + Duration::from_secs(30);
    while !processes::of(&living).iter().any(|process| process.command.starts_with("sleep")) {
        assert!(Instant::now() < deadline, "it has not got that far");
        std::thread::sleep(Duration::from_millis(5));
    }
    let seen = || (tree(shared.path()), cgroups::groups_of(first.id()));
    let before = seen();
    assert!(before.0.iter().any(|path| path.ends_with("lock")), "{before:?}");

    let plain = other.harness("--exact passes");
    let mut second = contained(way);
    second.arg(plain.get_program()).args(plain.get_args()).current_dir(plain.get_current_dir().expect("set"));
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => second.env(name, value),
            None => second.env_remove(name),
        };
    }
    let outcome = shared.run(second);
    let after = seen();
    let ended = first.try_wait().expect("it is a child");
    first.kill().expect("it is a child that wasn't waited for");
    first.wait().expect("it is a child");
    outcome.expect_code(0).says(&["1 passed; 0 failed"]);
    assert_eq!((after, ended), (before, None));
    // Now it is over.
    shared.run(other.harness("--exact passes")).expect_code(0);
    assert_eq!(tree(shared.path()), [shared.root(geteuid().as_raw())]);
    processes::expect_none(&living);
}

#[test]
fn what_is_another_users_stays() {
    let (sandbox, shared) = (Sandbox::new(Package::keeper()), Shared::new());
    if !geteuid().is_root() {
        return eprintln!("skipped: only root can act as two users");
    }
    let binary = shared.path().join("harness");
    copy_program(&sandbox.executable("profiling"), &binary);
    fs::DirBuilder::new().mode(0o777).create(shared.path().join("out")).expect("writable");
    fs::set_permissions(shared.path().join("out"), fs::Permissions::from_mode(0o777)).expect("it is ours");
    let as_nobody = |program: &Path| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &NOBODY.to_string(), "--regid", &NOBODY.to_string(), "--clear-groups"]).arg(program);
        command
    };
    let reads = as_nobody(Path::new("test")).arg("-r").arg(sandbox.package.path("Cargo.toml")).status();
    if !reads.is_ok_and(|status| status.success()) {
        return eprintln!("skipped: another user can't read the package, or there is no `setpriv` (util-linux)");
    }
    let theirs = || {
        let mut harness = as_nobody(&binary);
        harness.args(["--exact", "removes_its_file"]).env("PROFILING_OUT", shared.path().join("out"));
        harness.current_dir(shared.path());
        harness
    };
    let [own, other] = [0, NOBODY].map(|user| killed_run(&shared.root(user), "00000000000000aa", user, ""));
    shared.run(sandbox.harness("--exact removes_its_file")).expect_code(0);
    assert!(!own.exists() && other.exists(), "root leaves alone what is another's");
    let own = killed_run(&shared.root(0), "00000000000000aa", 0, "");
    shared.run(theirs()).expect_code(0);
    assert!(own.exists() && !other.exists());
    // Who makes the other's root first gets nothing in it, and loses nothing.
    fs::remove_dir(shared.root(NOBODY)).expect("it is empty");
    let taken = shared.root(NOBODY);
    chown(&taken, Some(0), None).expect("root may");
    killed_run(&taken, "00000000000000aa", 0, "");
    fs::set_permissions(&taken, fs::Permissions::from_mode(0o777)).expect("root may");
    let before = tree(&taken);
    let why = format!("note: `{}` belongs to the user 0, not to {NOBODY}", taken.display());
    shared.run(theirs()).expect_code(0).complains(&[&why]);
    assert_eq!(tree(&taken), before);
}
