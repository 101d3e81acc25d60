//! The command line: libtest's flags, our own, their environment twins.

use serde_json::Value;

use crate::sandbox::{Outcome, Package, Sandbox, run};

/// Every job of the zoo, in order.
pub(crate) const JOBS: [&str; 23] = [
    "a_job_of_300_mib",
    "allocates_by_run",
    "awaits_nothing",
    "burns_100_ms_on_each_of_two_threads",
    "does_nothing",
    "holds_100_mib",
    "holds_100_mib_awaiting",
    "holds_100_mib_on_a_thread",
    "keeps_state",
    "leaves_children",
    "leaves_children_and_hangs",
    "left_out",
    "reads_its_input",
    "sleeps_40_ms",
    "sort",
    "spins_250_us",
    "square",
    "strange: [näme], with/slashes & \"quotes\"",
    "takes_turns",
    "takes_turns_too",
    "talks",
    "talks_a_lot",
    "tallies",
];
/// Those of them that are marked `ignore`.
pub(crate) const IGNORED: [&str; 2] = ["leaves_children_and_hangs", "left_out"];

const SORT: [&str; 4] = ["sort/n=10,order=up", "sort/n=10,order=down", "sort/n=100,order=up", "sort/n=100,order=down"];

/// The cases that were run and passed, in order.
fn passed(outcome: &Outcome) -> Vec<&str> {
    let lines = outcome.stdout.lines().filter_map(|line| line.strip_prefix("test "));
    lines.filter_map(|line| Some(line.split_once(" ... ok (")?.0)).collect()
}

fn terse(jobs: &[&str]) -> String {
    jobs.iter().map(|job| format!("{job}: test\n")).collect()
}

#[test]
fn lists() {
    let sandbox = Sandbox::new(Package::zoo());
    let list = |arguments: &str| run(&mut sandbox.harness(&format!("--list {arguments}")));

    assert_eq!(list("").expect_code(0).stdout, format!("{}\n23 tests, 0 benchmarks\n", terse(&JOBS)));
    assert_eq!(list("--format terse").stdout, terse(&JOBS));
    assert_eq!(list("--format terse --ignored").stdout, terse(&IGNORED));
    // nextest takes an empty line for a broken one.
    assert_eq!(list("--format terse --ignored square").stdout, "");
    assert_eq!(list("--format terse --exact sort").stdout, terse(&["sort"]));
    assert_eq!(list("--format terse talks --skip lot").stdout, terse(&["talks"]));

    let json = list("--format json -Z unstable-options");
    let events: Vec<Value> = json.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect();
    let found: Vec<&Value> = events.iter().filter(|event| event["event"] == "discovered").collect();
    assert!(found.iter().map(|event| &event["name"]).eq(JOBS.iter()), "{json}");
    assert!(found.iter().all(|event| event["ignore"] == IGNORED.contains(&event["name"].as_str().unwrap_or_default())));
    assert_eq!(events.last().map(|event| (&event["event"], &event["total"])), Some((&"completed".into(), &23.into())));

    // Through cargo, which gives the same arguments to the unit tests.
    let all = run(&mut sandbox.cargo("test --features profiling -- --list --format terse"));
    assert_eq!(all.expect_code(0).stdout, terse(&JOBS));
    assert!(!sandbox.store().profiling_directory().exists(), "a list measures nothing");
}

