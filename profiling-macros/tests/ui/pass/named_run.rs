//! A job may have the name of anything that its expressions can see.

use profiling_core::profile_job;

#[path = "../support.rs"]
mod support;

#[profile_job(args(run), verify(|output| *output == run))]
fn run(number: u64) -> u64 {
    number
}

#[profile_job(params(level = [3, 4]), args(level), verify(|output| *output == level))]
fn level(value: u64) -> u64 {
    value
}

#[profile_job(setup(input = 5), args(input), verify(|output| *output == input))]
async fn input(value: u64) -> u64 {
    value
}

#[profile_job(name = "match", args(1))]
fn r#match(r#type: u64) -> u64 {
    r#type
}

#[profile_job]
fn r#loop() {}

fn main() {
    for (name, cases) in [("run", 1), ("level", 2), ("input", 1), ("match", 1), ("loop", 1)] {
        assert_eq!(support::job(name).cases().len(), cases);
        for case in 0..cases {
            for result in support::executions(name, case, 3) {
                result.expect(name);
            }
        }
    }
    assert!(support::job("loop").function.ends_with("::loop"));
}
