//! `cargo test --release --features profiling`

use squaring_blueprint as _;
profiling_test_harness::main!();
