//! Where an execution begins and ends, for tools that look at the process from outside.
//!
//! callgrind knows functions by their names: told to zero its counts as it enters [`BEGINS`] and to
//! write them down as it enters [`ENDS`], it counts what all threads of the process executed in
//! between. (Its `--toggle-collect` counts the thread alone that enters the function, and so loses what
//! a job leaves to others.) In any other run the two are calls to functions that do nothing.

use std::hint::black_box;

/// The symbol of the function that is entered right before a job is called.
pub const BEGINS: &str = "profiling_execution_begins";
/// The symbol of the function that is entered right after a job has returned.
pub const ENDS: &str = "profiling_execution_ends";

// The numbers differ so that the optimiser can't make one function of the two.

/// An execution begins.
// SAFETY: no other symbol has this name, unless there are two versions of this crate; then linking fails.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn profiling_execution_begins() {
    black_box(1_u8);
}

/// An execution has ended.
// SAFETY: as above.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn profiling_execution_ends() {
    black_box(2_u8);
}
