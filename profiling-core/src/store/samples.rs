//! A job's samples on disk: one [`SampleRecord`] a line, compressed. Both ways they pass by one at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{StoreError, io_error};
use crate::profile::{Params, Profile, SampleRecord};
use crate::samples::{CaseSamples, SampledCase, kept};

/// The samples of a case to be saved.
#[derive(Debug, Clone, Copy)]
pub struct KeptSamples<'a> {
    /// The case with the samples that there are.
    pub case: SampledCase<'a>,
    /// How many of them to save at most, evenly spread.
    pub most: usize,
}

/// The samples of a job, as they were stored.
#[derive(Debug, Default)]
pub struct StoredSamples {
    cases: Vec<(Params, CaseSamples)>,
}

impl StoredSamples {
    /// By case.
    #[must_use]
    pub fn cases(&self) -> Vec<SampledCase<'_>> {
        self.cases.iter().map(|(params, samples)| SampledCase { params, samples }).collect()
    }

    /// Of the first of these files that there is; none where there is none. What is too much for memory goes to a
    /// file in `temporary`, or in the directory for temporary files.
    pub(super) fn read(paths: &[&Path], temporary: Option<&Path>) -> Result<Self, StoreError> {
        for path in paths {
            match File::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                file => return Self::read_file(file.map_err(io_error("read", path))?, path, temporary),
            }
        }
        Ok(Self::default())
    }

    fn read_file(file: File, path: &Path, temporary: Option<&Path>) -> Result<Self, StoreError> {
        let mut file = BufReader::with_capacity(1 << 16, file);
        let is_compressed = file.fill_buf().map_err(io_error("read", path))?.starts_with(&[0x1f, 0x8b]);
        let mut lines: Box<dyn BufRead> =
            if is_compressed { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(file) };
        let mut stored = Self::default();
        let (mut line, mut number) = (Vec::new(), 0);
        loop {
            line.clear();
            number += 1;
            let damaged = |reason: String| StoreError::Damaged {
                path: path.to_owned(),
                reason: format!("line {number}: {reason}"),
            };
            if lines.read_until(b'\n', &mut line).map_err(|error| damaged(error.to_string()))? == 0 {
                stored.cases.iter_mut().for_each(|(_, samples)| samples.complete());
                return Ok(stored);
            }
            if line != b"\n" {
                let record = serde_json::from_slice(&line).map_err(|error| damaged(error.to_string()))?;
                stored.push(record, temporary).map_err(io_error("read", path))?;
            }
        }
    }

    fn push(&mut self, record: SampleRecord, temporary: Option<&Path>) -> io::Result<()> {
        let SampleRecord { params, figures, .. } = record;
        // A case's samples lie one after the other.
        let known = match self.cases.last() {
            Some((last, _)) if *last == params => Some(self.cases.len() - 1),
            _ => self.cases.iter().position(|(known, _)| *known == params),
        };
        let position = known.unwrap_or_else(|| {
            let samples = temporary.map_or_else(CaseSamples::default, CaseSamples::spilling_to);
            if let Some((_, before)) = self.cases.last_mut() {
                before.complete();
            }
            self.cases.push((params, samples));
            self.cases.len() - 1
        });
        self.cases[position].1.push(figures)
    }
}

/// Writes samples, each with the number that it had when all were there.
pub(super) fn write(to: &mut impl Write, profile: &Profile, samples: &[KeptSamples<'_>]) -> io::Result<()> {
    // In a user's test build, which optimises nothing, what is slower takes longer than the executions.
    let mut compressed = GzEncoder::new(to, Compression::fast());
    for KeptSamples { case: SampledCase { params, samples }, most } in samples {
        let have = samples.len();
        let measured = profile.cases.iter().find(|case| case.params == **params).map(|case| case.samples as usize);
        let all = measured.map_or(have, |measured| measured.max(have));
        let prefix = SampleRecord::prefix(params)?;
        let (mut at, mut wanted, mut line) = (0, kept(have, *most).peekable(), String::new());
        let mut written = Ok(());
        samples.visit(&mut |piece| {
            while let Some(next) = wanted.next_if(|&next| next < at + piece.len()) {
                // Of those that were thinned before, this is the number of each.
                SampleRecord::write(&prefix, next * all / have, &piece[next - at], &mut line);
                if written.is_ok() {
                    written = compressed.write_all(line.as_bytes());
                }
            }
            at += piece.len();
        })?;
        written?;
    }
    compressed.finish().map(|_| ())
}
