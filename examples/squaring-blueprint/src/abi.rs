//! How numbers travel in job calls and results: as 32-byte words, the Solidity ABI's `uint64`.

use blueprint_core::extract::FromJobCall;
use blueprint_core::{Error, IntoJobResult, JobCall, JobResult};

/// A number in the body of a call (as an argument) or of a result (as an output).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uint64(pub u64);

impl Uint64 {
    /// The number as an ABI word.
    #[must_use]
    pub fn to_word(self) -> [u8; 32] {
        let mut word = [0; 32];
        word[24..].copy_from_slice(&self.0.to_be_bytes());
        word
    }

    /// The number of an ABI word; `None` for anything else.
    #[must_use]
    pub fn from_word(word: &[u8]) -> Option<Self> {
        let number = word.strip_prefix(&[0; 24])?;
        Some(Self(u64::from_be_bytes(number.try_into().ok()?)))
    }
}

impl<Ctx: Sync> FromJobCall<Ctx> for Uint64 {
    type Rejection = JobResult;

    async fn from_job_call(call: JobCall, _: &Ctx) -> Result<Self, JobResult> {
        let (_, body) = call.into_parts();
        Self::from_word(&body).ok_or_else(|| JobResult::Err(Error::new("the body of the call is not one ABI uint64")))
    }
}

impl IntoJobResult for Uint64 {
    fn into_job_result(self) -> Option<JobResult> {
        self.to_word().into_job_result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_holds_a_number() {
        for number in [0, 1, 12_345, u64::MAX] {
            assert_eq!(Uint64::from_word(&Uint64(number).to_word()), Some(Uint64(number)));
        }
    }

    #[test]
    fn other_words_are_refused() {
        assert_eq!(Uint64::from_word(&[]), None);
        assert_eq!(Uint64::from_word(&[0; 31]), None);
        assert_eq!(Uint64::from_word(&[0; 33]), None);
        assert_eq!(Uint64::from_word(&[1; 32]), None, "more than 64 bits");
    }
}
