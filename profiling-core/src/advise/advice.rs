//! The record of what follows from a profile: its field `advice`.

use serde::{Deserialize, Serialize};

use crate::profile::OfferedSize;

/// Where a job can run, on what size, at what cost, and what to expect of it there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// Every platform of the catalogue, in its order.
    pub platforms: Vec<PlatformAdvice>,
    /// Virtual machines for a stream of executions. Absent where CPU time or memory was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm: Option<VmAdvice>,
    /// What monitoring should expect. Absent for a profile without cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qos: Option<QosBaseline>,
}

/// Whether a job can run somewhere, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It can, with the headroom that was asked for.
    Compatible,
    /// It can, with less.
    Tight,
    /// It can't be told: a figure of the job is missing, or can't be relied on.
    Unknown,
    /// It can't.
    Incompatible,
}

impl Verdict {
    /// The word in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compatible => "compatible",
            Self::Tight => "tight",
            Self::Unknown => "unknown",
            Self::Incompatible => "incompatible",
        }
    }
}

/// What follows for one platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlatformAdvice {
    /// The platform's id in the catalogue.
    pub platform: String,
    /// Whether the job can run there, on the best of its sizes.
    pub verdict: Verdict,
    /// What decides it, worst first: of a compatible job, every constraint that was checked; of another, those
    /// that are not met with headroom.
    pub reasons: Vec<Reason>,
    /// What doesn't decide, but should be known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// How far the platform's facts can be trusted.
    pub confidence: String,
    /// When they were read.
    pub as_of: String,
    /// The smallest size within 1% of the lowest cost. This and the next two are absent where the job fits
    /// no size, or its CPU time was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cheapest: Option<SizeAdvice>,
    /// The smallest size with the shortest duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fastest: Option<SizeAdvice>,
    /// The size with the least sum of cost and duration, each as a part of its largest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balanced: Option<SizeAdvice>,
    /// Sizes by memory, whether the job fits them or not.
    pub sizes: Vec<SizeAdvice>,
    /// The sizes that the job was rehearsed in, by memory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rehearsed: Vec<RehearsedSize>,
}

/// How a job did within the limits of a size, all cases that were rehearsed in it together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RehearsedSize {
    /// Its memory in MiB.
    pub memory_mb: u32,
    /// Its CPUs.
    pub vcpu: f64,
    /// The worst of all cases.
    #[serde(flatten)]
    pub outcome: RehearsedOutcome,
    /// The median duration of the slowest case within the limits, in milliseconds; absent where none passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_p50_ms: Option<f64>,
    /// What was predicted of that, in milliseconds; absent where CPU time was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted_p50_ms: Option<f64>,
}

/// What came of a job in a size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum RehearsedOutcome {
    /// All executions ended well.
    Passed,
    /// One did not.
    Failed {
        /// Why.
        reason: String,
    },
}

/// One size of a platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SizeAdvice {
    /// Its memory in MiB.
    pub memory_mb: u32,
    /// Its CPUs.
    pub vcpu: f64,
    /// Its name, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether the job's duration and memory fit it.
    pub verdict: Verdict,
    /// The median of the executions' durations there, in milliseconds.
    pub predicted_ms: f64,
    /// The duration that the timeout was held against, without the cold start, in milliseconds.
    pub bound_ms: f64,
    /// What a cold start adds, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold_start_ms: Option<f64>,
    /// The mean of the billed durations, in milliseconds.
    pub billed_ms: f64,
    /// What a million executions cost in USD, with the share of cold starts that was asked for.
    pub usd_per_million: f64,
    /// What a million executions cost in USD if each were a cold start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd_per_million_cold: Option<f64>,
}

/// A constraint, and how the job stands to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// What is constrained.
    pub constraint: Constraint,
    /// How the job stands to it.
    pub verdict: Verdict,
    /// The job's figure, in `unit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figure: Option<f64>,
    /// The platform's limit, in `unit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// `s`, `bytes` or `count`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What the limit leaves above the figure, as a part of the figure: 0.25 for 80 of 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// All of it in a sentence.
    pub text: String,
}

/// What can keep a job from running on a platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Constraint {
    /// There is no profile, or not of every case.
    Profile,
    /// The profile is not of the code that is built now.
    Stale,
    /// The profile is of a build without optimisation.
    Build,
    /// The profile's cases are of different builds or machines.
    Mixture,
    /// There are fewer than 5 samples.
    Samples,
    /// The job keeps state between executions.
    State,
    /// The job keeps connections between executions.
    PersistentConnections,
    /// The platform runs no native code.
    Architecture,
    /// Duration with cold start, against the timeout.
    Duration,
    /// CPU time.
    CpuTime,
    /// Memory of the whole tree of processes.
    Memory,
    /// What a request may hold.
    PayloadRequest,
    /// What a response may hold.
    PayloadResponse,
    /// What can be written to temporary files.
    TemporaryDisk,
    /// Open file descriptors.
    FileDescriptors,
    /// Threads and processes.
    Threads,
    /// It failed within the limits of a size.
    Rehearsal,
}

