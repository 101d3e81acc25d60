//! A serverless platform: the sizes it offers, what limits them and what they cost.

use std::num::NonZeroU32;
use std::time::Duration;

use thiserror::Error;

use super::file::{BillingModel, FaasEntry, Located, VcpuPerMemory, confidence};
use super::numbers::{Date, Price};
use super::{CatalogueError, UNDOCUMENTED_VCPU};

/// A serverless platform.
#[derive(Debug, Clone, PartialEq)]
pub struct Platform {
    /// Its name in the catalogue, such as `aws-lambda`.
    pub id: String,
    /// Its full name.
    pub name: String,
    /// The region that prices are of.
    pub region: Option<String>,
    /// What it runs: `x86_64`, `arm64`, or something that is no native code.
    pub arch: Vec<String>,
    /// The sizes that it offers.
    pub sizes: Sizes,
    /// What it allows.
    pub limits: Limits,
    /// What it charges.
    pub billing: Billing,
    /// USD per request, beside what the time costs.
    pub usd_per_request: f64,
    /// Durations are billed in multiples of this.
    pub billing_granularity_ms: u32,
    /// The least that is billed.
    pub billing_min_ms: u64,
    /// Whether a cold start is billed; `None` where the source doesn't say.
    pub init_billed: Option<bool>,
    /// What else is known.
    pub notes: Vec<String>,
    /// How far the facts can be trusted: `high`, `medium` or `low`, with what that is about.
    pub confidence: String,
    /// When the facts were read.
    pub as_of: Date,
}

/// The sizes of a platform, ascending by memory.
#[derive(Debug, Clone, PartialEq)]
pub enum Sizes {
    /// From a smallest to a largest memory in equal steps, in MiB.
    Range {
        /// The smallest.
        min: u32,
        /// The largest.
        max: u32,
        /// The step.
        step: u32,
        /// The CPUs that come with it.
        cpu: Cpu,
    },
    /// These, and no others.
    List(Vec<Size>),
}

/// The CPUs that come with memory, where that is a formula.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cpu {
    /// `memory / mb_per_vcpu`, up to a most.
    Linear {
        /// MiB for one CPU.
        mb_per_vcpu: f64,
        /// The most CPUs.
        vcpu_max: f64,
    },
    /// Always as many.
    Fixed(f64),
}

/// A size of a platform.
#[derive(Debug, Clone, PartialEq)]
pub struct Size {
    /// Its name, where sizes have names.
    pub name: Option<String>,
    /// Its memory in MiB.
    pub memory_mb: u32,
    /// The CPUs that it gets.
    pub vcpu: f64,
    /// Its disk in bytes, where that is part of the size.
    pub disk_bytes: Option<u64>,
    /// USD per second, where the size has a price of its own.
    pub usd_per_s: Option<f64>,
}

/// What a platform allows; `None` is unbounded or not documented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The longest that an execution may take, in seconds.
    pub timeout_s: Option<u64>,
    /// After how many seconds a synchronous caller no longer gets the response.
    pub response_s: Option<u64>,
    /// The most CPU time of an execution, in seconds.
    pub cpu_time_s: Option<u64>,
    /// The largest request in bytes.
    pub request_bytes: Option<u64>,
    /// The largest response in bytes.
    pub response_bytes: Option<u64>,
    /// The most temporary disk space in bytes.
    pub temporary_bytes: Option<u64>,
    /// The part of it, in bytes, that costs nothing and needs no asking.
    pub temporary_bytes_free: Option<u64>,
    /// Whether files lie in memory.
    pub files_in_memory: bool,
    /// The most open file descriptors.
    pub file_descriptors: Option<u64>,
    /// The most threads and processes together.
    pub threads: Option<u64>,
    /// The longest that a cold start may take, in seconds.
    pub init_s: Option<u64>,
}

