//! The two functions around an execution, under names that tools outside of the process know.
//!
//! callgrind begins to count anew as [`BEGINS`] is left (`--dump-after`), and writes down what it has
//! counted as [`ENDS`] is entered (`--dump-before`): in between, all threads have executed the job and
//! nothing of ours. (`--toggle-collect` would count the one thread that enters the function, and lose
//! what a job leaves to others.) That the functions which read the meter are themselves the markers
//! costs nothing: calls to empty ones made an execution 10 ns longer.

use super::Meter;

/// The symbol of the function that opens the window: what comes after it is the job.
pub const BEGINS: &str = "profiling_execution_begins";
/// The symbol of the function that closes the window: what came before it is the job.
pub const ENDS: &str = "profiling_execution_ends";

/// Opens the window.
// SAFETY: nothing else has this name but another version of this crate, with which linking fails.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "Rust" fn profiling_execution_begins(meter: &mut Meter) {
    meter.start();
}

/// Closes the window.
// SAFETY: as above.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "Rust" fn profiling_execution_ends(meter: &mut Meter) {
    meter.stop();
}