/// Virtual machines for a stream of executions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VmAdvice {
    /// Executions per second that this is for.
    pub jobs_per_second: f64,
    /// How busy CPUs may be.
    pub utilisation: f64,
    /// CPUs that are needed.
    pub vcpu: f64,
    /// Executions that run at the same time.
    pub concurrency: u64,
    /// Memory that is needed in all, headroom included, in MiB.
    pub memory_mb: u64,
    /// The cheapest fitting type of each provider, cheapest first.
    pub machines: Vec<MachineAdvice>,
    /// Executions per second from which on a virtual machine costs less than the cheapest size of any
    /// platform that can run the job. Absent where there is no such rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cheaper_than_serverless_from_jobs_per_second: Option<BreakEven>,
    /// What doesn't decide, but should be known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A type of virtual machine for a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MachineAdvice {
    /// The provider.
    pub provider: String,
    /// The type's name there.
    pub instance_type: String,
    /// How many are needed.
    pub count: u64,
    /// What they cost in a month of 730 hours, in USD.
    pub usd_per_month: f64,
    /// What a million executions cost at the given rate, in USD.
    pub usd_per_million: f64,
    /// How far the type's facts can be trusted.
    pub confidence: String,
    /// When its price was read.
    pub as_of: String,
}

/// The rate at which a virtual machine costs as much as a serverless platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BreakEven {
    /// Executions per second.
    pub jobs_per_second: f64,
    /// The virtual machine's type.
    pub instance_type: String,
    /// Its provider.
    pub provider: String,
    /// The platform.
    pub platform: String,
    /// The platform's size, in MiB.
    pub memory_mb: u32,
}

/// What monitoring should expect of a job, from its profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QosBaseline {
    /// The job.
    pub job: String,
    /// Measured executions that this rests on; of the case with the fewest.
    pub samples: u32,
    /// Wall-clock time: the worst case's percentiles.
    pub latency: LatencyObjectives,
    /// Failures.
    pub error_rate: ErrorRate,
    /// Memory, in bytes: the peak with headroom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes_max: Option<u64>,
    /// CPU time of one execution in seconds: the most with headroom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_seconds_max: Option<f64>,
}

/// Percentiles of the wall-clock time, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LatencyObjectives {
    /// The median.
    pub p50: Objective,
    /// The 95th percentile.
    pub p95: Objective,
    /// The 99th percentile.
    pub p99: Objective,
}

/// A percentile, how sure it is, and what to hold production to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// As measured, in seconds.
    pub measured_s: f64,
    /// The lower end of its 95% interval, in seconds; absent where there are too few samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_s: Option<f64>,
    /// The upper end, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high_s: Option<f64>,
    /// The upper end, or 1.5 × the longest execution where there is none; with headroom, in seconds.
    pub objective_s: f64,
}

/// The part of executions that fail.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ErrorRate {
    /// As measured: 0, since a job with a failed execution has no profile.
    pub measured: f64,
    /// What it is below with 95% certainty, after this many executions without failure.
    pub upper: f64,
    /// What to hold production to.
    pub objective: f64,
}

impl Advice {
    /// Takes back every verdict that lets the job run: what is known about it afterwards makes the profile
    /// no basis for one. `text` says what.
    pub fn distrust(&mut self, constraint: Constraint, text: &str) {
        for platform in &mut self.platforms {
            let reason = Reason::unknown(constraint, text.to_owned());
            if platform.reasons.contains(&reason) {
                continue;
            }
            if platform.verdict == Verdict::Compatible {
                platform.reasons.clear();
            }
            platform.verdict = platform.verdict.max(Verdict::Unknown);
            platform.reasons.push(reason);
            platform.reasons.sort_by_key(|reason| std::cmp::Reverse(reason.verdict));
        }
    }

    /// The sizes that it recommends: the cheapest, fastest and balanced one of each platform that can run the
    /// job.
    #[must_use]
    pub fn chosen_sizes(&self) -> Vec<OfferedSize> {
        let mut chosen: Vec<OfferedSize> = Vec::new();
        for platform in self.platforms.iter().filter(|platform| platform.verdict <= Verdict::Tight) {
            for size in [&platform.cheapest, &platform.fastest, &platform.balanced].into_iter().flatten() {
                let size =
                    OfferedSize { platform: platform.platform.clone(), memory_mb: size.memory_mb, vcpu: size.vcpu };
                if !chosen.contains(&size) {
                    chosen.push(size);
                }
            }
        }
        chosen
    }

    /// What is said of one platform.
    #[must_use]
    pub fn platform(&self, id: &str) -> Option<&PlatformAdvice> {
        self.platforms.iter().find(|platform| platform.platform == id)
    }
}

impl Reason {
    /// A constraint that can't be judged.
    #[must_use]
    pub fn unknown(constraint: Constraint, text: String) -> Self {
        Self::plain(constraint, Verdict::Unknown, text)
    }

    /// A constraint without figures.
    pub(crate) fn plain(constraint: Constraint, verdict: Verdict, text: String) -> Self {
        Self { constraint, verdict, figure: None, limit: None, unit: None, margin: None, text }
    }
}