/// What a platform charges for the time of an execution; requests come on top.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Billing {
    /// Configured memory × billed duration.
    MemoryTime(MemoryPrice),
    /// The memory that was used, rounded up × billed duration.
    ObservedMemoryTime {
        /// The price.
        price: MemoryPrice,
        /// What memory is rounded up to, in MiB.
        step_mb: u32,
        /// The least that is billed, in MiB.
        min_mb: u32,
    },
    /// (CPUs × their price + memory × its price) × billed duration.
    VcpuMemoryTime {
        /// USD per CPU-second.
        usd_per_vcpu_s: f64,
        /// USD per GiB-second.
        usd_per_gib_s: f64,
    },
    /// CPU time, however long it takes.
    CpuTime {
        /// USD per millisecond of CPU time.
        usd_per_cpu_ms: f64,
    },
    /// CPU time × its price + (memory × its price + disk × its price) × billed duration.
    ActiveCpuMemoryTime {
        /// USD per CPU-second.
        usd_per_vcpu_s: f64,
        /// USD per GiB-second.
        usd_per_gib_s: f64,
        /// USD per second of a GB of disk.
        usd_per_disk_gb_s: f64,
    },
    /// The size's own price × billed duration.
    MachineTime,
}

/// The price of a GiB-second of memory, in USD.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemoryPrice {
    /// On x86-64, and where there is but one price.
    pub usd_per_gib_s: f64,
    /// On 64-bit ARM.
    pub arm64_usd_per_gib_s: Option<f64>,
}

/// What an execution gets in one size of a platform; `None` is unbounded or not documented.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SizeLimits {
    /// CPUs.
    pub cpus: f64,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Temporary disk space in bytes.
    pub temporary_bytes: Option<u64>,
    /// Open file descriptors.
    pub file_descriptors: Option<u64>,
    /// Threads and processes together.
    pub threads: Option<u64>,
    /// The longest that it may take.
    pub timeout: Option<Duration>,
}

/// A size that a platform doesn't have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{platform}` offers {offered}, not {wanted}")]
pub struct NotOffered {
    /// The platform's id.
    pub platform: String,
    /// What was asked for.
    pub wanted: String,
    /// What there is.
    pub offered: String,
}

impl Sizes {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            // The largest is offered even where no whole number of steps leads to it.
            Self::Range { min, max, step, .. } => (max - min).div_ceil(*step) as usize + 1,
            Self::List(sizes) => sizes.len(),
        }
    }

    /// One of them, by its position.
    ///
    /// # Panics
    ///
    /// If the position is not below [`count`](Self::count).
    #[must_use]
    pub fn get(&self, position: usize) -> Size {
        match self {
            Self::Range { min, max, step, cpu } => {
                assert!(position < self.count(), "no size {position}");
                let steps = u32::try_from(position).unwrap_or(u32::MAX);
                let memory_mb = min.saturating_add(steps.saturating_mul(*step)).min(*max);
                Size { name: None, memory_mb, vcpu: cpu.at(memory_mb), disk_bytes: None, usd_per_s: None }
            }
            Self::List(sizes) => sizes[position].clone(),
        }
    }

    /// The position of the smallest with at least this memory.
    #[must_use]
    pub fn position(&self, memory_mb: u32) -> Option<usize> {
        match self {
            Self::Range { min, max, step, .. } => {
                (memory_mb <= *max).then(|| memory_mb.saturating_sub(*min).div_ceil(*step) as usize)
            }
            Self::List(sizes) => sizes.iter().position(|size| size.memory_mb >= memory_mb),
        }
    }
}

impl Cpu {
    fn at(self, memory_mb: u32) -> f64 {
        match self {
            Self::Linear { mb_per_vcpu, vcpu_max } => (f64::from(memory_mb) / mb_per_vcpu).min(vcpu_max),
            Self::Fixed(vcpu) => vcpu,
        }
    }
}

impl MemoryPrice {
    /// The price for an architecture, as `std::env::consts::ARCH` names it.
    #[must_use]
    pub fn on(&self, arch: &str) -> f64 {
        self.arm64_usd_per_gib_s.filter(|_| is_arm64(arch)).unwrap_or(self.usd_per_gib_s)
    }
}

/// Whether two names stand for one architecture: the catalogue says `arm64`, Rust `aarch64`.
pub(crate) fn is_same_arch(a: &str, b: &str) -> bool {
    a == b || (is_arm64(a) && is_arm64(b))
}

fn is_arm64(arch: &str) -> bool {
    matches!(arch, "arm64" | "aarch64")
}

