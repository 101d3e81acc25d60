//! The samples of a case, be they as many as they may.
//!
//! A thousand of them are kept as they come. Whenever there are more, these are written to a temporary file, column
//! by column, and forgotten: the memory that samples take doesn't grow with their number, and whoever wants one figure
//! of all of them reads that column alone.

mod chunk;
mod column;
mod job;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

pub(crate) use self::column::Derived;
pub use self::job::{SampledCase, sampled};
use crate::sample::{Column, Sample};
use chunk::{Chunk, Header, LENGTH};

/// The samples of a case, in their order.
#[derive(Debug, Default)]
pub struct CaseSamples {
    /// Where to write what is too much for memory; the directory for temporary files where none was given.
    directory: Option<PathBuf>,
    spill: Option<Spill>,
    /// Those that come after those in the file.
    recent: Vec<Sample>,
}

/// The samples that were written to a file, in chunks of [`LENGTH`].
#[derive(Debug)]
struct Spill {
    path: TempPath,
    /// To write more; closed once there are no more to come, as a job may have more cases than a process may have
    /// files.
    file: Option<File>,
    chunks: usize,
    /// Of each column, whether any sample lacks it.
    lacking: [bool; Column::ALL.len()],
}

impl CaseSamples {
    /// No samples yet. Those that are too many for memory go to a file in this directory, which is removed with them.
    #[must_use]
    pub fn spilling_to(directory: &Path) -> Self {
        Self { directory: Some(directory.to_owned()), ..Self::default() }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spill.as_ref().map_or(0, |spill| spill.chunks * LENGTH) + self.recent.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One more.
    ///
    /// # Errors
    ///
    /// Where it can't be written.
    pub fn push(&mut self, sample: Sample) -> io::Result<()> {
        if self.recent.len() >= LENGTH {
            self.spill()?;
        }
        self.recent.push(sample);
        Ok(())
    }

    /// Those of another one come after these.
    ///
    /// # Errors
    ///
    /// Where they can't be read or written.
    pub fn append(&mut self, other: &Self) -> io::Result<()> {
        let mut pushed = Ok(());
        other.visit(&mut |samples| {
            let mut samples = samples.iter();
            pushed = std::mem::replace(&mut pushed, Ok(())).and_then(|()| samples.try_for_each(|&one| self.push(one)));
        })?;
        pushed
    }

    /// There are no more to come: closes the file.
    pub fn complete(&mut self) {
        if let Some(spill) = &mut self.spill {
            spill.file = None;
        }
    }

    /// Hands over all of them in order, piece by piece.
    ///
    /// # Errors
    ///
    /// Where they can't be read.
    pub fn visit(&self, visit: &mut dyn FnMut(&[Sample])) -> io::Result<()> {
        self.visit_only(&Column::ALL, visit)
    }

    /// The same with these figures, and perhaps others: to read few takes less time.
    pub(crate) fn visit_only(&self, columns: &[Column], visit: &mut dyn FnMut(&[Sample])) -> io::Result<()> {
        if let Some(spill) = &self.spill {
            let mut reader = spill.reader()?;
            let (mut keys, mut samples) = (Vec::new(), vec![Sample::default(); LENGTH]);
            while reader.next()? {
                for &column in columns {
                    reader.read(column, &mut keys)?;
                    samples.iter_mut().zip(&keys).for_each(|(sample, &key)| sample.set_key(column, key));
                }
                visit(&samples);
            }
        }
        if !self.recent.is_empty() {
            visit(&self.recent);
        }
        Ok(())
    }

    /// All of them at once; for few.
    ///
    /// # Errors
    ///
    /// Where they can't be read.
    pub fn to_vec(&self) -> io::Result<Vec<Sample>> {
        let mut all = Vec::with_capacity(self.len());
        self.visit(&mut |samples| all.extend_from_slice(samples))?;
        Ok(all)
    }

    /// So many of them at most, evenly spread: of every so many, one that is as good as any other, so that what
    /// comes again and again is neither always met nor never.
    ///
    /// # Errors
    ///
    /// Where they can't be read.
    pub fn thinned(&self, most: usize) -> io::Result<Vec<Sample>> {
        let (have, mut number) = (self.len(), 0);
        let ends = kept(have, most).skip(1).chain([have]);
        let mut wanted =
            kept(have, most).zip(ends).map(|(begin, end)| begin + any_below(end - begin, begin)).peekable();
        let mut found = Vec::new();
        self.visit(&mut |samples| {
            while let Some(&next) = wanted.peek().filter(|&&next| next < number + samples.len()) {
                found.push(samples[next - number]);
                wanted.next();
            }
            number += samples.len();
        })?;
        Ok(found)
    }

    fn spill(&mut self) -> io::Result<()> {
        if self.spill.is_none() {
            self.spill = Some(Spill::new(self.directory.as_deref())?);
        }
        if let Some(spill) = &mut self.spill {
            spill.write(&self.recent[..LENGTH])?;
            self.recent.drain(..LENGTH);
        }
        Ok(())
    }
}

/// The numbers of those samples that remain where `most` of `have` do.
pub(crate) fn kept(have: usize, most: usize) -> impl Iterator<Item = usize> {
    let remaining = have.min(most);
    // Both are below 2^32.
    (0..remaining).map(move |position| position * have / remaining)
}

/// A number below this one, for a place; the same whenever it is asked for.
fn any_below(limit: usize, place: usize) -> usize {
    let mixed = (place as u64).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    usize::try_from(mixed).unwrap_or(0) % limit.max(1)
}

impl From<Vec<Sample>> for CaseSamples {
    fn from(samples: Vec<Sample>) -> Self {
        Self { recent: samples, ..Self::default() }
    }
}

impl From<&[Sample]> for CaseSamples {
    fn from(samples: &[Sample]) -> Self {
        samples.to_vec().into()
    }
}

impl Spill {
    fn new(directory: Option<&Path>) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("samples-");
        let file = match directory {
            Some(directory) => builder.tempfile_in(directory),
            None => builder.tempfile(),
        };
        let (file, path) = file?.into_parts();
        Ok(Self { path, file: Some(file), chunks: 0, lacking: [false; Column::ALL.len()] })
    }

