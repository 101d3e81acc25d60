//! What Tangle's pricing engine reads: a benchmark of a job, and prices per job.

use std::fmt::Write as _;
use std::io;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::demand::own_cpu_ns;
use super::{Advice, Verdict};
use crate::profile::{CaseProfile, Profile};
use crate::sample::{Column, Sample};
use crate::samples::{SampledCase, sampled};

/// The pricing engine's `BenchmarkProfile`, from measured figures: of the case with the most CPU time.
///
/// The engine's own benchmark fields, which no profile has a figure for, are 0 (their types allow no null); the
/// details that would hold nothing but such are null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the engine's own names")]
pub struct BenchmarkProfile {
    pub job_id: String,
    pub execution_mode: String,
    pub duration_secs: u64,
    pub timestamp: u64,
    pub success: bool,
    pub cpu_details: Option<CpuDetails>,
    pub memory_details: Option<MemoryDetails>,
    pub io_details: Option<()>,
    pub network_details: Option<()>,
    pub gpu_details: Option<()>,
    pub storage_details: Option<()>,
}

/// The engine's `CpuBenchmarkResult`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the engine's own names")]
pub struct CpuDetails {
    pub num_cores_detected: usize,
    pub avg_cores_used: f32,
    pub avg_usage_percent: f32,
    pub peak_cores_used: f32,
    pub peak_usage_percent: f32,
    pub benchmark_duration_ms: u64,
    pub primes_found: u64,
    pub max_prime: u64,
    pub primes_per_second: f32,
    pub cpu_model: String,
    pub cpu_frequency_mhz: f32,
}

/// The engine's `MemoryBenchmarkResult`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the engine's own names")]
pub struct MemoryDetails {
    pub avg_memory_mb: f32,
    pub peak_memory_mb: f32,
    pub block_size_kb: u64,
    pub total_size_mb: u64,
    pub operations_per_second: f32,
    pub transfer_rate_mb_s: f32,
    pub access_mode: AccessMode,
    pub operation_type: OperationType,
    pub latency_ns: f32,
    pub duration_ms: u64,
}

/// The engine's `MemoryAccessMode`, of which profiles have but one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccessMode {
    /// The engine's default.
    Sequential,
}

/// The engine's `MemoryOperationType`, of which profiles have but one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperationType {
    /// Memory itself was not benchmarked.
    None,
}

impl BenchmarkProfile {
    /// A job's benchmark; `None` without cases. `job_id` is what the engine knows the job by.
    ///
    /// # Errors
    ///
    /// Where the samples can't be read.
    pub fn of(job_id: impl Into<String>, profile: &Profile, samples: &[SampledCase<'_>]) -> io::Result<Option<Self>> {
        let cpu = |case: &&CaseProfile| case.figures.cpu_ns.map_or(0.0, |cpu| cpu.mean);
        let case = profile.cases.iter().max_by(|a, b| cpu(a).total_cmp(&cpu(b)));
        let Some(case) = case else { return Ok(None) };
        let profiled = humantime::parse_rfc3339(&profile.environment.profiled_at).ok();
        let since = profiled.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        Ok(Some(Self {
            job_id: job_id.into(),
            execution_mode: "native".to_owned(),
            duration_secs: ceiling(case.wall_ns.mean / 1e9).max(1),
            timestamp: since.map_or(0, |since| since.as_secs()),
            success: true,
            cpu_details: CpuDetails::of(profile, case, samples)?,
            memory_details: MemoryDetails::of(case),
            io_details: None,
            network_details: None,
            gpu_details: None,
            storage_details: None,
        }))
    }
}

impl CpuDetails {
    /// `None` where CPU time was not measured, or it isn't known of how many CPUs.
    fn of(profile: &Profile, case: &CaseProfile, samples: &[SampledCase<'_>]) -> io::Result<Option<Self>> {
        let (count, cpu) = (profile.environment.logical_cpus, case.figures.cpu_ns);
        let Some((count, cpu)) = count.filter(|&count| count > 0).zip(cpu) else { return Ok(None) };
        let average = ratio(cpu.mean, case.wall_ns.mean);
        let mut peak = average;
        if let Some(samples) = sampled(samples, &case.params) {
            let of_sample = |sample: &Sample| Some(ratio(sample.cpu_ns? as f64, sample.wall_ns as f64));
            samples.visit_only(&[Column::WallNs, Column::CpuNs], &mut |samples| {
                peak = samples.iter().filter_map(of_sample).fold(peak, f64::max);
            })?;
        }
        let percent = |cores: f64| single(cores / f64::from(count) * 100.0);
        Ok(Some(Self {
            num_cores_detected: count as usize,
            avg_cores_used: single(average),
            avg_usage_percent: percent(average),
            peak_cores_used: single(peak),
            peak_usage_percent: percent(peak),
            benchmark_duration_ms: ceiling(case.wall_ns.mean / 1e6),
            primes_found: 0,
            max_prime: 0,
            primes_per_second: 0.0,
            cpu_model: profile.environment.cpu_model.clone().unwrap_or_else(|| "Unknown".to_owned()),
            cpu_frequency_mhz: 0.0,
        }))
    }
}

impl MemoryDetails {
    /// `None` where resident memory was not measured.
    fn of(case: &CaseProfile) -> Option<Self> {
        let rss = case.figures.peak_rss_bytes?;
        let peak = case.peak_memory_bytes()?;
        // What a tree of processes takes at most, it takes in every execution.
        let average = case.tree_peak.map_or(rss.mean, |tree| rss.mean.max(tree.bytes as f64));
        Some(Self {
            avg_memory_mb: single(average / f64::from(1 << 20)),
            peak_memory_mb: single(peak as f64 / f64::from(1 << 20)),
            block_size_kb: 0,
            total_size_mb: peak.div_ceil(1 << 20),
            operations_per_second: 0.0,
            transfer_rate_mb_s: 0.0,
            access_mode: AccessMode::Sequential,
            operation_type: OperationType::None,
            latency_ns: 0.0,
            duration_ms: ceiling(case.wall_ns.mean / 1e6),
        })
    }
}

/// How a cost in USD becomes a price in a token's smallest unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PriceTerms {
    margin: f64,
    usd_per_token: f64,
    decimals: u8,
}

/// Terms that make no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidTerms {
    /// The margin is negative or no number.
    #[error("a margin is 0 or more: 0.2 adds 20% to the cost")]
    Margin,
    /// The token's price is not above 0.
    #[error("a token costs more than 0 USD")]
    UsdPerToken,
    /// The token has more decimals than a price can be told with.
    #[error("a token has at most 18 decimals here")]
    Decimals,
}

