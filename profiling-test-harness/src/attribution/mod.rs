//! Which files a job has left behind, as opposed to everything else that writes where it works.

mod walk;
mod working_directory;

pub(crate) use self::walk::{MOST, walk};
pub(crate) use self::working_directory::WorkingDirectory;
