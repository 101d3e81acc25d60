//! `cargo test --release --features profiling`

use document_blueprint as _;
profiling_test_harness::main!();