impl PriceTerms {
    /// A margin of 0.2 adds 20% to the cost; a token of 18 decimals is priced in wei.
    pub fn new(margin: f64, usd_per_token: f64, decimals: u8) -> Result<Self, InvalidTerms> {
        if !(margin.is_finite() && margin >= 0.0) {
            return Err(InvalidTerms::Margin);
        }
        if !(usd_per_token.is_finite() && usd_per_token > 0.0) {
            return Err(InvalidTerms::UsdPerToken);
        }
        if decimals > 18 {
            return Err(InvalidTerms::Decimals);
        }
        Ok(Self { margin, usd_per_token, decimals })
    }

    /// The price of an execution, rounded up.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; saturates")]
    fn price(&self, usd_per_million: f64) -> u128 {
        let tokens = usd_per_million / 1e6 * (1.0 + self.margin) / self.usd_per_token;
        (tokens * 10_f64.powi(i32::from(self.decimals))).ceil() as u128
    }
}

/// What an execution of a job costs, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct JobCost {
    /// USD for a million.
    pub usd_per_million: f64,
    /// The platform's id or the machine's type.
    pub runs_on: String,
}

impl JobCost {
    /// The least of the platforms that the job is compatible with; else of the machines. `None` where neither is
    /// known.
    #[must_use]
    pub fn least(advice: &Advice) -> Option<Self> {
        let compatible = advice.platforms.iter().filter(|platform| platform.verdict == Verdict::Compatible);
        let on_platform = compatible.filter_map(|platform| {
            let size = platform.cheapest.as_ref()?;
            let runs_on = format!("{} with {} MB", platform.platform, size.memory_mb);
            Some(Self { usd_per_million: size.usd_per_million, runs_on })
        });
        let machines = advice.vm.iter().flat_map(|vm| &vm.machines);
        let on_machine = machines.map(|machine| Self {
            usd_per_million: machine.usd_per_million,
            runs_on: format!("{} × {}", machine.count, machine.instance_type),
        });
        let cheaper = |a: &Self, b: &Self| a.usd_per_million.total_cmp(&b.usd_per_million);
        on_platform.min_by(cheaper).or_else(|| on_machine.min_by(cheaper))
    }
}

/// Price suggestions in the engine's TOML: under the service, a job's index and its price as a string. A job
/// without a cost is a comment.
///
/// ```
/// use profiling_core::advise::{JobCost, PriceTerms, price_suggestions};
///
/// let cost = JobCost { usd_per_million: 6.0, runs_on: "aws-lambda with 128 MB".to_owned() };
/// let terms = PriceTerms::new(0.5, 3000.0, 18).expect("valid");
/// let toml = price_suggestions(1, [(0, Some(&cost)), (2, None)], &terms);
/// // 6e-6 USD · 1.5 ÷ 3000 USD · 10^18
/// assert!(toml.ends_with("[1]\n0 = \"3000000000\" # 6 USD a million on aws-lambda with 128 MB\n# 2: no cost is known\n"));
/// ```
#[must_use]
pub fn price_suggestions<'a>(
    service_id: u64,
    jobs: impl IntoIterator<Item = (u32, Option<&'a JobCost>)>,
    terms: &PriceTerms,
) -> String {
    let mut toml = format!(
        "# Suggested from measured costs, {}% margin and {} USD a token.\n[{service_id}]\n",
        (terms.margin * 1e4).round() / 1e2,
        terms.usd_per_token
    );
    for (index, cost) in jobs {
        // Writing to a string can't fail.
        let _ = match cost {
            Some(cost) => {
                let on = cost.runs_on.replace(char::is_control, " ");
                let price = terms.price(cost.usd_per_million);
                writeln!(toml, "{index} = \"{price}\" # {} USD a million on {on}", cost.usd_per_million)
            }
            None => writeln!(toml, "# {index}: no cost is known"),
        };
    }
    toml
}

/// The CPUs in use at once.
fn ratio(cpu_ns: f64, wall_ns: f64) -> f64 {
    if wall_ns > 0.0 { own_cpu_ns(cpu_ns, wall_ns) / wall_ns } else { 0.0 }
}

#[expect(clippy::cast_possible_truncation, reason = "the engine's own type")]
fn single(figure: f64) -> f32 {
    figure as f32
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; saturates")]
fn ceiling(figure: f64) -> u64 {
    figure.ceil() as u64
}
