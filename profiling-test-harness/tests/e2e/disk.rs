//! A small file system that can be full or read-only.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Mounted until it is dropped.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
}

impl Disk {
    /// A disk of 256 KiB; `None`, with a note, where this process may not mount one.
    pub(crate) fn mount(path: &Path) -> Option<Self> {
        fs::create_dir_all(path).expect("writable");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "none"]).arg(path).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: this process may not mount a file system");
            return None;
        }
        Some(Self { path: path.to_owned() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn fill(&self) {
        let full = fs::write(self.path.join("filler"), vec![b'x'; 1 << 20]).expect_err("256 KiB is the size");
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }

    pub(crate) fn clear(&self) {
        fs::remove_file(self.path.join("filler")).expect("it was full of this");
    }

    pub(crate) fn make_read_only(&self) {
        let status = Command::new("mount").args(["-o", "remount,ro"]).arg(&self.path).status();
        assert!(status.is_ok_and(|status| status.success()));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.path).status();
    }
}
