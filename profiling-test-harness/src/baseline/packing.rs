//! Packs files into a `.tar.zst` as they are read, in constant memory.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use ruzstd::encoding::{CompressionLevel, compress};
use tar::{Builder, Header};

/// What a tar archive ends with: two empty blocks.
const END: u64 = 2 * BLOCK;
const BLOCK: u64 = 512;

/// Writes the files of these paths, which lie in `directory`, to one archive.
pub(super) fn pack<'a>(directory: &Path, paths: impl Iterator<Item = &'a str>, to: &mut dyn Write) -> io::Result<()> {
    let stopped = Cell::new(false);
    let mut source = Guarded::new(Entries { directory, paths: Some(paths), part: Box::new(io::empty()) }, &stopped);
    let mut target = Guarded::new(to, &stopped);
    compress(&mut source, &mut target, CompressionLevel::Fastest);
    source.outcome.and(target.outcome)
}

/// The bytes of an archive, of one file after another.
struct Entries<'a, P> {
    directory: &'a Path,
    /// `None` once the end has begun.
    paths: Option<P>,
    part: Box<dyn Read>,
}

impl<'a, P: Iterator<Item = &'a str>> Read for Entries<'_, P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.part.read(buffer)?;
            let Some(paths) = self.paths.as_mut().filter(|_| read == 0) else { return Ok(read) };
            self.part = if let Some(path) = paths.next() {
                entry(self.directory, path)?
            } else {
                self.paths = None;
                Box::new(io::repeat(0).take(END))
            };
        }
    }
}

/// The bytes of one entry: what tar says of the file, the file, and zeroes up to the next whole block.
fn entry(directory: &Path, path: &str) -> io::Result<Box<dyn Read>> {
    let file = File::open(directory.join(path))?;
    let bytes = file.metadata()?.len();
    let mut header = Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o644);
    let mut builder = Builder::new(Vec::new());
    builder.append_data(&mut header, path, io::empty())?;
    let head = std::mem::take(builder.get_mut());
    let file = Whole { file, path: path.to_owned(), left: bytes };
    let padding = io::repeat(0).take(bytes.next_multiple_of(BLOCK) - bytes);
    Ok(Box::new(io::Cursor::new(head).chain(file).chain(padding)))
}

/// A file that has to have as many bytes as it had when it was opened.
struct Whole {
    file: File,
    path: String,
    left: u64,
}

impl Read for Whole {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.file.read(&mut buffer[..room])?;
        if read == 0 && room > 0 {
            return Err(io::Error::other(format!("`{}` has become shorter while it was read", self.path)));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

/// Keeps errors from the compressor, which panics at them: to it, everything ends at the first one.
struct Guarded<'a, T> {
    inner: T,
    outcome: io::Result<()>,
    /// There was an error at either end.
    stopped: &'a Cell<bool>,
}

impl<'a, T> Guarded<'a, T> {
    fn new(inner: T, stopped: &'a Cell<bool>) -> Self {
        Self { inner, outcome: Ok(()), stopped }
    }

    fn stop(&mut self, error: io::Error) {
        self.outcome = Err(error);
        self.stopped.set(true);
    }
}

impl<T: Read> Read for Guarded<'_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.stopped.get() {
            match self.inner.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.stop(error),
                read => return read,
            }
        }
        Ok(0)
    }
}

impl<T: Write> Write for Guarded<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stopped.get() {
            return Ok(bytes.len());
        }
        if let Err(error) = self.inner.write_all(bytes) {
            self.stop(error);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use ruzstd::decoding::StreamingDecoder;
    use tar::Archive;
    use tempfile::TempDir;

    use super::*;

    fn directory(files: &[(&str, &[u8])]) -> TempDir {
        let directory = TempDir::new().expect("a directory can be made");
        for (path, content) in files {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().expect("it lies in one")).expect("writable");
            fs::write(path, content).expect("writable");
        }
        directory
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let large = vec![3; 1 << 20];
        let long = format!("profiling/{}.json", "name".repeat(40));
        let files: [(&str, &[u8]); 6] = [
            ("baseline.json", b"{}"),
            ("empty", b""),
            ("block", &[1; 512]),
            ("more", &[2; 513]),
            (&long, b"a path that has no room in the header"),
            ("large", &large),
        ];
        let directory = directory(&files);
        let mut packed = Vec::new();
        pack(directory.path(), files.iter().map(|(path, _)| *path), &mut packed).expect("it can be packed");
        let mut archive = Archive::new(StreamingDecoder::new(packed.as_slice()).expect("it is a frame"));
        let mut unpacked = Vec::new();
        for entry in archive.entries().expect("it is an archive") {
            let mut entry = entry.expect("it is whole");
            let path = entry.path().expect("it is a path").to_str().expect("it is text").to_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("it is whole");
            unpacked.push((path, content));
        }
        let expected: Vec<_> = files.iter().map(|(path, content)| ((*path).to_owned(), content.to_vec())).collect();
        assert!(unpacked == expected, "{:?}", unpacked.iter().map(|(path, content)| (path, content.len())));
    }

    /// A target that is full after so many bytes, and keeps how much of the source was read by then.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn errors_of_either_end_are_told() {
        let there = vec![7; 1 << 20];
        let directory = directory(&[("there", &there)]);
        let full = pack(directory.path(), ["there"].into_iter(), &mut Full(10)).expect_err("there is no room");
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        let absent = pack(directory.path(), ["there", "not"].into_iter(), &mut io::sink()).expect_err("it isn't there");
        assert_eq!(absent.kind(), io::ErrorKind::NotFound);
        let file = File::open(directory.path().join("there")).expect("it is there");
        let mut cut = Whole { file, path: "there".to_owned(), left: (1 << 20) + 1 };
        let cut = io::copy(&mut cut, &mut io::sink()).expect_err("it is shorter");
        assert_eq!(cut.to_string(), "`there` has become shorter while it was read");
    }

    /// Of what was read, a few blocks have not been written yet.
    #[test]
    fn what_is_read_is_written_soon() {
        let mut state = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_le_bytes()[7]
        })
        .take(2 << 20)
        .collect();
        let directory = directory(&[("first", &noise), ("second", &noise)]);
        let full = pack(directory.path(), ["first", "second", "absent"].into_iter(), &mut Full(3 << 20));
        // Noise can't be compressed: the target is full long before the file that isn't there is opened.
        assert_eq!(full.expect_err("there is no room").kind(), io::ErrorKind::StorageFull);
    }
}
