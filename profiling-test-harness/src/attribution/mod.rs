//! Which files a job has left behind, as opposed to everything else that writes where it works.
//!
//! A worker's temporary directory is its own. The working directory is everybody's: editors, other builds, tests
//! that run at the same time. What changes there while a case is executed is followed; only where something does,
//! a *witness* executes the case again. What it writes goes to a layer of its own, and it looks at that right
//! before and right after each call: what came in between is the job's. What can't be tried like that is unknown.

mod changes;
mod left_out;
mod listing;
#[cfg(target_os = "linux")]
mod overlay;
mod readings;
mod traces;
mod views;
#[cfg(target_os = "linux")]
mod watcher;
mod witness;
mod working_directory;
#[cfg(target_os = "linux")]
mod writers;

pub(crate) use self::changes::Changes;
pub(crate) use self::left_out::LeftOut;
pub(crate) use self::listing::{Kind, bytes_in, list, remains};
pub(crate) use self::readings::{Cause, Remnant, Root};
pub(crate) use self::traces::{Traces, of_working_directory};
pub(crate) use self::views::{Views, held_open, layer_place, open_up};
pub(crate) use self::witness::{Testifying, Testimony, WitnessPlan};
pub(crate) use self::working_directory::WorkingDirectory;
