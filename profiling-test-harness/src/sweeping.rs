//! Removes what runs have left that were killed.

use std::fs;
use std::path::Path;

use crate::attribution;
use crate::cgroup;
use crate::temporary::{self, Elsewhere};

/// Removes what is left of every run of this user that is over, and nothing else.
pub(crate) fn sweep() {
    for run in temporary::abandoned() {
        run.elsewhere().iter().for_each(remove);
        run.remove();
    }
}

/// Removes what a run has made outside of its directory, with the processes that are still in it.
fn remove(made: &Elsewhere) {
    match made {
        Elsewhere::Group(group) => cgroup::remove_with_processes(group),
        Elsewhere::File(file) => remove_file(file),
        Elsewhere::Directory(directory) => remove_directory(directory),
    }
}

fn remove_directory(directory: &Path) {
    if directory.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
        attribution::open_up(directory);
        let _ = fs::remove_dir_all(directory);
    }
}

fn remove_file(file: &Path) {
    if file.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
        let _ = fs::remove_file(file);
    }
}