    fn write(&mut self, samples: &[Sample]) -> io::Result<()> {
        let chunk = Chunk::of(samples);
        for (lacking, column) in self.lacking.iter_mut().zip(Column::ALL) {
            *lacking |= chunk.lacks(column);
        }
        let file = match &mut self.file {
            Some(file) => file,
            closed => closed.insert(File::options().append(true).open(&self.path)?),
        };
        file.write_all(chunk.bytes())?;
        self.chunks += 1;
        Ok(())
    }

    fn reader(&self) -> io::Result<ChunkReader> {
        Ok(ChunkReader {
            file: File::open(&self.path)?,
            rest: self.chunks,
            begin: 0,
            next: 0,
            header: Header::default(),
        })
    }
}

/// Goes through the chunks of a file.
struct ChunkReader {
    file: File,
    /// The chunks to come.
    rest: usize,
    /// Where the columns of this chunk begin.
    begin: u64,
    /// Where the next chunk begins.
    next: u64,
    header: Header,
}

impl ChunkReader {
    /// Goes to the next chunk; `false` where there is none.
    fn next(&mut self) -> io::Result<bool> {
        let Some(rest) = self.rest.checked_sub(1) else { return Ok(false) };
        self.rest = rest;
        self.file.seek(SeekFrom::Start(self.next))?;
        self.file.read_exact(self.header.bytes())?;
        self.begin = self.next + Header::LENGTH;
        self.next = self.begin + self.header.body();
        Ok(true)
    }

    /// The keys of a column in this chunk.
    fn read(&mut self, column: Column, keys: &mut Vec<Option<u64>>) -> io::Result<()> {
        self.read_packed(column)?.unpack(keys);
        Ok(())
    }

    /// The same of one that no sample lacks.
    fn read_all(&mut self, column: Column, keys: &mut Vec<u64>) -> io::Result<()> {
        self.read_packed(column)?.unpack_all(keys);
        Ok(())
    }

    fn read_packed(&mut self, column: Column) -> io::Result<chunk::Packed> {
        let mut packed = self.header.packed(column);
        if let Some((offset, body)) = packed.body() {
            self.file.seek(SeekFrom::Start(self.begin + offset))?;
            self.file.read_exact(body)?;
        }
        Ok(packed)
    }
}

#[cfg(test)]
mod tests;
