//! Virtual machines for a stream of executions.

use super::advice::{BreakEven, MachineAdvice, PlatformAdvice, Verdict, VmAdvice};
use super::catalogue::{Catalogue, InstanceType, is_same_arch};
use super::options::Options;
use crate::profile::{CaseProfile, Profile};

/// A month, in hours, as providers count it: 365 × 24 ÷ 12.
const HOURS_PER_MONTH: f64 = 730.0;
const SECONDS_PER_MONTH: f64 = HOURS_PER_MONTH * 3600.0;

/// What a stream of executions needs, of the case that needs the most of each.
#[derive(Debug, Clone, Copy)]
struct Stream {
    /// CPU time of one execution in seconds: the mean.
    cpu_s: f64,
    /// Wall-clock time of one execution in seconds: the mean.
    wall_s: f64,
    /// What every machine's process takes, in bytes, headroom included.
    base_bytes: f64,
    /// What each execution that runs takes on top, headroom included.
    execution_bytes: f64,
    utilisation: f64,
}

/// Machines for the rate in the options; `None` where CPU time or resident memory was not measured.
pub(super) fn advise(
    profile: &Profile,
    platforms: &[PlatformAdvice],
    catalogue: &Catalogue,
    options: &Options,
) -> Option<VmAdvice> {
    let stream = Stream::of(profile, options)?;
    let rate = options.jobs_per_second;
    let arch = &profile.environment.arch;
    let suited: Vec<&InstanceType> =
        catalogue.instance_types.iter().filter(|machine| is_same_arch(&machine.arch, arch)).collect();
    let mut machines: Vec<MachineAdvice> = Vec::new();
    for machine in &suited {
        let Some(advice) = stream.on(machine, rate) else { continue };
        match machines.iter_mut().find(|other| other.provider == advice.provider) {
            Some(other) if other.usd_per_month <= advice.usd_per_month => {}
            Some(other) => *other = advice,
            None => machines.push(advice),
        }
    }
    machines.sort_by(|a, b| a.usd_per_month.total_cmp(&b.usd_per_month));
    let of = |advice: &MachineAdvice| {
        let is_it =
            |machine: &&&InstanceType| machine.name == advice.instance_type && machine.provider == advice.provider;
        suited.iter().find(is_it).copied()
    };
    let notes = notes(machines.iter().filter_map(of));
    Some(VmAdvice {
        jobs_per_second: rate,
        utilisation: options.utilisation,
        vcpu: decimals(stream.cpus(rate), 4),
        concurrency: stream.concurrency(rate),
        memory_mb: whole((stream.memory_bytes(rate) / f64::from(1 << 20)).ceil()),
        machines,
        cheaper_than_serverless_from_jobs_per_second: break_even(&stream, &suited, platforms),
        notes,
    })
}

/// What should be known of the machines that are shown.
fn notes<'a>(machines: impl Iterator<Item = &'a InstanceType>) -> Vec<String> {
    let mut notes = Vec::new();
    for machine in machines {
        if machine.cpu_fraction_is_assumed {
            let assumption = "a shared CPU without a documented share counts as a tenth of a CPU";
            notes.push(format!("{}: {assumption}", machine.name));
        }
        if let Some(excluded) = &machine.price_excludes {
            notes.push(format!("{}: the price excludes {excluded}", machine.name));
        }
    }
    notes
}

impl Stream {
    fn of(profile: &Profile, options: &Options) -> Option<Self> {
        let over = |figure: fn(&CaseProfile) -> Option<f64>| {
            let figures: Option<Vec<f64>> = profile.cases.iter().map(figure).collect();
            figures?.into_iter().max_by(f64::total_cmp)
        };
        // Without the heap's part, all that is resident may be the execution's.
        let base = |case: &CaseProfile| {
            let heap = case.figures.peak_heap_bytes?.max;
            Some(case.figures.peak_rss_bytes?.max.saturating_sub(heap) as f64)
        };
        let base_bytes = over(base).unwrap_or(0.0);
        let peak = over(|case| {
            let rss = case.figures.peak_rss_bytes?.max;
            Some(case.tree_peak.map_or(rss, |tree| tree.bytes.max(rss)) as f64)
        })?;
        Some(Self {
            cpu_s: over(|case| Some(case.figures.cpu_ns?.mean / 1e9))?,
            wall_s: over(|case| Some(case.wall_ns.mean / 1e9))?,
            base_bytes: base_bytes * (1.0 + options.headroom),
            execution_bytes: (peak - base_bytes).max(0.0) * (1.0 + options.headroom),
            utilisation: options.utilisation,
        })
    }

