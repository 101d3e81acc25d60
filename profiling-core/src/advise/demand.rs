//! What a job asks for, read from its profile once.

use std::io;

use super::rehearsal;
use super::workload::{Spread, Workload};
use crate::profile::{CaseProfile, Grade, Params, Profile, Rehearsal};
use crate::sample::Sample;
use crate::samples::{CaseSamples, SampledCase, sampled};
use crate::statistics::Summary;

/// What one case asks for.
#[derive(Debug)]
pub(super) struct CaseDemand<'a> {
    /// ` (n=10)`, or nothing for a job without parameters.
    pub(super) label: String,
    /// The work of each execution; `None` where CPU time was not measured.
    pub(super) work: Option<Workload<'a>>,
    /// The longest wall-clock time, in nanoseconds.
    pub(super) longest_ns: f64,
    pub(super) cpu: Option<Summary>,
    pub(super) is_noisy: bool,
    /// What a cold start adds on one CPU, in nanoseconds.
    cold_start_ns: Option<f64>,
    pub(super) memory_bytes: Bounds,
    /// What was written, to files or elsewhere.
    pub(super) written_bytes: Bounds,
    pub(super) file_descriptors: Bounds,
    pub(super) threads: Bounds,
    /// The largest of each name.
    pub(super) payloads: Vec<(String, f64)>,
    /// What came of it within the limits of sizes.
    pub(super) rehearsals: Vec<Rehearsal>,
}

/// Between what a figure of the job lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    /// At least.
    pub(super) low: f64,
    /// At most; `None` where nothing is known.
    pub(super) high: Option<f64>,
}

/// One execution: how long it took, how much of that the CPUs worked, and how long its threads waited for a
/// CPU that others had.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(clippy::struct_field_names, reason = "units are in the names")]
pub(super) struct Work {
    pub(super) wall_ns: f64,
    pub(super) cpu_ns: f64,
    pub(super) delay_ns: f64,
}

/// How long the median execution would take with so many CPUs, in nanoseconds: CPU time ÷ CPUs + waiting.
/// `None` where there are no samples, or CPU time was not measured.
///
/// No execution uses more CPUs at once than it would have when it was measured, or one. Waiting for a CPU that
/// others had is left out.
///
/// ```
/// use profiling_core::advise::predicted_p50_ns;
/// use profiling_core::sample::Sample;
///
/// let half_waiting = Sample { wall_ns: 100_000_000, cpu_ns: Some(50_000_000), ..Sample::default() };
/// assert_eq!(predicted_p50_ns(&vec![half_waiting].into(), 0.25)?, Some(250_000_000));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// Where the samples can't be read.
pub fn predicted_p50_ns(samples: &CaseSamples, vcpu: f64) -> io::Result<Option<u64>> {
    let median = Workload::of(samples)?.map(|work| Ok(work.spread(|work| work.duration_ns(vcpu))?.median));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "nanoseconds are whole and positive")]
    median.transpose().map(|median: Option<f64>| median.map(|median| median.round() as u64))
}

impl Bounds {
    fn exactly(figure: u64) -> Self {
        Self { low: figure as f64, high: Some(figure as f64) }
    }

    fn of(figure: Option<Summary>) -> Self {
        figure.map_or(Self::UNKNOWN, |figure| Self::exactly(figure.max))
    }

    const UNKNOWN: Self = Self { low: 0.0, high: None };

    /// What is known of it where it can't be more than this, unless it was seen to be.
    pub(super) fn at_most(self, most: Option<f64>) -> Self {
        match most {
            Some(most) if self.low <= most => {
                Self { high: Some(self.high.map_or(most, |high| high.min(most))), ..self }
            }
            _ => self,
        }
    }

    /// With more of which only the most is known.
    pub(super) fn plus_at_most(self, more: Self) -> Self {
        Self { low: self.low, high: self.high.zip(more.high).map(|(own, more)| own + more) }
    }
}

/// The CPU time of an execution without what the reading of the CPU clock itself takes, which is read outside of
/// the two readings of the wall clock: that little more than the wall-clock time is no second thread.
pub(super) fn own_cpu_ns(cpu_ns: f64, wall_ns: f64) -> f64 {
    const READING_NS: f64 = 2_000.0;
    if cpu_ns <= wall_ns + READING_NS { cpu_ns.min(wall_ns) } else { cpu_ns }
}

impl Work {
    /// What tells it from others.
    pub(super) fn bits(self) -> [u64; 3] {
        [self.wall_ns, self.cpu_ns, self.delay_ns].map(f64::to_bits)
    }

