//! `Err` fails the execution, be it behind an alias, and whatever the error's type can do.

use std::fmt;

use profiling_core::profile_job;

#[path = "../support.rs"]
mod support;

type Alias = Result<(), Debuggable>;

#[derive(Debug)]
struct Debuggable;

struct Opaque;

struct Both;

impl fmt::Display for Both {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("as displayed")
    }
}

impl fmt::Debug for Both {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("as debugged")
    }
}

#[profile_job(args("12"))]
fn parses(text: &str) -> Result<u64, std::num::ParseIntError> {
    text.parse()
}

#[profile_job(args("twelve"))]
fn fails_to_parse(text: &str) -> Result<u64, std::num::ParseIntError> {
    text.parse()
}

#[profile_job]
async fn displayed() -> Result<(), Both> {
    Err(Both)
}

#[profile_job]
fn debugged() -> Alias {
    Err(Debuggable)
}

#[profile_job]
fn opaque() -> Result<(), Opaque> {
    Err(Opaque)
}

#[profile_job]
fn boxed() -> Result<(), Box<dyn std::error::Error>> {
    Err("in a box".into())
}

#[profile_job]
fn through_io() -> std::io::Result<String> {
    std::fs::read_to_string("/does/not/exist")
}

#[profile_job]
fn no_result() -> Option<bool> {
    Some(false)
}

#[profile_job]
fn plain_false() -> bool {
    false
}

fn main() {
    support::execute("parses").expect("it passes");
    assert_eq!(support::failure("fails_to_parse"), "returned Err: invalid digit found in string");
    assert_eq!(support::failure("displayed"), "returned Err: as displayed");
    assert_eq!(support::failure("debugged"), "returned Err: Debuggable");
    assert_eq!(support::failure("opaque"), "returned Err");
    assert_eq!(support::failure("boxed"), "returned Err: in a box");
    assert!(support::failure("through_io").contains("No such file"));
    support::execute("no_result").expect("it passes");
    support::execute("plain_false").expect("only `verify` judges a bool");
}
