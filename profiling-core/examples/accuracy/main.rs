//! What is measured of work whose cost is known: the table of `docs/accuracy.md`.
//!
//! ```sh
//! cargo run --release -p profiling-core --example accuracy --features profiling
//! ```

#[cfg(target_os = "linux")]
mod table;

#[cfg(target_os = "linux")]
fn main() {
    table::print();
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("The table is of what Linux tells.");
}