    /// Of a sample with CPU time.
    pub(super) fn of(sample: &Sample) -> Self {
        Self {
            wall_ns: sample.wall_ns as f64,
            cpu_ns: sample.cpu_ns.unwrap_or(0) as f64,
            delay_ns: sample.run_queue_delay_ns.unwrap_or(0) as f64,
        }
    }

    /// How many CPUs it would use at once, if it had them.
    pub(super) fn parallelism(self) -> f64 {
        let busy = own_cpu_ns(self.cpu_ns, self.wall_ns) + self.delay_ns;
        if self.wall_ns > 0.0 { (busy / self.wall_ns).max(1.0) } else { 1.0 }
    }

    /// How long it takes with so many CPUs, in nanoseconds: CPU time ÷ CPUs + waiting.
    ///
    /// It uses no more CPUs at once than there were threads that had one or waited for one: on average,
    /// (CPU time + delay) ÷ wall-clock time, or one. Of a job that nobody delayed, with more CPUs than that, it
    /// takes as long as measured.
    pub(super) fn duration_ns(self, vcpu: f64) -> f64 {
        let cpu = own_cpu_ns(self.cpu_ns, self.wall_ns);
        let busy = cpu + self.delay_ns;
        let waiting = (self.wall_ns - busy).max(0.0);
        cpu / vcpu.min(self.parallelism()) + waiting
    }
}

