use profiling_core::profile_job;

/// Squares a number.
#[profile_job(id = 0, args(12_345))]
pub async fn square(x: u64) -> u64 {
    x * x
}