impl Platform {
    /// What an execution gets with this much memory, in MiB. Where there are several sizes with it, the one
    /// with the fewest CPUs.
    pub fn at(&self, memory_mb: u32) -> Result<SizeLimits, NotOffered> {
        Ok(self.limits_of(&self.size(memory_mb, None)?))
    }

    /// The size with this much memory, in MiB, and so many CPUs (within a thousandth); where these are not
    /// given, the one with the fewest.
    pub fn size(&self, memory_mb: u32, vcpu: Option<f64>) -> Result<Size, NotOffered> {
        let with_memory: Vec<Size> = match self.sizes.position(memory_mb) {
            None => Vec::new(),
            Some(first) => (first..self.sizes.count())
                .map(|position| self.sizes.get(position))
                .take_while(|size| size.memory_mb == memory_mb)
                .collect(),
        };
        let is_wanted = |size: &&Size| vcpu.is_none_or(|vcpu| (size.vcpu - vcpu).abs() < 1e-3);
        with_memory.iter().find(is_wanted).cloned().ok_or_else(|| {
            let cpus: Vec<String> = with_memory.iter().map(|size| format!("{:.4}", size.vcpu)).collect();
            let (wanted, offered) = match vcpu {
                Some(vcpu) if !cpus.is_empty() => {
                    (format!("{vcpu}"), format!("{memory_mb} MB with {} CPUs", cpus.join(", ")))
                }
                _ => (format!("{memory_mb} MB"), format!("{} MB", self.offered())),
            };
            NotOffered { platform: self.id.clone(), wanted, offered }
        })
    }

    /// Whether there are several sizes with this much memory, in MiB.
    #[must_use]
    pub fn has_several(&self, memory_mb: u32) -> bool {
        let at = |position: usize| (position < self.sizes.count()).then(|| self.sizes.get(position).memory_mb);
        self.sizes.position(memory_mb).is_some_and(|first| at(first + 1) == Some(memory_mb))
    }

    /// What an execution gets in a size of this platform.
    #[must_use]
    pub fn limits_of(&self, size: &Size) -> SizeLimits {
        let memory_bytes = u64::from(size.memory_mb) << 20;
        let temporary_bytes = size.disk_bytes.or(self.limits.temporary_bytes);
        SizeLimits {
            cpus: size.vcpu,
            memory_bytes,
            temporary_bytes: temporary_bytes.or(self.limits.files_in_memory.then_some(memory_bytes)),
            file_descriptors: self.limits.file_descriptors,
            threads: self.limits.threads,
            timeout: self.limits.timeout_s.map(Duration::from_secs),
        }
    }

    fn offered(&self) -> String {
        match &self.sizes {
            Sizes::Range { min, max, step: 1, .. } => format!("{min} to {max}"),
            Sizes::Range { min, max, step, .. } => format!("{min} to {max} in steps of {step}"),
            Sizes::List(sizes) => {
                let mut memory: Vec<u32> = sizes.iter().map(|size| size.memory_mb).collect();
                memory.dedup();
                memory.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            }
        }
    }

    pub(super) fn of(located: &Located<'_, FaasEntry>, as_of: &Date) -> Result<Self, CatalogueError> {
        let entry = &located.entry;
        let id = located.required("id", entry.id.clone())?;
        Ok(Self {
            name: entry.name.clone().unwrap_or_else(|| id.clone()),
            id,
            region: entry.region.clone(),
            arch: located.required("arch", entry.arch.clone())?,
            sizes: sizes(located)?,
            limits: limits(entry),
            billing: billing(located)?,
            usd_per_request: located.required("price_usd_per_request", entry.price_usd_per_request)?.usd(),
            billing_granularity_ms: entry.billing_granularity_ms.map_or(1, NonZeroU32::get),
            billing_min_ms: entry.billing_min_ms.unwrap_or(0),
            init_billed: entry.init_billed,
            notes: notes(entry),
            confidence: confidence(entry.confidence, entry.confidence_note.as_ref()),
            as_of: entry.as_of.clone().unwrap_or_else(|| as_of.clone()),
        })
    }
}

