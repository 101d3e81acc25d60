//! What compiles, runs and registers what it should; what doesn't compile says why and where.
//!
//! After a change of a message: `TRYBUILD=overwrite cargo test -p profiling-macros --test ui`, and
//! read what changed.

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
