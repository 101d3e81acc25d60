//! Files that change as a whole or not at all.
//!
//! Written to a temporary file in the same directory, then renamed. Nothing is forced to the disk:
//! profiles can be made again.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

const PREFIX: &str = ".profiling-";
const SUFFIX: &str = ".tmp";

/// A file that is written but not yet in its place; dropped, it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Staged {
    file: NamedTempFile,
    path: PathBuf,
}

/// Writes `bytes` to `path`, over what is there: whoever reads has the old file or the new one. It may be read
/// by whom the process's umask lets.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_with(path, |file| file.write_all(bytes))
}

/// The same of what `write` writes, which need not be in memory. Where it fails, what is there stays.
pub fn write_with(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    stage(path, |file| write(file))?.commit()
}

/// Writes a file that [`Staged::commit`] puts to `path`.
pub(crate) fn stage(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> io::Result<Staged> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    // As for any new file; the process's umask narrows it.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(directory)?;
    let mut buffered = BufWriter::new(file.as_file_mut());
    write(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    Ok(Staged { file, path: path.to_owned() })
}

impl Staged {
    /// The file as it lies in its temporary place.
    #[cfg(feature = "build")]
    pub(crate) fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Puts the file in its place, over what is there.
    pub(crate) fn commit(self) -> io::Result<()> {
        self.file.persist(self.path).map(drop).map_err(|error| error.error)
    }
}

/// Sets a directory's time of modification.
#[cfg(feature = "build")]
pub(crate) fn set_modified(directory: &Path, time: std::time::SystemTime) -> io::Result<()> {
    let mut options = File::options();
    options.read(true);
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt;
        const FILE_WRITE_ATTRIBUTES: u32 = 0x100;
        const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
        options.access_mode(FILE_WRITE_ATTRIBUTES).custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
    }
    options.open(directory)?.set_modified(time)
}

/// Removes what processes left in `directory` that were killed while they wrote. Only safe while no
/// other process writes there.
pub(crate) fn sweep(directory: &Path) {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            // What can't be removed does no harm.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> io::Result<Vec<String>> {
        std::fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("x");
        write(&path, b"old")?;
        stage(&path, |file| file.write_all(b"half").and_then(|()| Err(io::ErrorKind::StorageFull.into())))
            .expect_err("no space");
        assert_eq!(std::fs::read(&path)?, b"old");
        assert_eq!(names(directory.path())?, ["x"]);
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn permissions_are_those_of_any_new_file() -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir()?;
        let mode = |name: &str| Ok::<_, io::Error>(directory.path().join(name).metadata()?.permissions().mode());
        std::fs::write(directory.path().join("plain"), "")?;
        write(&directory.path().join("ours"), b"")?;
        assert_eq!(mode("ours")?, mode("plain")?);
        Ok(())
    }

    #[test]
    fn only_our_own_leftovers_are_swept() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        for name in [".profiling-a1B2c3.tmp", ".profilingrc", "x.tmp", "x.json"] {
            std::fs::write(directory.path().join(name), "")?;
        }
        sweep(directory.path());
        let mut left = names(directory.path())?;
        left.sort();
        assert_eq!(left, [".profilingrc", "x.json", "x.tmp"]);
        sweep(&directory.path().join("absent"));
        Ok(())
    }
}
