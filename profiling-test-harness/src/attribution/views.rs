//! Whether workers can have a view of the working directory for themselves.

#[cfg(target_os = "linux")]
pub(crate) use self::linux::{held_open, layer_place, open_up};
#[cfg(not(target_os = "linux"))]
pub(crate) use self::others::{held_open, layer_place, open_up};

/// What `unshare` is told.
type Way = &'static [&'static str];

/// Whether workers can have a view for themselves: found out when it is first asked.
#[derive(Debug, Default)]
pub(crate) struct Views(Option<Result<Way, String>>);

impl Views {
    /// How they can, or why they can't.
    pub(crate) fn way(&mut self) -> Result<Way, String> {
        self.0.get_or_insert_with(way).clone()
    }

    /// They can't after all.
    pub(crate) fn refuse(&mut self, why: &str) {
        self.0 = Some(Err(why.to_owned()));
    }
}

#[cfg(target_os = "linux")]
fn way() -> Result<Way, String> {
    super::overlay::way()
}

#[cfg(not(target_os = "linux"))]
fn way() -> Result<Way, String> {
    Err("this platform has no view of the file system for one process".to_owned())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::path::{Path, PathBuf};

    pub(crate) use super::super::overlay::open_up;
    pub(crate) use super::super::writers::held_open;

    /// Where the layer of a view lies, if not in the directory of this run.
    pub(crate) fn layer_place(run: &Path, working_directory: &Path) -> Option<PathBuf> {
        let place = super::super::overlay::place(&[run, Path::new("/var/tmp")], working_directory)?;
        (place != run).then(|| place.to_owned())
    }
}

#[cfg(not(target_os = "linux"))]
mod others {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    /// Nothing is written to a layer.
    pub(crate) fn layer_place(_run: &Path, _working_directory: &Path) -> Option<PathBuf> {
        None
    }

    /// Nothing is closed to anyone.
    pub(crate) fn open_up(_base: &Path) {}

    /// Nobody tells.
    pub(crate) fn held_open(_paths: &BTreeSet<&Path>) -> BTreeSet<PathBuf> {
        BTreeSet::new()
    }
}