fn notes(entry: &FaasEntry) -> Vec<String> {
    let base = entry.price_usd_per_month_base.map(Price::usd).filter(|&usd| usd > 0.0);
    let base = base.map(|usd| format!("{usd} USD per month come on top."));
    entry.notes.iter().flatten().cloned().chain(base).collect()
}

fn limits(entry: &FaasEntry) -> Limits {
    Limits {
        timeout_s: entry.timeout_s_max,
        response_s: entry.timeout_s_http_response_max.or(entry.timeout_s_sync_max),
        cpu_time_s: entry.cpu_time_s_max,
        request_bytes: entry.payload_request_bytes_max,
        response_bytes: entry.payload_response_bytes_max,
        temporary_bytes: entry.tmp_bytes_max,
        temporary_bytes_free: entry.tmp_bytes_free,
        files_in_memory: entry.filesystem_counts_as_memory == Some(true),
        file_descriptors: entry.file_descriptors_max,
        threads: entry.processes_threads_max,
        init_s: entry.init_phase_s_max,
    }
}

fn billing(located: &Located<'_, FaasEntry>) -> Result<Billing, CatalogueError> {
    let entry = &located.entry;
    let price = |field: &str, price: Option<Price>| located.required(field, price).map(Price::usd);
    let memory_price = || {
        Ok(MemoryPrice {
            usd_per_gib_s: price("price_usd_per_gb_s", entry.price_usd_per_gb_s)?,
            arm64_usd_per_gib_s: entry.price_usd_per_gb_s_arm64.map(Price::usd),
        })
    };
    let usd_per_vcpu_s = || price("price_usd_per_vcpu_s", entry.price_usd_per_vcpu_s);
    let usd_per_gib_s = || price("price_usd_per_gib_s", entry.price_usd_per_gib_s);
    Ok(match located.required("billing_model", entry.billing_model)? {
        BillingModel::MemoryTime => Billing::MemoryTime(memory_price()?),
        BillingModel::ObservedMemoryTime => Billing::ObservedMemoryTime {
            price: memory_price()?,
            step_mb: entry.billing_memory_step_mb.map_or(1, NonZeroU32::get),
            min_mb: entry.billing_memory_mb_min.unwrap_or(0),
        },
        BillingModel::VcpuMemoryTime => {
            Billing::VcpuMemoryTime { usd_per_vcpu_s: usd_per_vcpu_s()?, usd_per_gib_s: usd_per_gib_s()? }
        }
        BillingModel::CpuTime => {
            Billing::CpuTime { usd_per_cpu_ms: price("price_usd_per_cpu_ms", entry.price_usd_per_cpu_ms)? }
        }
        BillingModel::ActiveCpuMemoryTime => Billing::ActiveCpuMemoryTime {
            usd_per_vcpu_s: usd_per_vcpu_s()?,
            usd_per_gib_s: usd_per_gib_s()?,
            usd_per_disk_gb_s: entry.price_usd_per_gb_s_disk.map_or(0.0, Price::usd),
        },
        BillingModel::MachineTime => {
            let priced = entry.instance_types.iter().flatten().all(|size| size.price_usd_per_s.is_some());
            if !priced || entry.instance_types.is_none() {
                let reason = "`machine_time` needs `instance_types`, each with a `price_usd_per_s`";
                return Err(located.error("billing_model", reason.to_owned()));
            }
            Billing::MachineTime
        }
    })
}

