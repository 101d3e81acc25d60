//! Which files other processes hold open for writing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Of these files, those that some process holds open for writing, as far as this user may see.
pub(crate) fn held_open(paths: &BTreeSet<&Path>) -> BTreeSet<PathBuf> {
    let mut held = BTreeSet::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    for process in
        processes.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().parse::<u32>().is_ok()))
    {
        for descriptor in fs::read_dir(process.join("fd")).into_iter().flatten().flatten() {
            let Ok(open) = fs::read_link(descriptor.path()) else { continue };
            if paths.contains(&*open) && is_for_writing(&process.join("fdinfo").join(descriptor.file_name())) {
                held.insert(open);
            }
        }
    }
    held
}

fn is_for_writing(info: &Path) -> bool {
    const ACCESS: u32 = 0o3;
    let info = fs::read_to_string(info).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).is_some_and(|flags| flags & ACCESS != 0)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn finds_what_is_open_for_writing() -> std::io::Result<()> {
        let directory = tempfile::tempdir()?;
        let [written, read, closed] = ["written", "read", "closed"].map(|name| directory.path().join(name));
        for path in [&read, &closed] {
            fs::write(path, "")?;
        }
        let _open = (File::create(&written)?, File::open(&read)?);
        let paths = [&*written, &*read, &*closed].into();
        assert_eq!(held_open(&paths), BTreeSet::from([written]));
        Ok(())
    }
}
