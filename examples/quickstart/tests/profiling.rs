use quickstart as _;
profiling_test_harness::main!();
