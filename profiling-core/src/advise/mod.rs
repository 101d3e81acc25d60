//! What follows from a profile: where a job can run, on what size, and at what cost.
//!
//! Everything here is a pure function of profiles, samples and a catalogue of platforms.

#[cfg(feature = "advise")]
pub mod catalogue;

#[cfg(feature = "advise")]
pub use catalogue::{Catalogue, CatalogueError};
