//! A baseline as one file, a `.tar.zst`, so that it can be carried from one machine to another.
//!
//! The first entry is the manifest, and the only other ones are the files that it names: whatever else
//! an archive holds, it is not unpacked.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use profiling_core::store::replace_file_with;
use ruzstd::decoding::StreamingDecoder;
use tar::{Archive, Entry, EntryType};

use super::packing::pack;
use super::{Baseline, BaselineError, Baselines, LONGEST_MANIFEST, MANIFEST, Manifest, Name, io_error};

/// What the files of a baseline may come to: a test binary with its debug information, and samples.
const LARGEST: u64 = 4 << 30;

impl Baselines {
    /// Writes a baseline to one file.
    pub(crate) fn export(&self, name: &Name, path: &Path) -> Result<(), BaselineError> {
        let Baseline { manifest, directory, .. } = self.load(name)?;
        let text = directory.join(MANIFEST);
        let bytes = text.metadata().map_err(io_error("read", &text))?.len();
        if let Some(reason) = manifest.refusal(bytes) {
            return Err(BaselineError::Unportable { path: directory, reason });
        }
        let paths = [MANIFEST].into_iter().chain(manifest.files.iter().map(|file| file.path.as_str()));
        replace_file_with(path, |file| pack(&directory, paths, file)).map_err(io_error("write", path))
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
        if let Some(reason) = manifest.refusal(text.len() as u64) {
            return Err(refused(reason));
        }
        let name: Name = manifest.name.parse().map_err(refused)?;
        // The same one again replaces what may have been damaged since.
        if self.path(&name).exists() && !self.describe(&name).is_ok_and(|there| there == manifest) {
            return Err(BaselineError::Taken(name));
        }
        let new = self.begin()?;
        let mut expected: HashMap<&str, u64> = manifest.files.iter().map(|file| (&*file.path, file.bytes)).collect();
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

impl Manifest {
    /// Why no archive may have this manifest, whose text is of so many bytes: asked before one is written, and of
    /// one that is read.
    fn refusal(&self, bytes: u64) -> Option<String> {
        if bytes > LONGEST_MANIFEST {
            return Some(format!("its `{MANIFEST}` has {bytes} bytes, and at most {LONGEST_MANIFEST} are read"));
        }
        let sum = self.files.iter().try_fold(0_u64, |sum, file| sum.checked_add(file.bytes));
        if sum.is_none_or(|sum| sum > LARGEST) {
            return Some(format!("it says that it has more than {} GiB", LARGEST >> 30));
        }
        let mut paths = HashSet::from([MANIFEST]);
        if let Some(file) = self.files.iter().find(|file| !paths.insert(&file.path)) {
            return Some(format!("it names the file `{}` twice", file.path));
        }
        (!paths.contains(super::HARNESS)).then(|| format!("it names no file `{}`", super::HARNESS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(files: &[(&str, u64)], bytes: u64) -> Option<String> {
        let file = |&(path, bytes): &(&str, u64)| serde_json::json!({"path": path, "bytes": bytes, "xxh64": ""});
        let manifest: Manifest = serde_json::from_value(serde_json::json!({
            "schema": super::super::SCHEMA,
            "name": "first",
            "package": "package",
            "protocol": 1,
            "environment": {
                "profiled_at": "", "os": "", "arch": "", "target": "", "rustc": "", "opt_level": "3",
                "debug_assertions": false,
            },
            "jobs": [],
            "files": files.iter().map(file).collect::<Vec<_>>(),
        }))
        .expect("a manifest");
        manifest.refusal(bytes)
    }

    #[test]
    fn what_would_not_be_read_is_refused() {
        let refused = |files: &[_]| refusal(files, 1_000);
        assert_eq!(refused(&[("harness", LARGEST - 1), ("a", 1)]), None);
        for largest in [LARGEST, u64::MAX] {
            assert_eq!(
                refused(&[("harness", largest), ("a", 1)]).as_deref(),
                Some("it says that it has more than 4 GiB")
            );
        }
        let twice = Some("it names the file `a` twice".to_owned());
        assert_eq!(refused(&[("harness", 1), ("a", 1), ("b", 1), ("a", 1)]), twice);
        let itself = Some("it names the file `baseline.json` twice".to_owned());
        assert_eq!(refused(&[("harness", 1), ("baseline.json", 1)]), itself);
        assert_eq!(refused(&[("a", 1)]), Some("it names no file `harness`".to_owned()));
        assert_eq!(refusal(&[("harness", 1)], LONGEST_MANIFEST), None);
        let long = refusal(&[("harness", 1)], LONGEST_MANIFEST + 1).expect("too long");
        assert!(long.starts_with("its `baseline.json` has 67108865 bytes"), "{long}");
    }
}