#[test]
fn selects() {
    let sandbox = Sandbox::new(Package::zoo());
    let select = |arguments: &str| run(&mut sandbox.harness(&format!("--samples 1 --warmup 0 {arguments}")));
    let runs = |arguments: &str, cases: &[&str]| {
        let outcome = select(arguments);
        outcome.expect_code(0);
        assert_eq!(passed(&outcome), cases, "{arguments}: {outcome}");
    };
    runs("square talks", &["square", "talks", "talks_a_lot"]);
    runs("--exact square talk", &["square"]);
    runs("--exact sort", &SORT);
    runs("--exact sort/n=100,order=up", &SORT[2..3]);
    runs("sort/n=100", &SORT[2..]);
    runs("order=down --skip n=100", &SORT[1..2]);
    runs("--exact talks talks_a_lot square --skip talks --skip sort", &["square", "talks_a_lot"]);
    runs("--ignored left_out square", &["left_out"]);
    runs("--include-ignored left_out square", &["left_out", "square"]);

    select("left_out square").expect_code(0).says(&["running 1 job\n", "test left_out ... ignored", "1 ignored; "]);
    let nothing = select("no_such_job");
    nothing.expect_code(0).says(&["running 0 jobs\n", "ok. 0 passed; 0 failed; 0 ignored; ", "23 filtered out"]);
    select("--ignored --include-ignored").expect_code(101);

    let strange = JOBS[17];
    let exact = run(sandbox.harness("--exact --nocapture").arg(strange));
    assert_eq!(passed(exact.expect_code(0)), [strange]);
    assert_eq!(sandbox.profile(strange)["job"], strange);
}

#[test]
fn shows_what_was_asked_for() {
    let sandbox = Sandbox::new(Package::zoo());
    let show = |arguments: &str| {
        let outcome = run(&mut sandbox.harness(&format!("--samples 1 --warmup 0 {arguments}")));
        outcome.expect_code(0);
        outcome
    };
    let said = "said to standard output\n";

    let plain = show("--exact talks");
    plain.says(&["test talks ... ok", "│ talks ", "wall p50", "test result: ok. 1 passed"]);
    plain.never_says(&[said, "\u{1b}["]);
    assert!(!plain.stderr.contains("not optimised"), "{plain}");
    assert!(!plain.stderr.contains("said to"), "{plain}");

    show("--exact talks --show-output").says(&["---- talks ----\nstdout:\nsaid to standard output\n", "stderr:\n"]);
    for flag in ["--nocapture", "--no-capture"] {
        show(&format!("--exact talks {flag}")).says(&[said]).complains(&["said to standard error\n"]);
    }
    let by_variable = run(sandbox.harness("--exact talks").env("RUST_TEST_NOCAPTURE", "1"));
    by_variable.expect_code(0).says(&[said]);

    let quiet = show("--exact talks -q");
    quiet.says(&["test result: ok. 1 passed"]).never_says(&["test talks", "wall p50", "running"]);
    show("--exact talks --quiet --color always").says(&["\u{1b}[32mok\u{1b}[0m"]);
    show("--exact talks --color always").says(&["\u{1b}["]);
    show("--exact talks --color never").never_says(&["\u{1b}["]);
    show("--exact talks --test-threads=4").complains(&["note: --test-threads has no effect"]);
    // What libtest takes has to pass, for it reaches every test binary.
    show("--exact talks --report-time -Z unstable-options --shuffle --shuffle-seed 7 --logfile x --format json");
}

#[test]
fn stops_at_the_first_failure_if_told_so() {
    let sandbox = Sandbox::new(Package::failing());
    let outcome = run(&mut sandbox.harness("--fail-fast --exact panics passes errs_at_3"));
    outcome
        .expect_code(101)
        .says(&["0 passed; 1 failed", "---- errs_at_3 ----"])
        .never_says(&["panics", "test passes"]);
}

#[test]
fn explains_itself() {
    let sandbox = Sandbox::new(Package::zoo());
    let help = run(&mut sandbox.harness("--help"));
    help.expect_code(0);
    for flag in ["samples", "warmup", "timeout", "out", "instructions", "in-process"] {
        let variable = format!("PROFILING_{}", flag.replace('-', "_").to_uppercase());
        help.says(&[&format!("--{flag}"), &variable]);
    }
    help.says(&["--exact", "--skip", "--include-ignored", "--test-threads", "Exit code"]);
    run(&mut sandbox.harness("--nonsense")).expect_code(101).complains(&["unexpected argument '--nonsense'"]);
}

