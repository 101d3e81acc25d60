//! A sample as a line of its figures, in an order that is known to both sides: `521,19840,,12`, with nothing
//! where there is no figure.
//!
//! There is one for every execution, and JSON's names would be most of it: in a build that is not
//! optimised, to write and read them would take longer than to start the worker.

use std::fmt::{Display, Write};
use std::str::{FromStr, Split};

use profiling_core::sample::Sample;

use super::Garbled;

/// Figures may be added at the end, so that a harness understands the workers of an older one. Anything
/// else is another [`PROTOCOL`](super::PROTOCOL).
macro_rules! row {
    ($($figure:ident)+) => {
        /// Appends a sample to a line.
        pub(super) fn write(&Sample { wall_ns, $($figure),+ }: &Sample, line: &mut String) {
            put(line, Some(wall_ns));
            $(line.push(','); put(line, $figure);)+
        }

        /// The sample of a line.
        pub(super) fn read(line: &str) -> Result<Sample, Garbled> {
            let mut figures = line.split(',');
            Ok(Sample { wall_ns: next(&mut figures)?.ok_or(Garbled::NoMessage)?, $($figure: next(&mut figures)?),+ })
        }
    };
}

row! {
    cpu_ns cpu_user_ns cpu_system_ns peak_rss_bytes peak_heap_bytes allocated_bytes allocations
    retained_heap_bytes minor_faults major_faults voluntary_switches involuntary_switches
    run_queue_delay_ns read_bytes written_bytes device_read_bytes device_written_bytes peak_threads
    peak_file_descriptors hardware_instructions
}

fn put(line: &mut String, figure: Option<impl Display>) {
    if let Some(figure) = figure {
        // A string takes everything.
        let _ = write!(line, "{figure}");
    }
}

fn next<N: FromStr>(figures: &mut Split<'_, char>) -> Result<Option<N>, Garbled> {
    match figures.next() {
        None | Some("") => Ok(None),
        Some(figure) => figure.parse().map(Some).map_err(|_| Garbled::NoMessage),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(sample: &Sample) -> String {
        let mut line = String::new();
        write(sample, &mut line);
        line
    }

    #[test]
    fn a_sample_survives() {
        let some = Sample {
            wall_ns: u64::MAX,
            cpu_ns: Some(0),
            peak_rss_bytes: Some(u64::MAX),
            retained_heap_bytes: Some(i64::MIN),
            ..Sample::default()
        };
        for sample in [Sample::default(), some] {
            assert_eq!(read(&line(&sample)), Ok(sample));
        }
    }

    #[test]
    fn every_figure_has_its_place() {
        let figures = 1..=line(&Sample::default()).split(',').count();
        let row = figures.map(|figure| figure.to_string()).collect::<Vec<_>>().join(",");
        assert_eq!(read(&row).map(|sample| line(&sample)), Ok(row));
    }

    #[test]
    fn an_older_worker_has_fewer_figures() {
        let sample = Sample { wall_ns: 521, cpu_ns: Some(7), ..Sample::default() };
        assert_eq!(read("521,7"), Ok(sample));
    }

    #[test]
    fn what_is_no_sample_is_refused() {
        for line in ["", ",1", "x", "1,-2", "1,2x", "18446744073709551616"] {
            assert_eq!(read(line), Err(Garbled::NoMessage), "{line:?}");
        }
    }
}
