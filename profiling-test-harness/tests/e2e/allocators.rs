//! `main!` with other allocators than the system's.

use crate::sandbox::{Package, Sandbox, run};

#[test]
fn without_a_counting_allocator_allocations_are_not_measured() {
    let sandbox = Sandbox::new(Package::variants());
    let outcome = run(&mut sandbox.test_binary("uncounted", "allocates"));
    outcome.expect_code(0).says(&["–", "– not measured"]);
    let row = outcome.stdout.lines().find(|line| line.starts_with("│ allocates ")).expect("the table has a row");
    assert!(row.trim_end_matches([' ', '│']).ends_with("–   ok"), "{row}");
    let case = &sandbox.profile("allocates")["cases"][0];
    let samples = sandbox.samples("allocates");
    for figure in ["allocations", "allocated_bytes", "peak_heap_bytes", "retained_heap_bytes"] {
        assert!(case[figure].is_null(), "{figure}: {case}");
    }
    assert!(samples.iter().all(|sample| sample.figures.allocations.is_none() && sample.figures.wall_ns > 0));
}

#[test]
fn another_allocator_is_counted_and_called() {
    let sandbox = Sandbox::new(Package::variants());
    // The job's `verify` sees that the other allocator was called.
    run(&mut sandbox.test_binary("wrapped", "allocates")).expect_code(0);
    for sample in sandbox.samples("allocates") {
        assert_eq!((sample.figures.allocations, sample.figures.allocated_bytes), (Some(1), Some(1000)));
    }
    assert_eq!(sandbox.samples("allocates").len(), 10);
}
