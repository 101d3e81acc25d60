//! Without the feature `profiling`, the attributes, stages and payloads cost nothing.

use std::collections::BTreeSet;
use std::fs;

use crate::sandbox::{Package, Sandbox, own_directory, run, two_lines, write};

const CRATES: [&str; 6] = ["proc-macro2", "profiling-core", "profiling-macros", "quote", "syn", "unicode-ident"];

#[test]
fn nothing_is_linked_but_the_attribute() {
    let files = [("src/lib.rs", &*source("#[profile_job]")), ("tests/profiling.rs", &two_lines("light"))];
    let sandbox = Sandbox::new(Package::at("light", &own_directory("light"), &files, ""));
    let tree = run(&mut sandbox.cargo("tree -e normal --prefix none --format {lib}"));
    tree.expect_code(0);
    let names: BTreeSet<String> = tree
        .stdout
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(|name| name.replace('_', "-"))
        .collect();
    let expected = CRATES.iter().copied().chain(["light"]).map(str::to_owned).collect();
    assert_eq!(names, expected, "{tree}");
}

/// A crate with work to compile, `attribute` standing for a line of its own.
fn source(attribute: &str) -> String {
    format!(
        r#"#![allow(unused_imports)]
use profiling_core::profile_job;

{attribute}
#[inline(never)]
pub fn collatz(mut n: u64) -> Result<u64, String> {{
    let mut steps = 0;
    while n != 1 {{
        n = if n.is_multiple_of(2) {{ n / 2 }} else {{ n.checked_mul(3).ok_or("too large")? + 1 }};
        steps += 1;
    }}
    Ok(steps)
}}

{attribute}
pub async fn total(count: u64) -> u64 {{
    let mut total = 0;
    for value in 0..count {{
        total += std::future::ready(value).await;
    }}
    total
}}

pub fn total_of_three() -> u64 {{
    let mut total = std::pin::pin!(total(3));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::future::Future::poll(total.as_mut(), &mut context) {{
        std::task::Poll::Ready(total) => total + collatz(total).unwrap_or_default(),
        std::task::Poll::Pending => 0,
    }}
}}
"#
    )
}

/// The same work with stages and payloads in it, on the same lines.
fn staged() -> String {
    let replacements = [
        ("// nothing", "#[profiling_core::profile_stage]"),
        ("let mut steps = 0;", r#"let mut steps = 0; let _walk = profiling_core::stage!("walk");"#),
        ("Ok(steps)", r#"profiling_core::record_payload("steps", 8); Ok(steps)"#),
        ("std::future::ready(value)", r#"profiling_core::stage!("value", std::future::ready(value))"#),
    ];
    replacements.iter().fold(source("// nothing"), |source, (from, to)| source.replace(from, to))
}

/// Assembly with its local labels numbered in the order in which they appear: how the compiler names them
/// is not part of the machine code.
fn relabelled(assembly: &str) -> String {
    let mut labels: Vec<&str> = Vec::new();
    let mut parts = assembly.split(".L");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let end = part.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '.').unwrap_or(part.len());
        let (label, rest) = part.split_at(end);
        let number = labels.iter().position(|known| *known == label).unwrap_or_else(|| {
            labels.push(label);
            labels.len() - 1
        });
        format!("{text}.L{number}{rest}")
    })
}

#[test]
fn the_machine_code_is_the_same_without_the_attribute() {
    let profile = "[profile.release]\ncodegen-units = 1\n";
    let files = [("src/lib.rs", &*source("// nothing")), ("tests/profiling.rs", &two_lines("silent"))];
    let sandbox = Sandbox::new(Package::at("silent", &own_directory("silent"), &files, profile));
    let assembly = |name: &str| {
        let path = sandbox.package.path(name);
        let mut cargo = sandbox.cargo("rustc --release --lib -- --emit");
        run(cargo.arg(format!("asm={}", path.display()))).expect_code(0);
        fs::read_to_string(path).expect("rustc has written it")
    };
    let without = assembly("without.s");
    let attribute = "#[profile_job(samples = 3, timeout = \"1s\", params(n = 1..=3), args(n))]";
    write(&sandbox.package.path("src/lib.rs"), &source(attribute));
    let with = assembly("with.s");
    assert!(without.contains("collatz") && without.contains("total_of_three"), "{without}");
    assert!(with == without, "the attribute has changed the code:\n{with}\n{without}");
    write(&sandbox.package.path("src/lib.rs"), &staged());
    let staged = assembly("staged.s");
    assert!(relabelled(&staged) == relabelled(&without), "stages have changed the code:\n{staged}\n{without}");
}
