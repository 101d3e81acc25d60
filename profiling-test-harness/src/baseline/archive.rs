//! A baseline as one file, a `.tar.zst`, so that it can be carried from one machine to another.
//!
//! The first entry is the manifest, and the only other ones are the files that it names: whatever else
//! an archive holds, it is not unpacked.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use profiling_core::store::replace_file;
use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use tar::{Archive, Builder, Entry, EntryType, Header};

use super::{Baseline, BaselineError, Baselines, LONGEST_MANIFEST, MANIFEST, Manifest, Name, io_error};

/// What the files of a baseline may come to: a test binary with its debug information, and samples.
const LARGEST: u64 = 4 << 30;

impl Baselines {
    /// Writes a baseline to one file.
    pub(crate) fn export(&self, name: &Name, path: &Path) -> Result<(), BaselineError> {
        let baseline = self.load(name)?;
        baseline.pack().and_then(|packed| replace_file(path, &packed)).map_err(io_error("write", path))
    }

    /// Takes over a baseline from one file, which is checked as a whole first. Returns its name.
    pub(crate) fn import(&self, path: &Path) -> Result<Name, BaselineError> {
        let refused = |reason| BaselineError::Archive { path: path.to_owned(), reason };
        let file = File::open(path).map_err(io_error("open", path))?;
        let decoder = StreamingDecoder::new(BufReader::new(file)).map_err(|error| refused(error.to_string()))?;
        let mut archive = Archive::new(decoder);
        let mut entries = archive.entries().map_err(|error| refused(error.to_string()))?;
        let first = entries.next().ok_or_else(|| refused("it is empty".to_owned()))?;
        let text = first.map_err(|error| error.to_string()).and_then(|entry| manifest(entry)).map_err(refused)?;
        let manifest = Manifest::parse(&text, path)?;
        manifest.check(&self.package, path)?;
        let name: Name = manifest.name.parse().map_err(refused)?;
        // The same one again replaces what may have been damaged since.
        if self.path(&name).exists() && !self.describe(&name).is_ok_and(|there| there == manifest) {
            return Err(BaselineError::Taken(name));
        }
        let new = self.begin()?;
        let mut expected: HashMap<&str, u64> = manifest.files.iter().map(|file| (&*file.path, file.bytes)).collect();
        if manifest
            .files
            .iter()
            .try_fold(0_u64, |sum, file| sum.checked_add(file.bytes))
            .is_none_or(|sum| sum > LARGEST)
        {
            return Err(refused(format!("it says that it has more than {} GiB", LARGEST >> 30)));
        }
        for entry in entries {
            let mut entry = entry.map_err(|error| refused(error.to_string()))?;
            let place = place(&entry, &mut expected).map_err(refused)?;
            unpack(&mut entry, &new.path().join(place)).map_err(|error| refused(error.to_string()))?;
        }
        if let Some(missing) = expected.into_keys().next() {
            return Err(refused(format!("`{missing}` is missing")));
        }
        if let Some(reason) = manifest.files.iter().find_map(|file| file.damage(new.path())) {
            return Err(refused(reason));
        }
        let path = new.path().join(MANIFEST);
        fs::write(&path, text).map_err(io_error("write", &path))?;
        make_executable(&new.path().join(super::HARNESS))?;
        self.put(new, &name)?;
        Ok(name)
    }
}

/// The manifest's text, which has to be the first entry.
fn manifest(mut entry: Entry<'_, impl Read>) -> Result<Vec<u8>, String> {
    let path = entry.path().map_err(|error| error.to_string())?.into_owned();
    if path != Path::new(MANIFEST) || entry.header().entry_type() != EntryType::Regular {
        return Err(format!("it begins with `{}`, not with `{MANIFEST}`", path.display()));
    }
    if entry.size() > LONGEST_MANIFEST {
        return Err(format!("its `{MANIFEST}` has {} bytes", entry.size()));
    }
    let mut text = Vec::new();
    entry.read_to_end(&mut text).map_err(|error| error.to_string())?;
    Ok(text)
}

/// Where an entry goes: to a place that the manifest names, once, if it is a file of that length.
fn place(entry: &Entry<'_, impl Read>, expected: &mut HashMap<&str, u64>) -> Result<PathBuf, String> {
    let path = entry.path().map_err(|error| error.to_string())?.into_owned();
    if entry.header().entry_type() != EntryType::Regular {
        return Err(format!("`{}` is no regular file", path.display()));
    }
    match path.to_str().and_then(|path| expected.remove(path)) {
        Some(bytes) if bytes == entry.size() => Ok(path),
        Some(bytes) => Err(format!("`{}` has {} bytes of {bytes}", path.display(), entry.size())),
        None => Err(format!("`{}` is not one of its files", path.display())),
    }
}

fn unpack(entry: &mut impl Read, path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    io::copy(entry, &mut File::create_new(path)?).map(|_| ())
}

#[cfg(unix)]
fn make_executable(path: &Path) -> Result<(), BaselineError> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(io_error("write", path))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same interface on every platform")]
fn make_executable(_path: &Path) -> Result<(), BaselineError> {
    Ok(())
}

impl Baseline {
    /// Manifest and files, compressed. In memory, since the compressor panics where it can't read or write.
    fn pack(&self) -> io::Result<Vec<u8>> {
        let mut builder = Builder::new(Vec::new());
        let paths = self.manifest.files.iter().map(|file| file.path.as_str());
        for path in [MANIFEST].into_iter().chain(paths) {
            let mut file = File::open(self.directory.join(path))?;
            let mut header = Header::new_gnu();
            header.set_size(file.metadata()?.len());
            header.set_mode(0o644);
            builder.append_data(&mut header, path, &mut file)?;
        }
        let packed = builder.into_inner()?;
        Ok(compress_to_vec(packed.as_slice(), CompressionLevel::Fastest))
    }
}