fn sizes(located: &Located<'_, FaasEntry>) -> Result<Sizes, CatalogueError> {
    let entry = &located.entry;
    let rule = located.required("vcpu_per_memory", entry.vcpu_per_memory.clone())?;
    let plain = |memory_mb: NonZeroU32, vcpu: f64| Size {
        name: None,
        memory_mb: memory_mb.get(),
        vcpu,
        disk_bytes: None,
        usd_per_s: None,
    };
    let list = match rule {
        VcpuPerMemory::Linear { mb_per_vcpu, vcpu_max } => {
            let cpu = Cpu::Linear { mb_per_vcpu: mb_per_vcpu.cpus(), vcpu_max: vcpu_max.cpus() };
            return range(located, cpu);
        }
        VcpuPerMemory::Fixed { vcpu } => return range(located, Cpu::Fixed(vcpu.cpus())),
        VcpuPerMemory::Undocumented {} => return range(located, Cpu::Fixed(UNDOCUMENTED_VCPU)),
        VcpuPerMemory::Table { memory_mb_to_vcpu } => {
            memory_mb_to_vcpu.iter().map(|&(memory, vcpu)| plain(memory, vcpu.cpus())).collect()
        }
        VcpuPerMemory::Chosen { memory_mb_range_by_vcpu, memory_mb_to_vcpu } => {
            let pairs = memory_mb_to_vcpu.iter().map(|&(memory, vcpu)| plain(memory, vcpu.cpus()));
            let doubled = memory_mb_range_by_vcpu
                .iter()
                .flat_map(|&(vcpu, min, max)| doublings(min, max).map(move |memory| plain(memory, vcpu.cpus())));
            pairs.chain(doubled).collect()
        }
        VcpuPerMemory::InstanceTypes {} => instances(entry),
    };
    ordered(located, list)
}

fn instances(entry: &FaasEntry) -> Vec<Size> {
    let size = |instance: &super::file::FaasInstance| Size {
        name: Some(instance.name.clone()),
        memory_mb: instance.memory_mb.get(),
        vcpu: instance.vcpu.cpus() * if instance.cpu_shared { UNDOCUMENTED_VCPU } else { 1.0 },
        disk_bytes: instance.disk_mb.map(|mb| mb.saturating_mul(1_000_000)),
        usd_per_s: instance.price_usd_per_s.map(Price::usd),
    };
    entry.instance_types.iter().flatten().map(size).collect()
}

/// `min`, its doublings below `max`, and `max`.
fn doublings(min: NonZeroU32, max: NonZeroU32) -> impl Iterator<Item = NonZeroU32> {
    let below = move |memory: &NonZeroU32| *memory < max;
    std::iter::successors(Some(min), |memory| memory.checked_mul(const { NonZeroU32::new(2).unwrap() }))
        .take_while(below)
        .chain([max])
}

fn ordered(located: &Located<'_, FaasEntry>, mut list: Vec<Size>) -> Result<Sizes, CatalogueError> {
    if list.is_empty() {
        return Err(located.error("vcpu_per_memory", "no size follows from it: give at least one".to_owned()));
    }
    list.sort_by(|a, b| a.memory_mb.cmp(&b.memory_mb).then(a.vcpu.total_cmp(&b.vcpu)));
    list.dedup_by(|a, b| a == b);
    Ok(Sizes::List(list))
}

/// The most sizes that a platform can have; ten times as many as any has.
const MOST_SIZES: u32 = 100_000;

/// From the least to the most memory: in steps where there is one, else the sizes that are listed, else
/// doublings.
fn range(located: &Located<'_, FaasEntry>, cpu: Cpu) -> Result<Sizes, CatalogueError> {
    let entry = &located.entry;
    let one = |memory: NonZeroU32| Size {
        name: None,
        memory_mb: memory.get(),
        vcpu: cpu.at(memory.get()),
        disk_bytes: None,
        usd_per_s: None,
    };
    if let Some(listed) = &entry.memory_sizes_mb {
        return ordered(located, listed.iter().copied().map(one).collect());
    }
    let min = located.required("memory_mb_min", entry.memory_mb_min)?;
    let max = located.required("memory_mb_max", entry.memory_mb_max)?;
    if min > max {
        return Err(located.error("memory_mb_min", format!("{min} is above `memory_mb_max`, which is {max}")));
    }
    match entry.memory_mb_step {
        _ if entry.billing_model.is_some_and(|model| matches!(model, BillingModel::ObservedMemoryTime)) => {
            // Nothing is configured: every instance has the most.
            ordered(located, vec![one(max)])
        }
        // All are looked at.
        Some(step) if (max.get() - min.get()) / step.get() >= MOST_SIZES => {
            let reason = format!("{step} from {min} to {max} makes more than {MOST_SIZES} sizes: give a larger one");
            Err(located.error("memory_mb_step", reason))
        }
        Some(step) => Ok(Sizes::Range { min: min.get(), max: max.get(), step: step.get(), cpu }),
        None => ordered(located, doublings(min, max).map(one).collect()),
    }
}
