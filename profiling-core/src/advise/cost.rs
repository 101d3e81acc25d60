//! What an execution costs on a size of a platform.

use super::catalogue::{Billing, Platform, Size};
use super::demand::{CaseDemand, Work};

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
    let times = work.billed(Billed::on(platform, size, cold_start_ns))?;
    // A price is so much for each time and so much for the request: that of the mean is the mean.
    Some(Quote {
        billed_ms: times.billed_ms,
        usd: meter.usd(times.billed_ms, times.cpu_ms),
        floor_usd: meter.usd(times.floor_ms, times.exact_cpu_ms),
    })
}

/// How executions are billed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Billed {
    pub(super) vcpu: f64,
    pub(super) cold_start_ns: f64,
    pub(super) granularity_ms: f64,
    pub(super) least_ms: f64,
}

/// Mean times of executions, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[expect(clippy::struct_field_names, reason = "units are in the names")]
pub(super) struct BilledTimes {
    /// What is billed of the duration.
    pub(super) billed_ms: f64,
    /// What is billed of the CPU time.
    pub(super) cpu_ms: f64,
    /// The duration, rounded up to nothing but the least that is billed.
    pub(super) floor_ms: f64,
    pub(super) exact_cpu_ms: f64,
}

impl Billed {
    fn on(platform: &Platform, size: &Size, cold_start_ns: f64) -> Self {
        Self {
            vcpu: size.vcpu,
            cold_start_ns,
            granularity_ms: f64::from(platform.billing_granularity_ms),
            least_ms: platform.billing_min_ms as f64,
        }
    }

    /// Adds so many executions.
    pub(super) fn add(&self, execution: Work, times: f64, sum: &mut BilledTimes) {
        let lasting_ns = execution.duration_ns(self.vcpu) + self.cold_start_ns;
        let cpu_ns = execution.cpu_ns + self.cold_start_ns * self.vcpu.min(1.0);
        sum.billed_ms += self.rounded_ms(lasting_ns).max(self.least_ms) * times;
        sum.cpu_ms += self.rounded_ms(cpu_ns) * times;
        // What is billed for the shortest execution of this kind.
        let unit = if lasting_ns >= 1.0 { self.granularity_ms } else { 0.0 };
        sum.floor_ms += (lasting_ns / 1e6).max(unit.max(self.least_ms)) * times;
        sum.exact_cpu_ms += cpu_ns / 1e6 * times;
    }

    /// Rounded up to the granularity. Whole nanoseconds first, so that 200 ms are not 201 by an error of the last bit;
    /// the quotient is further from a whole number than its own error, whatever lasts less than some years.
    fn rounded_ms(&self, duration_ns: f64) -> f64 {
        let granularity_ns = self.granularity_ms * 1e6;
        whole((whole(duration_ns + 0.5) + (granularity_ns - 1.0)) / granularity_ns) * self.granularity_ms
    }
}

/// Without what comes after the point; a function of the C library is several times as slow.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "nanoseconds, below 2^53")]
fn whole(figure: f64) -> f64 {
    figure as u64 as f64
}

impl BilledTimes {
    /// Of the sums of so many executions.
    pub(super) fn mean(self, count: f64) -> Self {
        Self {
            billed_ms: self.billed_ms / count,
            cpu_ms: self.cpu_ms / count,
            floor_ms: self.floor_ms / count,
            exact_cpu_ms: self.exact_cpu_ms / count,
        }
    }
}

/// What counts for the bill.
struct Meter<'a> {
    platform: &'a Platform,
    size: &'a Size,
    arch: &'a str,
    peak_bytes: f64,
}

impl Meter<'_> {
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
