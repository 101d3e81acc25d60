//! Pure functions from samples to summaries.

pub mod comparison;
#[cfg(feature = "profiling")]
mod distribution;
mod growth;
mod noise;
mod normal;
mod percentile;
mod summary;

#[cfg(feature = "profiling")]
pub(crate) use distribution::Distribution;
pub use growth::Growth;
pub use percentile::{Interval, Percentile};
pub use summary::{Figure, Summary};

use crate::profile::Figures;
use crate::sample::Sample;

impl Figures {
    /// Summarises every figure but the wall-clock time; a figure that any sample lacks is absent.
    #[must_use]
    pub fn of(samples: &[Sample]) -> Self {
        Self {
            cpu_ns: summarise(samples, |s| s.cpu_ns),
            cpu_user_ns: summarise(samples, |s| s.cpu_user_ns),
            cpu_system_ns: summarise(samples, |s| s.cpu_system_ns),
            peak_rss_bytes: summarise(samples, |s| s.peak_rss_bytes),
            peak_heap_bytes: summarise(samples, |s| s.peak_heap_bytes),
            allocated_bytes: summarise(samples, |s| s.allocated_bytes),
            allocations: summarise(samples, |s| s.allocations),
            retained_heap_bytes: summarise(samples, |s| s.retained_heap_bytes),
            minor_faults: summarise(samples, |s| s.minor_faults),
            major_faults: summarise(samples, |s| s.major_faults),
            voluntary_switches: summarise(samples, |s| s.voluntary_switches),
            involuntary_switches: summarise(samples, |s| s.involuntary_switches),
            run_queue_delay_ns: summarise(samples, |s| s.run_queue_delay_ns),
            read_bytes: summarise(samples, |s| s.read_bytes),
            written_bytes: summarise(samples, |s| s.written_bytes),
            device_read_bytes: summarise(samples, |s| s.device_read_bytes),
            device_written_bytes: summarise(samples, |s| s.device_written_bytes),
            peak_threads: summarise(samples, |s| s.peak_threads),
            peak_file_descriptors: summarise(samples, |s| s.peak_file_descriptors),
            hardware_instructions: summarise(samples, |s| s.hardware_instructions),
        }
    }
}

fn summarise<T: Figure>(samples: &[Sample], figure: impl Fn(&Sample) -> Option<T>) -> Option<Summary<T>> {
    let figures: Option<Vec<T>> = samples.iter().map(figure).collect();
    Summary::of(&figures?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_one_sample_lacks_is_absent() {
        let with = Sample { cpu_ns: Some(1), allocations: Some(0), ..Sample::default() };
        let without = Sample { allocations: Some(2), ..Sample::default() };
        let figures = Figures::of(&[with, without]);
        assert_eq!(figures.cpu_ns, None);
        assert_eq!(figures.allocations.map(|summary| summary.max), Some(2));
    }
}
