//! Looks at everything below a directory.

use std::fs;
use std::path::{Path, PathBuf};

/// More files than this are too many to look at.
pub(crate) const MOST: usize = 50_000;

/// Hands over every file below a directory, as far as it can be read; `None` where there are too many.
pub(crate) fn walk(directory: &Path, left_out: &dyn Fn(&Path) -> bool, found: &mut dyn FnMut(PathBuf)) -> Option<()> {
    let mut directories = vec![directory.to_owned()];
    let mut seen = 0;
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            seen += 1;
            if seen > MOST {
                return None;
            }
            let path = entry.path();
            if left_out(&path) {
                continue;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => directories.push(path),
                Ok(_) => found(path),
                Err(_) => {}
            }
        }
    }
    Some(())
}
