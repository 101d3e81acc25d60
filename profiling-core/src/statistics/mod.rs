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

use std::io;

use self::summary::Supported;
use crate::profile::Figures;
use crate::sample::Column;
use crate::samples::CaseSamples;

impl Figures {
    /// Summarises every figure but the wall-clock time; a figure that any sample lacks is absent.
    ///
    /// # Errors
    ///
    /// Where the samples can't be read.
    pub fn of(samples: &CaseSamples) -> io::Result<Self> {
        let supported = Supported::by(samples.len());
        let summary = |column| summarise(samples, column, &supported);
        Ok(Self {
            cpu_ns: summary(Column::CpuNs)?,
            cpu_user_ns: summary(Column::CpuUserNs)?,
            cpu_system_ns: summary(Column::CpuSystemNs)?,
            peak_rss_bytes: summary(Column::PeakRssBytes)?,
            peak_heap_bytes: summary(Column::PeakHeapBytes)?,
            allocated_bytes: summary(Column::AllocatedBytes)?,
            allocations: summary(Column::Allocations)?,
            retained_heap_bytes: summarise(samples, Column::RetainedHeapBytes, &supported)?,
            minor_faults: summary(Column::MinorFaults)?,
            major_faults: summary(Column::MajorFaults)?,
            voluntary_switches: summary(Column::VoluntarySwitches)?,
            involuntary_switches: summary(Column::InvoluntarySwitches)?,
            run_queue_delay_ns: summary(Column::RunQueueDelayNs)?,
            read_bytes: summary(Column::ReadBytes)?,
            written_bytes: summary(Column::WrittenBytes)?,
            device_read_bytes: summary(Column::DeviceReadBytes)?,
            device_written_bytes: summary(Column::DeviceWrittenBytes)?,
            peak_threads: summary(Column::PeakThreads)?,
            peak_file_descriptors: summary(Column::PeakFileDescriptors)?,
            hardware_instructions: summary(Column::HardwareInstructions)?,
        })
    }
}

fn summarise<T: Figure>(
    samples: &CaseSamples,
    column: Column,
    supported: &Supported,
) -> io::Result<Option<Summary<T>>> {
    samples.column(column).map_or(Ok(None), |values| Summary::of_values(&values, supported))
}

impl Summary {
    /// The summary of a figure of all samples; `None` without samples, or where one lacks it.
    ///
    /// # Errors
    ///
    /// Where the samples can't be read.
    pub fn of_samples(samples: &CaseSamples, column: Column) -> io::Result<Option<Self>> {
        summarise(samples, column, &Supported::by(samples.len()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

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
        let figures = Figures::of(&vec![with, without].into()).expect("they are in memory");
        assert_eq!(figures.cpu_ns, None);
        assert_eq!(figures.allocations.map(|summary| summary.max), Some(2));
    }
}
