//! The five squaring jobs of a Tangle blueprint. Each is a [`Job`] that a blueprint's router can
//! call, and profiled.
//!
//! | job | id | runs | results required |
//! |---|---|---|---|
//! | [`square`] | 0 | at the operator | 1 |
//! | [`verified_square`] | 1 | at the operator | 2 |
//! | [`consensus_square`] | 2 | at the operator | 3 |
//! | [`square_faas`] | 3 | serverless | 1 |
//! | [`verified_square_faas`] | 4 | serverless | 2 |

mod abi;

use std::error::Error;
use std::fmt;

use blueprint_core::extract::Context;
use blueprint_core::{Job, JobCall, JobResult};
use profiling_core::profile_job;

pub use abi::Uint64;

/// What the operators of a service agreed on when it began.
#[derive(Debug, Clone, Copy)]
pub struct Agreement {
    /// The largest number that they square.
    pub largest: u64,
}

impl Default for Agreement {
    fn default() -> Self {
        Self { largest: u32::MAX.into() }
    }
}

/// A number that is too large to be squared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge(pub u64);

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is too large to be squared", self.0)
    }
}

impl Error for TooLarge {}

/// Squares a number; one operator's result completes the job.
#[profile_job(id = 0, args(Uint64(12_345)), verify(|result| result == &Ok(Uint64(152_399_025))))]
pub async fn square(Uint64(x): Uint64) -> Result<Uint64, TooLarge> {
    x.checked_mul(x).map(Uint64).ok_or(TooLarge(x))
}

/// Squares a number; two operators have to come to the same result.
#[profile_job(id = 1, args(Context(Agreement::default()), Uint64(12_345)))]
pub async fn verified_square(Context(agreement): Context<Agreement>, Uint64(x): Uint64) -> Result<Uint64, TooLarge> {
    if x > agreement.largest { Err(TooLarge(x)) } else { square(Uint64(x)).await }
}

/// Squares a number; three operators have to come to the same result.
#[profile_job(id = 2, args(Context(Agreement::default()), Uint64(12_345)))]
pub async fn consensus_square(context: Context<Agreement>, x: Uint64) -> Result<Uint64, TooLarge> {
    verified_square(context, x).await
}

/// [`square`], run serverless.
#[profile_job(id = 3, args(Uint64(12_345)))]
pub async fn square_faas(x: Uint64) -> Result<Uint64, TooLarge> {
    square(x).await
}

/// [`verified_square`], run serverless.
#[profile_job(id = 4, args(Context(Agreement::default()), Uint64(12_345)))]
pub async fn verified_square_faas(context: Context<Agreement>, x: Uint64) -> Result<Uint64, TooLarge> {
    verified_square(context, x).await
}

/// Calls the job that the call names, as a blueprint's router does; `None` for an unknown one.
pub async fn call(call: JobCall, agreement: Agreement) -> Option<JobResult> {
    match u64::from(call.job_id()) {
        0 => square.call(call, agreement).await,
        1 => verified_square.call(call, agreement).await,
        2 => consensus_square.call(call, agreement).await,
        3 => square_faas.call(call, agreement).await,
        4 => verified_square_faas.call(call, agreement).await,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answer(job: u32, x: u64) -> Result<Uint64, String> {
        let body = Uint64(x).to_word().to_vec().into();
        let result = call(JobCall::new(job, body), Agreement::default()).await.expect("a known job");
        let word = result.body().map_err(ToString::to_string)?;
        Ok(Uint64::from_word(word).expect("a number"))
    }

    #[tokio::test]
    async fn every_job_squares() {
        for job in 0..5 {
            assert_eq!(answer(job, 12_345).await, Ok(Uint64(152_399_025)), "job {job}");
        }
    }

    #[tokio::test]
    async fn every_job_refuses_what_is_too_large() {
        for job in 0..5 {
            let refusal = format!("{} is too large to be squared", 1_u64 << 32);
            assert_eq!(answer(job, 1 << 32).await, Err(refusal), "job {job}");
        }
    }

    #[tokio::test]
    async fn what_is_no_number_is_rejected() {
        for job in 0..5_u32 {
            let result = call(JobCall::new(job, "five".into()), Agreement::default()).await.expect("a known job");
            assert!(result.is_err(), "job {job}");
        }
    }

    #[tokio::test]
    async fn an_unknown_job_has_no_result() {
        assert!(call(JobCall::new(5_u32, Uint64(1).to_word().to_vec().into()), Agreement::default()).await.is_none());
    }
}
