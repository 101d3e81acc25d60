//! A `main` that runs tests one after another on the main thread: the figures of the whole process are
//! then those of the test.

use std::panic::catch_unwind;
use std::process::ExitCode;

/// A test's name and the test.
pub(crate) type Test = (&'static str, fn());

/// Runs the tests that the command line asks for, as libtest and nextest ask for them.
pub(crate) fn main(tests: &[Test]) -> ExitCode {
    let mut request = Request::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--list" => request.list = true,
            "--ignored" => request.ignored = true,
            "--exact" => request.exact = true,
            "--skip" => request.skip.extend(arguments.next()),
            "--format" | "--color" | "--test-threads" | "--logfile" | "-Z" => drop(arguments.next()),
            flag if flag.starts_with('-') => {}
            _ => request.filters.push(argument),
        }
    }
    let chosen: Vec<&Test> = tests.iter().filter(|(name, _)| request.asks_for(name)).collect();
    if request.list {
        for (name, _) in chosen {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let failed = chosen.iter().filter(|(name, test)| !passes(name, *test)).count();
    println!(
        "\ntest result: {}. {} passed; {failed} failed; 0 ignored; 0 measured; {} filtered out\n",
        if failed == 0 { "ok" } else { "FAILED" },
        chosen.len() - failed,
        tests.len() - chosen.len()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

fn passes(name: &str, test: fn()) -> bool {
    let passes = catch_unwind(test).is_ok();
    println!("test {name} ... {}", if passes { "ok" } else { "FAILED" });
    passes
}

#[derive(Default)]
struct Request {
    list: bool,
    ignored: bool,
    exact: bool,
    skip: Vec<String>,
    filters: Vec<String>,
}

impl Request {
    /// None of the tests is an ignored one.
    fn asks_for(&self, name: &str) -> bool {
        let matches = |filter: &String| if self.exact { name == filter } else { name.contains(filter.as_str()) };
        !self.ignored && (self.filters.is_empty() || self.filters.iter().any(matches)) && !self.skip.iter().any(matches)
    }
}
