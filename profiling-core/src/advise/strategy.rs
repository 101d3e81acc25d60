//! How Tangle's manager will deploy a whole blueprint, from what `blueprint-profiles.json` tells it.
//!
//! The rule is that of `blueprint_analyzer` in the manager's source: a job can run on a serverless platform if
//! its p95 and its peak memory are within the platform's limits, without headroom, and it keeps neither state
//! nor connections. What our own verdicts say against that is listed beside it.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{Advice, Verdict};
use crate::tangle::JobProfile;

/// The manager's least memory for a machine, in MiB.
const LEAST_MB: u32 = 512;

/// What follows for a blueprint: the field `advice` of `profiling` in `blueprint.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlueprintAdvice {
    /// One for each platform that the manager knows.
    pub strategies: Vec<PlatformStrategy>,
    /// The machine for the jobs that run on one.
    pub resource_sizing: ResourceSizing,
}

/// How the manager deploys a blueprint where its policy names this platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlatformStrategy {
    /// The platform's id in the catalogue.
    pub platform: String,
    /// What the manager does.
    pub strategy: DeploymentStrategy,
    /// Jobs that the manager puts on the platform though it is not known that they can run there: the manager
    /// knows neither headroom nor payloads, disk, descriptors, threads or cold starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<Doubt>,
}

/// A job that should not be where the manager puts it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Doubt {
    /// The job's id.
    pub job_id: u32,
    /// What is said of it; absent where there is no advice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Why, a sentence each.
    pub reasons: Vec<String>,
}

/// A strategy in the manager's own form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeploymentStrategy {
    /// Every job on the serverless platform.
    Serverless {
        /// All jobs.
        job_ids: Vec<u32>,
    },
    /// Some jobs there, the others on a machine.
    Hybrid {
        /// Those on the platform.
        faas_jobs: Vec<u32>,
        /// Those on the machine.
        local_jobs: Vec<u32>,
    },
    /// Every job on a machine.
    Traditional {
        /// All jobs.
        job_ids: Vec<u32>,
    },
}

/// A machine, as the manager sizes it and as it was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourceSizing {
    /// The manager's: a core for every 2 GiB of its memory.
    pub cpu_cores: f32,
    /// The manager's: the largest peak × 1.5, at least 512 MiB.
    pub memory_mb: u32,
    /// CPUs that the most demanding job needs at the rate that the advice is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_vcpu: Option<f64>,
    /// Memory that the most demanding job needs then, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_memory_mb: Option<u64>,
}

/// What the manager takes for a platform's limits.
#[derive(Debug, Clone, Copy)]
struct ManagerLimits {
    platform: &'static str,
    memory_mb: u32,
    timeout_s: u64,
}

/// The manager's limits, some of which are wrong: it gives Azure 14,336 MB, which has 1,536, and `DigitalOcean`
/// 8,192 MB, which has 1,024. What follows from the right ones is among the doubts.
const MANAGER_LIMITS: [ManagerLimits; 4] = [
    ManagerLimits { platform: "aws-lambda", memory_mb: 10_240, timeout_s: 900 },
    ManagerLimits { platform: "gcp-cloud-run", memory_mb: 32_768, timeout_s: 3600 },
    ManagerLimits { platform: "azure-functions-consumption", memory_mb: 14_336, timeout_s: 600 },
    ManagerLimits { platform: "digitalocean-functions", memory_mb: 8192, timeout_s: 900 },
];

impl BlueprintAdvice {
    /// What follows from the entries of `blueprint-profiles.json`, which are complete from id 0 on, and the
    /// advice on each job.
    #[must_use]
    pub fn of(entries: &HashMap<u32, JobProfile>, advice: &BTreeMap<u32, impl Borrow<Advice>>) -> Self {
        let strategy = |limits: &ManagerLimits| {
            let strategy = limits.strategy(entries);
            PlatformStrategy {
                platform: limits.platform.to_owned(),
                doubts: doubts(&strategy, limits.platform, advice),
                strategy,
            }
        };
        Self {
            strategies: MANAGER_LIMITS.iter().map(strategy).collect(),
            resource_sizing: ResourceSizing::of(entries, advice),
        }
    }
}

impl ManagerLimits {
    fn strategy(&self, entries: &HashMap<u32, JobProfile>) -> DeploymentStrategy {
        let count = entries.keys().max().map_or(0, |highest| highest + 1);
        let suits = |id: &u32| entries.get(id).is_some_and(|job| self.suits(job));
        let (faas_jobs, local_jobs): (Vec<u32>, Vec<u32>) = (0..count).partition(suits);
        match (faas_jobs.is_empty(), local_jobs.is_empty()) {
            (true, _) => DeploymentStrategy::Traditional { job_ids: local_jobs },
            (false, true) => DeploymentStrategy::Serverless { job_ids: faas_jobs },
            (false, false) => DeploymentStrategy::Hybrid { faas_jobs, local_jobs },
        }
    }

    fn suits(&self, job: &JobProfile) -> bool {
        job.p95_duration_ms <= self.timeout_s * 1000
            && job.peak_memory_mb <= self.memory_mb
            && !job.stateful
            && !job.persistent_connections
    }
}

impl DeploymentStrategy {
    /// The jobs that go to the serverless platform.
    #[must_use]
    pub fn faas_jobs(&self) -> &[u32] {
        match self {
            Self::Serverless { job_ids } => job_ids,
            Self::Hybrid { faas_jobs, .. } => faas_jobs,
            Self::Traditional { .. } => &[],
        }
    }
}

fn doubts(strategy: &DeploymentStrategy, platform: &str, advice: &BTreeMap<u32, impl Borrow<Advice>>) -> Vec<Doubt> {
    let doubt = |&job_id: &u32| {
        let Some(of_platform) = advice.get(&job_id).and_then(|advice| advice.borrow().platform(platform)) else {
            let reasons = vec!["the profile holds no advice on this platform".to_owned()];
            return Some(Doubt { job_id, verdict: None, reasons });
        };
        let reasons = of_platform.reasons.iter().map(|reason| reason.text.clone()).collect();
        let verdict = of_platform.verdict;
        (verdict != Verdict::Compatible).then_some(Doubt { job_id, verdict: Some(verdict), reasons })
    };
    strategy.faas_jobs().iter().filter_map(doubt).collect()
}

impl ResourceSizing {
    fn of(entries: &HashMap<u32, JobProfile>, advice: &BTreeMap<u32, impl Borrow<Advice>>) -> Self {
        let needed = entries.values().map(|job| job.peak_memory_mb.saturating_mul(3) / 2);
        let memory_mb = needed.max().map_or(LEAST_MB, |needed| needed.max(LEAST_MB));
        let machines = || advice.values().filter_map(|advice| advice.borrow().vm.as_ref());
        Self {
            #[expect(clippy::cast_precision_loss, reason = "the manager's own type")]
            cpu_cores: (memory_mb as f32 / 2048.0).max(1.0).ceil(),
            memory_mb,
            measured_vcpu: machines().map(|vm| vm.vcpu).max_by(f64::total_cmp),
            measured_memory_mb: machines().map(|vm| vm.memory_mb).max(),
        }
    }
}
