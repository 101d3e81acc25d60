//! A thousand samples in bytes, column by column.
//!
//! Of each column, the smallest key and how many bytes the distance of the others from it takes: mostly one or two, and
//! none where all are the same. A header of a fixed length tells where each column lies.

use crate::sample::{Column, Sample};

/// The samples of a chunk.
pub(super) const LENGTH: usize = 1024;
/// A bit for each of them.
const BITMAP: usize = LENGTH / 8;
/// Of each column, its kind and its smallest key.
const ENTRY: usize = 1 + size_of::<u64>();
const HEADER: usize = ENTRY * Column::ALL.len();
/// Set in the kind of a column that some samples lack; the rest of it is the number of bytes of each key.
const LACKING: u8 = 0x80;

/// A chunk as it is written.
pub(super) struct Chunk(Vec<u8>);

impl Chunk {
    /// Of [`LENGTH`] samples.
    pub(super) fn of(samples: &[Sample]) -> Self {
        let mut bytes = Vec::with_capacity(HEADER + LENGTH * 2 * Column::ALL.len());
        bytes.resize(HEADER, 0);
        let mut keys = Vec::with_capacity(LENGTH);
        for column in Column::ALL {
            keys.clear();
            for sample in samples {
                keys.push(sample.key(column));
            }
            let entry = pack(&keys, &mut bytes);
            bytes[ENTRY * column as usize..][..ENTRY].copy_from_slice(&entry);
        }
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether a sample lacks the figure.
    pub(super) fn lacks(&self, column: Column) -> bool {
        self.0[ENTRY * column as usize] & LACKING != 0
    }
}

/// Appends a column, and returns its entry in the header.
fn pack(keys: &[Option<u64>], bytes: &mut Vec<u8>) -> [u8; ENTRY] {
    let (mut min, mut max, mut lacking) = (u64::MAX, 0, false);
    for key in keys {
        match *key {
            Some(key) => {
                min = min.min(key);
                max = max.max(key);
            }
            None => lacking = true,
        }
    }
    let min = min.min(max);
    let width = (u64::BITS - (max - min).leading_zeros()).div_ceil(u8::BITS) as usize;
    if lacking {
        let bitmap = bytes.len();
        bytes.resize(bitmap + BITMAP, 0);
        for (at, _) in keys.iter().enumerate().filter(|(_, key)| key.is_some()) {
            bytes[bitmap + at / 8] |= 1 << (at % 8);
        }
    }
    if width > 0 {
        for key in keys {
            bytes.extend_from_slice(&(key.unwrap_or(min) - min).to_le_bytes()[..width]);
        }
    }
    let mut entry = [0; ENTRY];
    entry[0] = u8::try_from(width).unwrap_or(u8::MAX) | if lacking { LACKING } else { 0 };
    entry[1..].copy_from_slice(&min.to_le_bytes());
    entry
}

/// What a chunk begins with.
#[derive(Debug)]
pub(super) struct Header([u8; HEADER]);

impl Default for Header {
    fn default() -> Self {
        Self([0; HEADER])
    }
}

impl Header {
    pub(super) const LENGTH: u64 = HEADER as u64;

    /// To be read into.
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// How many bytes the columns have together.
    pub(super) fn body(&self) -> u64 {
        Column::ALL.iter().map(|&column| self.length(column)).sum()
    }

    fn kind(&self, column: Column) -> u8 {
        self.0[ENTRY * column as usize]
    }

    fn length(&self, column: Column) -> u64 {
        let kind = self.kind(column);
        let bitmap = if kind & LACKING == 0 { 0 } else { BITMAP };
        (bitmap + usize::from(kind & !LACKING) * LENGTH) as u64
    }

    /// A column, the bytes of which are still to be read.
    pub(super) fn packed(&self, column: Column) -> Packed {
        let mut min = [0; size_of::<u64>()];
        min.copy_from_slice(&self.0[ENTRY * column as usize + 1..][..size_of::<u64>()]);
        let offset = Column::ALL[..column as usize].iter().map(|&before| self.length(before)).sum();
        let bytes = vec![0; usize::try_from(self.length(column)).unwrap_or(usize::MAX)];
        Packed { kind: self.kind(column), min: u64::from_le_bytes(min), offset, bytes }
    }
}

/// A column of a chunk.
pub(super) struct Packed {
    kind: u8,
    min: u64,
    /// Where it lies behind the header.
    offset: u64,
    bytes: Vec<u8>,
}

impl Packed {
    /// Where its bytes lie behind the header, and where to read them to; `None` where there are none.
    pub(super) fn body(&mut self) -> Option<(u64, &mut [u8])> {
        if self.bytes.is_empty() { None } else { Some((self.offset, &mut self.bytes)) }
    }

    fn width(&self) -> usize {
        usize::from(self.kind & !LACKING)
    }

    /// The keys of a column that no sample lacks.
    pub(super) fn unpack_all(&self, keys: &mut Vec<u64>) {
        keys.clear();
        match self.width() {
            0 => keys.resize(LENGTH, self.min),
            1 => self.unpack_by::<1>(keys),
            2 => self.unpack_by::<2>(keys),
            3 => self.unpack_by::<3>(keys),
            4 => self.unpack_by::<4>(keys),
            5 => self.unpack_by::<5>(keys),
            6 => self.unpack_by::<6>(keys),
            7 => self.unpack_by::<7>(keys),
            _ => self.unpack_by::<8>(keys),
        }
    }

    fn unpack_by<const WIDTH: usize>(&self, keys: &mut Vec<u64>) {
        let begin = if self.kind & LACKING == 0 { 0 } else { BITMAP };
        let (distances, _) = self.bytes[begin..].as_chunks::<WIDTH>();
        for distance in distances {
            let mut bytes = [0; size_of::<u64>()];
            bytes[..WIDTH].copy_from_slice(distance);
            keys.push(self.min + u64::from_le_bytes(bytes));
        }
    }

    /// The keys, where there are some.
    pub(super) fn unpack(&self, keys: &mut Vec<Option<u64>>) {
        let mut all = Vec::with_capacity(LENGTH);
        self.unpack_all(&mut all);
        keys.clear();
        if self.kind & LACKING == 0 {
            keys.extend(all.into_iter().map(Some));
            return;
        }
        let is_there = |at: usize| self.bytes[at / 8] & (1 << (at % 8)) != 0;
        keys.extend(all.into_iter().enumerate().map(|(at, key)| is_there(at).then_some(key)));
    }
}
