use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use profiling_core::profile_job;

/// Compresses a document with gzip, at a level from 0 (fast) to 9 (small).
///
/// # Errors
///
/// Never, as long as there is memory.
#[profile_job(
    id = 2,
    samples = 5,
    warmup = 1,
    params(level = [1, 6]),
    setup(document = decompress(include_bytes!("../data/flights.csv.gz")).expect("a gzip file")),
    args(&document, level),
)]
pub fn compress(document: &[u8], level: u32) -> io::Result<Vec<u8>> {
    let mut archive = GzEncoder::new(Vec::new(), Compression::new(level));
    archive.write_all(document)?;
    archive.finish()
}

/// The document that was compressed with [`compress`].
///
/// # Errors
///
/// When the archive is not in the format gzip, or damaged.
#[profile_job(id = 3, args(include_bytes!("../data/flights.csv.gz")))]
pub fn decompress(archive: &[u8]) -> io::Result<Vec<u8>> {
    let mut document = Vec::new();
    GzDecoder::new(archive).read_to_end(&mut document)?;
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn the_document_comes_back_from_a_smaller_archive() {
        let document = samples::flights();
        let archive = compress(&document, 1).expect("memory");
        assert!(archive.len() < document.len() / 2);
        assert!(decompress(&archive).expect("an archive") == document);
    }

    #[test]
    fn refuses_what_is_no_archive() {
        assert!(decompress(samples::PHOTO).is_err());
    }
}