#[test]
fn the_command_line_goes_before_the_environment_before_the_attribute() {
    let sandbox = Sandbox::new(Package::zoo());
    let samples = |arguments: &str, variable: Option<&str>| {
        let mut harness = sandbox.harness(&format!("--exact sort {arguments}"));
        run(harness.envs(variable.map(|value| ("PROFILING_SAMPLES", value)))).expect_code(0);
        sandbox.profile("sort")["sample_size"].clone()
    };
    assert_eq!(samples("", None), 4, "the attribute's");
    assert_eq!(samples("", Some("3")), 3);
    assert_eq!(samples("--samples 2", Some("3")), 2);
    // As CI systems set what nobody gave a value.
    assert_eq!(samples("", Some("")), 4);

    let failing = Sandbox::new(Package::failing());
    let reason = |arguments: &str, variable: (&str, &str)| {
        let outcome = run(failing.harness(arguments).env(variable.0, variable.1));
        outcome.expect_code(101);
        outcome
    };
    reason("--exact errs_in_warmup", ("PROFILING_WARMUP", "0"))
        .says(&["failed in execution 0 (sample 0): returned Err"]);
    let warmup = ("PROFILING_WARMUP", "0");
    reason("--exact errs_in_warmup --warmup 2", warmup).says(&["failed in execution 0 (a warm-up): returned Err"]);
    let timeout = ("PROFILING_TIMEOUT", "300ms");
    reason("--exact loops_forever", timeout).says(&["timed out: not finished after 300ms"]);
    reason("--exact loops_forever --timeout 200ms", timeout).says(&["timed out: not finished after 200ms"]);
}

#[test]
fn an_unusable_value_is_named_with_its_source() {
    let sandbox = Sandbox::new(Package::zoo());
    for (variable, value) in [
        ("PROFILING_SAMPLES", "0"),
        ("PROFILING_SAMPLES", "many"),
        ("PROFILING_WARMUP", "-1"),
        ("PROFILING_TIMEOUT", "5"),
    ] {
        let outcome = run(sandbox.harness("--exact square").env(variable, value));
        outcome.expect_code(101).complains(&[variable, value]);
    }
    run(&mut sandbox.harness("--samples 0")).expect_code(101).complains(&["--samples"]);
    run(&mut sandbox.harness("--timeout 5")).expect_code(101).complains(&["--timeout", "30s"]);
}

#[test]
fn profiles_go_where_they_are_wanted() {
    let sandbox = Sandbox::new(Package::zoo());
    let elsewhere = sandbox.target().with_file_name("else where");
    let third = sandbox.target().with_file_name("third");
    let outcome = run(sandbox.harness("--exact square").env("PROFILING_OUT", &elsewhere));
    outcome.expect_code(0).says(&[&format!("profiles: {}", elsewhere.join("profiling/zoo").display())]);
    assert!(elsewhere.join("profiling/zoo/square.json").is_file());
    assert!(elsewhere.join("blueprint-profiles.json").is_file());
    run(sandbox.harness("--exact sort --out").arg(&third).env("PROFILING_OUT", &elsewhere)).expect_code(0);
    assert!(third.join("profiling/zoo/sort.samples.jsonl.gz").is_file());
    assert!(!elsewhere.join("profiling/zoo/sort.json").exists());
    assert!(!sandbox.store().profiling_directory().exists());
}

#[test]
fn in_process_runs_and_stores_nothing() {
    let sandbox = Sandbox::new(Package::failing());
    let outcome = run(&mut sandbox.harness("--in-process --exact panics errs_at_3 errs_in_warmup passes"));
    outcome.expect_code(101).says(&[
        "1 passed; 3 failed",
        "---- panics ----\nfailed in execution 0 (a warm-up): panicked at src/lib.rs:14:5: the job panicked",
        "---- errs_at_3 ----\nfailed in execution 3 (sample 2): returned Err: the job returned \\u{1b}[31man error",
        "---- errs_in_warmup ----\nfailed in execution 0 (a warm-up): returned Err: only the warm-up fails",
        "test passes ... ok",
    ]);
    let good = run(sandbox.harness("--exact passes aborts").env("PROFILING_IN_PROCESS", "1").env("GOOD_DAY", "1"));
    good.expect_code(0).says(&["2 passed; 0 failed"]).complains(&["note: --in-process"]);
    assert!(!sandbox.target().exists());
}
