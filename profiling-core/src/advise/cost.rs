//! What an execution costs on a size of a platform.

use super::catalogue::{Billing, Platform, Size};
use super::demand::CaseDemand;

/// A mean over the executions of a case.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Quote {
    /// The billed duration in milliseconds.
    pub(super) billed_ms: f64,
    /// USD for one execution.
    pub(super) usd: f64,
    /// USD if nothing were rounded up but to the least that is billed: a floor for this size, and for every larger
    /// one of a range.
    pub(super) floor_usd: f64,
}

/// The mean cost of a case; every execution is billed by itself. With `cold_start_ns`, each of them begins with
/// a cold start.
pub(super) fn quote(
    platform: &Platform,
    size: &Size,
    case: &CaseDemand<'_>,
    cold_start_ns: f64,
    arch: &str,
) -> Option<Quote> {
    let work = case.work.as_ref()?;
    let meter = Meter { platform, size, arch, peak_bytes: case.memory_bytes.low };
    let mut sum = Quote::default();
    work.each(&mut |execution| {
        let lasting_ns = execution.duration_ns(size.vcpu) + cold_start_ns;
        let cpu_ns = execution.cpu_ns + cold_start_ns * size.vcpu.min(1.0);
        let billed_ms = meter.billed_ms(lasting_ns);
        sum.billed_ms += billed_ms;
        sum.usd += meter.usd(billed_ms, meter.rounded_ms(cpu_ns));
        sum.floor_usd += meter.usd((lasting_ns / 1e6).max(meter.least_ms(lasting_ns)), cpu_ns / 1e6);
    });
    let count = work.len() as f64;
    (count > 0.0).then(|| Quote {
        billed_ms: sum.billed_ms / count,
        usd: sum.usd / count,
        floor_usd: sum.floor_usd / count,
    })
}

/// What counts for the bill.
struct Meter<'a> {
    platform: &'a Platform,
    size: &'a Size,
    arch: &'a str,
    peak_bytes: f64,
}

impl Meter<'_> {
    fn billed_ms(&self, duration_ns: f64) -> f64 {
        self.rounded_ms(duration_ns).max(self.platform.billing_min_ms as f64)
    }

    /// What is billed for the shortest execution of this kind.
    fn least_ms(&self, duration_ns: f64) -> f64 {
        let unit = if duration_ns >= 1.0 { f64::from(self.platform.billing_granularity_ms) } else { 0.0 };
        unit.max(self.platform.billing_min_ms as f64)
    }

    /// Rounded up to the granularity.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "nanoseconds, below 2^53")]
    fn rounded_ms(&self, duration_ns: f64) -> f64 {
        let granularity_ns = u64::from(self.platform.billing_granularity_ms) * 1_000_000;
        // Whole nanoseconds first, so that 200 ms are not 201 by an error of the last bit.
        let units = (duration_ns.round() as u64).div_ceil(granularity_ns);
        units as f64 * f64::from(self.platform.billing_granularity_ms)
    }

    fn usd(&self, billed_ms: f64, cpu_ms: f64) -> f64 {
        let seconds = billed_ms / 1e3;
        let gib = f64::from(self.size.memory_mb) / 1024.0;
        let time = match self.platform.billing {
            Billing::MemoryTime(price) => seconds * gib * price.on(self.arch),
            Billing::ObservedMemoryTime { price, step_mb, min_mb } => {
                let peak_mb = self.peak_bytes / f64::from(1 << 20);
                let step = f64::from(step_mb);
                let metered_mb = ((peak_mb / step).ceil() * step).max(f64::from(min_mb));
                seconds * metered_mb / 1024.0 * price.on(self.arch)
            }
            Billing::VcpuMemoryTime { usd_per_vcpu_s, usd_per_gib_s } => {
                seconds * (self.size.vcpu * usd_per_vcpu_s + gib * usd_per_gib_s)
            }
            Billing::CpuTime { usd_per_cpu_ms } => cpu_ms * usd_per_cpu_ms,
            Billing::ActiveCpuMemoryTime { usd_per_vcpu_s, usd_per_gib_s, usd_per_disk_gb_s } => {
                let disk_gb = self.size.disk_bytes.unwrap_or(0) as f64 / 1e9;
                cpu_ms / 1e3 * usd_per_vcpu_s + seconds * (gib * usd_per_gib_s + disk_gb * usd_per_disk_gb_s)
            }
            Billing::MachineTime => seconds * self.size.usd_per_s.unwrap_or(0.0),
        };
        time + self.platform.usd_per_request
    }
}
