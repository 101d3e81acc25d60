//! `run` is the execution's number: in `setup`, `args`, `verify`, `teardown` and format strings.

use std::sync::Mutex;

use profiling_core::profile_job;

#[path = "../support.rs"]
mod support;

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn see(what: impl Into<String>) {
    SEEN.lock().expect("no panic").push(what.into());
}

struct Machine;

impl Machine {
    fn run(&self) -> u64 {
        9
    }
}

#[profile_job(setup(text = format!("setup {run}")), args(&text))]
fn in_setup(text: &str) {
    see(text);
}

#[profile_job(args(run))]
async fn in_args(number: u64) {
    see(format!("args {number}"));
}

#[profile_job(args(format!("text {run:>3}")))]
fn in_a_format_string(text: String) {
    see(text);
}

#[profile_job(verify(|()| see(format!("verify {}", run))), teardown(see(format!("teardown {}", run + 1))))]
fn in_verify_and_teardown() {}

/// Mentions the word and not the number, which is no reason to warn.
#[profile_job(args(Machine.run()))]
fn mentioned(number: u64) -> Result<(), u64> {
    if number == 9 { Ok(()) } else { Err(number) }
}

fn main() {
    for name in ["in_setup", "in_args", "in_a_format_string", "in_verify_and_teardown", "mentioned"] {
        for result in support::executions(name, 0, 2) {
            result.expect(name);
        }
    }
    let seen = SEEN.lock().expect("no panic");
    assert_eq!(
        *seen,
        [
            "setup 0",
            "setup 1",
            "args 0",
            "args 1",
            "text   0",
            "text   1",
            "verify 0",
            "teardown 1",
            "verify 1",
            "teardown 2"
        ]
    );
}