    fn cpus(&self, rate: f64) -> f64 {
        rate * self.cpu_s / self.utilisation
    }

    /// Little's law, at the utilisation; at least one.
    fn concurrency(&self, rate: f64) -> u64 {
        whole((rate * self.wall_s / self.utilisation).ceil()).max(1)
    }

    fn memory_bytes(&self, rate: f64) -> f64 {
        self.base_bytes + self.concurrency(rate) as f64 * self.execution_bytes
    }

    /// How many machines of a type the rate takes; `None` where not even one execution fits.
    fn count(&self, machine: &InstanceType, rate: f64) -> Option<u64> {
        let free = f64::from(machine.memory_mb) * f64::from(1 << 20) - self.base_bytes;
        let each = if self.execution_bytes > 0.0 { (free / self.execution_bytes).floor() } else { f64::MAX };
        if free <= 0.0 || each < 1.0 {
            return None;
        }
        let by_memory = (self.concurrency(rate) as f64 / each).ceil();
        let by_cpu = (self.cpus(rate) / (machine.vcpu * machine.cpu_fraction)).ceil();
        Some(whole(by_memory.max(by_cpu)).max(1))
    }

    fn on(&self, machine: &InstanceType, rate: f64) -> Option<MachineAdvice> {
        let count = self.count(machine, rate)?;
        let usd_per_month = count as f64 * month(machine);
        Some(MachineAdvice {
            provider: machine.provider.clone(),
            instance_type: machine.name.clone(),
            count,
            usd_per_month: decimals(usd_per_month, 2),
            usd_per_million: decimals(usd_per_month / (rate * SECONDS_PER_MONTH) * 1e6, 6),
            confidence: machine.confidence.clone(),
            as_of: machine.as_of.to_string(),
        })
    }
}

fn month(machine: &InstanceType) -> f64 {
    let usd = machine.usd_per_hour * HOURS_PER_MONTH;
    machine.usd_per_month_max.map_or(usd, |most| usd.min(most))
}

/// The lowest rate at which as many machines of a type as it takes cost no more than the cheapest platform.
///
/// k machines cost as much as the platform at k × month ÷ (cost × seconds per month); that is the break-even
/// if they can take that rate.
fn break_even(stream: &Stream, machines: &[&InstanceType], platforms: &[PlatformAdvice]) -> Option<BreakEven> {
    let runs = |platform: &&PlatformAdvice| platform.verdict <= Verdict::Tight;
    let sizes = platforms.iter().filter(runs).filter_map(|platform| Some((platform, platform.cheapest.as_ref()?)));
    let (platform, size) = sizes.min_by(|a, b| a.1.usd_per_million.total_cmp(&b.1.usd_per_million))?;
    let usd_per_rate = size.usd_per_million / 1e6 * SECONDS_PER_MONTH;
    if usd_per_rate <= 0.0 {
        return None;
    }
    let at = |machine: &&InstanceType| {
        let rate_of = |count: u64| count as f64 * month(machine) / usd_per_rate;
        // The rate that pays for a machine more takes as much CPU as it brings, or never will.
        if stream.cpus(rate_of(1)) > machine.vcpu * machine.cpu_fraction {
            return None;
        }
        let fits = |count: &u64| stream.count(machine, rate_of(*count)).is_some_and(|needed| needed <= *count);
        (1..=64).find(fits).map(rate_of)
    };
    let rates = machines.iter().filter_map(|machine| Some((*machine, at(machine)?)));
    let (machine, rate) = rates.min_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(BreakEven {
        jobs_per_second: decimals(rate, 6),
        instance_type: machine.name.clone(),
        provider: machine.provider.clone(),
        platform: platform.platform.clone(),
        memory_mb: size.memory_mb,
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded, not negative; saturates")]
fn whole(figure: f64) -> u64 {
    figure as u64
}

fn decimals(figure: f64, decimals: i32) -> f64 {
    let unit = 10_f64.powi(decimals);
    (figure * unit).round() / unit
}