impl<'a> CaseDemand<'a> {
    /// Every case of a profile; the samples may lack.
    pub(super) fn of_all(profile: &Profile, samples: &[SampledCase<'a>]) -> io::Result<Vec<Self>> {
        profile.cases.iter().map(|case| Self::of(case, samples)).collect()
    }

    fn of(case: &CaseProfile, samples: &[SampledCase<'a>]) -> io::Result<Self> {
        let work = match sampled(samples, &case.params) {
            Some(samples) => Workload::of(samples)?,
            None => case.figures.cpu_ns.map(|cpu| Workload::made_up(summarised(&case.wall_ns, &cpu))),
        };
        let rss = case.figures.peak_rss_bytes.map(|peak| peak.max);
        let heap = case.figures.peak_heap_bytes.map_or(0, |peak| peak.max);
        let tree = case.tree_peak.map(|tree| tree.bytes);
        Ok(Self {
            label: label(&case.params),
            work,
            longest_ns: case.wall_ns.max as f64,
            cpu: case.figures.cpu_ns,
            is_noisy: case.noise.as_ref().is_some_and(|noise| noise.grade == Grade::Noisy),
            cold_start_ns: case
                .cold_start
                .map(|cold| (cold.startup_ns + cold.first_execution_ns.saturating_sub(case.wall_ns.p50)) as f64),
            memory_bytes: match rss.max(tree) {
                Some(peak) => Bounds::exactly(peak),
                // The heap is not all.
                None => Bounds { low: heap as f64, high: None }.at_most(rehearsal::enough_memory(&case.rehearsals)),
            },
            written_bytes: Bounds {
                low: case.figures.device_written_bytes.map_or(0.0, |written| written.max as f64),
                ..Bounds::of(case.figures.written_bytes)
            },
            file_descriptors: Bounds::of(case.figures.peak_file_descriptors),
            threads: Bounds::of(case.figures.peak_threads),
            payloads: case
                .breakdown
                .payloads
                .iter()
                .map(|payload| (payload.name.clone(), payload.bytes.max as f64))
                .collect(),
            rehearsals: case.rehearsals.clone(),
        })
    }

    /// The median duration with so many CPUs, in nanoseconds.
    pub(super) fn median_ns(&self, vcpu: f64) -> Option<f64> {
        Some(self.work.as_ref()?.durations(vcpu)?.median)
    }

    /// What durations are held against limits as, in nanoseconds: the upper end of p99's interval where the
    /// samples support one, else 1.5 × the longest; of a noisy profile, the larger of both.
    pub(super) fn bound_ns(&self, vcpu: f64) -> Option<f64> {
        Some(self.bound(self.work.as_ref()?.durations(vcpu)?))
    }

    /// The same of CPU time.
    pub(super) fn cpu_bound_ns(&self) -> Option<f64> {
        Some(self.bound(self.work.as_ref()?.cpu_times()?))
    }

    fn bound(&self, spread: Spread) -> f64 {
        let wide = 1.5 * spread.longest;
        match spread.upper {
            Some(upper) if self.is_noisy => wide.max(upper),
            Some(upper) => upper,
            None => wide,
        }
    }

    /// What a cold start adds with so many CPUs, in nanoseconds: taken for work of one thread.
    pub(super) fn cold_start_ns(&self, vcpu: f64) -> Option<f64> {
        Some(self.cold_start_ns? / vcpu.min(1.0))
    }
}

/// A hundred executions that are no better than the summary says: each percentile stands for all below it,
/// down to the next, and the longest is the one with the most CPU time.
fn summarised(wall: &Summary, cpu: &Summary) -> Vec<Work> {
    let at = |count: usize, wall: u64, cpu: u64| {
        std::iter::repeat_n(Work { wall_ns: wall as f64, cpu_ns: cpu as f64, delay_ns: 0.0 }, count)
    };
    at(50, wall.p50, cpu.p50)
        .chain(at(40, wall.p90, cpu.p90))
        .chain(at(5, wall.p95, cpu.p95))
        .chain(at(4, wall.p99, cpu.p99))
        .chain(at(1, wall.max, cpu.max))
        .collect()
}

fn label(params: &Params) -> String {
    if params.is_empty() {
        return String::new();
    }
    let values: Vec<String> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!(" ({})", values.join(", "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(wall: f64, cpu: f64) -> Work {
        Work { wall_ns: wall * 1e6, cpu_ns: cpu * 1e6, delay_ns: 0.0 }
    }

    #[test]
    fn durations_follow_the_cpus() {
        let near = |work: Work, vcpu: f64, expected_ms: f64| {
            let predicted = work.duration_ns(vcpu) / 1e6;
            assert!((predicted - expected_ms).abs() < 1e-9, "{work:?} on {vcpu}: {predicted}");
        };
        let bound = ms(200.0, 200.0);
        near(bound, 1.0, 200.0);
        near(bound, 0.5, 400.0);
        near(bound, 6.0, 200.0);
        let mixed = ms(200.0, 100.0);
        near(mixed, 1.0, 200.0);
        near(mixed, 0.25, 500.0); // 100 / 0.25 + 100
        let threads = ms(100.0, 200.0);
        near(threads, 2.0, 100.0);
        near(threads, 4.0, 100.0);
        near(threads, 1.0, 200.0);
        near(threads, 0.5, 400.0);
        near(ms(0.0, 1.0), 0.5, 2.0);
    }

    #[test]
    fn others_had_the_cpu() {
        let predicted = |wall, cpu, delay: f64, vcpu| {
            let work = Work { delay_ns: delay * 1e6, ..ms(wall, cpu) };
            (work.duration_ns(vcpu) / 1e6).round()
        };
        assert_eq!(predicted(160.0, 50.0, 60.0, 0.25).to_bits(), 250.0_f64.to_bits(), "50 are waiting");
        assert_eq!(predicted(300.0, 100.0, 200.0, 1.0).to_bits(), 100.0_f64.to_bits(), "none are");
        // Two threads of 60 ms, each of which had to wait 30 ms: with four CPUs, 60 ms all the same.
        assert_eq!(predicted(90.0, 120.0, 60.0, 4.0).to_bits(), 60.0_f64.to_bits());
        assert_eq!(predicted(90.0, 120.0, 60.0, 1.0).to_bits(), 120.0_f64.to_bits());
    }

    #[test]
    fn the_median_of_samples_is_predicted() {
        let sample = |wall_ns, cpu_ns| Sample { wall_ns, cpu_ns, ..Sample::default() };
        let predicted =
            |samples: &[Sample], vcpu| super::predicted_p50_ns(&samples.into(), vcpu).expect("they are in memory");
        assert_eq!(predicted(&[sample(100, Some(100))], 0.25), Some(400));
        let three = [sample(10, Some(10)), sample(30, Some(10)), sample(50, Some(10))];
        assert_eq!(predicted(&three, 0.5), Some(40));
        assert_eq!(predicted(&[sample(100, None)], 1.0), None, "not measured");
        assert_eq!(predicted(&[], 1.0), None);
    }

    proptest! {
        #[test]
        fn more_cpus_never_take_longer(
            wall in 0.0..1e12, cpu in 0.0..1e13, delay in 0.0..1e12, vcpu in 0.01..16.0, more in 0.0..16.0,
        ) {
            let work = Work { wall_ns: wall, cpu_ns: cpu, delay_ns: delay };
            let slow = work.duration_ns(vcpu);
            prop_assert!(work.duration_ns(vcpu + more) <= slow * (1.0 + 1e-12));
            let undisturbed = Work { delay_ns: 0.0, ..work }.duration_ns(vcpu);
            prop_assert!(undisturbed >= wall * (1.0 - 1e-12), "never faster than measured");
            prop_assert!(slow <= undisturbed * (1.0 + 1e-12), "a delay is none of its own");
        }
    }
}
