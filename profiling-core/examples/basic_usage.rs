//! Profiles closures without the attribute, and passes the profiles on in the formats that Tangle reads.
//!
//! Run with `cargo run --example basic_usage -p profiling-core --features profiling`.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use profiling_core::{
    BlueprintProfiles, CountingAllocator, JobProfile, ProfileConfig, ProfileRunner, has_profiling_data,
};

/// Where the resident memory can't be read, the heap's peak stands in for it.
#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::system();

/// Keeps a core busy for a quarter of a millisecond.
async fn compute() -> Result<(), Box<dyn Error + Send + Sync>> {
    let begin = Instant::now();
    let mut state = 12_345_u64;
    while begin.elapsed() < Duration::from_micros(250) {
        state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
    Ok(())
}

/// Waits, as for an answer from elsewhere.
async fn wait() -> Result<(), Box<dyn Error + Send + Sync>> {
    tokio::time::sleep(Duration::from_millis(40)).await;
    Ok(())
}

/// Touches 32 MiB of memory.
async fn fill() -> Result<(), Box<dyn Error + Send + Sync>> {
    black_box(vec![1_u8; 32 << 20]);
    Ok(())
}

fn print(name: &str, profile: &JobProfile) {
    let JobProfile { avg_duration_ms, p95_duration_ms, p99_duration_ms, peak_memory_mb, sample_size, .. } = profile;
    println!(
        "{name:<8} {sample_size:>7} {avg_duration_ms:>5} ms {p95_duration_ms:>5} ms {p99_duration_ms:>5} ms \
         {peak_memory_mb:>6} MiB"
    );
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = ProfileConfig { sample_size: 20, warmup_runs: 2, max_execution_time: Duration::from_secs(5) };

    println!("{:<8} {:>7} {:>8} {:>8} {:>8} {:>10}", "job", "samples", "average", "p95", "p99", "peak");
    let computed = ProfileRunner::profile_job(compute, config.clone()).await?;
    print("compute", &computed);
    // What takes a fraction of a millisecond takes a millisecond: zero would mean that it is free.
    assert!(computed.avg_duration_ms >= 1);

    let waited = ProfileRunner::profile_job(wait, config.clone()).await?;
    print("wait", &waited);
    assert!(waited.avg_duration_ms >= 40);

    let filled = ProfileRunner::profile_job(fill, ProfileConfig { sample_size: 5, ..config }).await?;
    print("fill", &filled);
    assert!(filled.peak_memory_mb >= 32);

    let mut profiles = BlueprintProfiles::new("basic-usage");
    profiles.add_job(0, computed);
    profiles.add_job(1, waited);
    profiles.add_job(2, filled);

    let path = std::env::temp_dir().join(format!("basic-usage-{}.json", std::process::id()));
    profiles.save_to_file(&path)?;
    let loaded = BlueprintProfiles::load_from_file(&path)?;
    std::fs::remove_file(&path)?;
    println!("\n{} jobs came back from {}", loaded.jobs.len(), path.display());

    let encoded = profiles.to_base64_string()?;
    let decoded = BlueprintProfiles::from_base64_string(&encoded)?;
    println!("{} jobs came back from {} characters of base64", decoded.jobs.len(), encoded.len());

    let description = profiles.to_description_field()?;
    assert!(has_profiling_data(&description) && !has_profiling_data("A blueprint that squares numbers"));
    println!("a description can carry them: {}…", &description[..32]);
    Ok(())
}
