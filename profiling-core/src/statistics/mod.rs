//! Pure functions from samples to summaries.

mod change_points;
pub mod comparison;
#[cfg(feature = "profiling")]
mod distribution;
mod growth;
mod mean;
mod model;
mod moments;
mod noise;
mod normal;
mod percentile;
pub(crate) mod select;
mod summary;
pub(crate) mod values;

pub use change_points::{ChangePoint, change_points};
#[cfg(feature = "profiling")]
pub(crate) use distribution::Distribution;
pub use growth::Growth;
pub use model::{
    Curve, Envelope, FittedTerm, HeldOut, Level, Metric, Model, Prediction, Range, Refusal, models, rust_source,
};
pub use percentile::{Interval, Percentile};
pub use summary::{Figure, Intervals, Outliers, Summary};

use self::summary::Supported;
use crate::profile::Figures;
use crate::sample::Sample;

impl Figures {
    /// Summarises every figure but the wall-clock time; a figure that any sample lacks is absent.
    #[must_use]
    pub fn of(samples: &[Sample]) -> Self {
        let supported = Supported::by(samples.len());
        let summarise = |figure: fn(&Sample) -> Option<u64>| Summary::with(all(samples, figure)?, &supported);
        Self {
            cpu_ns: summarise(|s| s.cpu_ns),
            cpu_user_ns: summarise(|s| s.cpu_user_ns),
            cpu_system_ns: summarise(|s| s.cpu_system_ns),
            peak_rss_bytes: summarise(|s| s.peak_rss_bytes),
            peak_heap_bytes: summarise(|s| s.peak_heap_bytes),
            allocated_bytes: summarise(|s| s.allocated_bytes),
            allocations: summarise(|s| s.allocations),
            retained_heap_bytes: all(samples, |s| s.retained_heap_bytes).and_then(|all| Summary::with(all, &supported)),
            minor_faults: summarise(|s| s.minor_faults),
            major_faults: summarise(|s| s.major_faults),
            voluntary_switches: summarise(|s| s.voluntary_switches),
            involuntary_switches: summarise(|s| s.involuntary_switches),
            run_queue_delay_ns: summarise(|s| s.run_queue_delay_ns),
            read_bytes: summarise(|s| s.read_bytes),
            written_bytes: summarise(|s| s.written_bytes),
            device_read_bytes: summarise(|s| s.device_read_bytes),
            device_written_bytes: summarise(|s| s.device_written_bytes),
            peak_threads: summarise(|s| s.peak_threads),
            peak_file_descriptors: summarise(|s| s.peak_file_descriptors),
            hardware_instructions: summarise(|s| s.hardware_instructions),
        }
    }
}

/// The middle figure, of two in the middle their mean; `None` of no figure.
#[must_use]
pub fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    let upper = *figures.get(middle)?;
    Some(if figures.len() % 2 == 1 { upper } else { f64::midpoint(figures[middle - 1], upper) })
}

/// Stands for the logarithm of 0: that of what no figure is as small as.
const NOTHING: f64 = -1000.0;

/// The logarithm; of 0 one that is far below all others, but can still be reckoned with.
fn logarithm(figure: f64) -> f64 {
    figure.ln().max(NOTHING)
}

/// A figure of all samples, unless one lacks it.
fn all<T>(samples: &[Sample], figure: impl Fn(&Sample) -> Option<T>) -> Option<Vec<T>> {
    samples.iter().map(figure).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_few_figures() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn a_figure_that_one_sample_lacks_is_absent() {
        let with = Sample { cpu_ns: Some(1), allocations: Some(0), ..Sample::default() };
        let without = Sample { allocations: Some(2), ..Sample::default() };
        let figures = Figures::of(&[with, without]);
        assert_eq!(figures.cpu_ns, None);
        assert_eq!(figures.allocations.map(|summary| summary.max), Some(2));
    }
}
