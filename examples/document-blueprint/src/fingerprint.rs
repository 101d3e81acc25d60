use profiling_core::profile_job;
use sha2::{Digest, Sha256};

/// The SHA-256 digest of a document.
#[must_use]
#[profile_job(
    id = 5,
    setup(document = crate::decompress(include_bytes!("../data/flights.csv.gz")).expect("a gzip file")),
    args(&document),
    verify(|digest| digest[..4] == [0xa3, 0xf2, 0x95, 0xc9]),
)]
pub fn fingerprint(document: &[u8]) -> [u8; 32] {
    Sha256::digest(document).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_one_that_everyone_computes() {
        assert_eq!(fingerprint(b"")[..4], [0xe3, 0xb0, 0xc4, 0x42]);
        assert_eq!(fingerprint(b"abc")[28..], [0xf2, 0x00, 0x15, 0xad]);
    }
}
