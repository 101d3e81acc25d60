//! The figures that are compared.

use profiling_core::profile::CaseProfile;
use profiling_core::sample::Sample;

/// A figure that decides whether a job has become better or worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Metric {
    /// User and system together: one of them alone is too coarse on some kernels.
    Cpu,
    Wall,
    Allocations,
    AllocatedBytes,
    PeakHeap,
    Instructions,
}

impl Metric {
    /// Those that every sample has.
    pub(crate) const SAMPLED: [Self; 5] =
        [Self::Cpu, Self::Wall, Self::Allocations, Self::AllocatedBytes, Self::PeakHeap];

    /// As in profiles.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu_ns",
            Self::Wall => "wall_ns",
            Self::Allocations => "allocations",
            Self::AllocatedBytes => "allocated_bytes",
            Self::PeakHeap => "peak_heap_bytes",
            Self::Instructions => "instructions",
        }
    }

    /// The figure of a sample; `None` where it was not measured.
    pub(crate) fn of(self, sample: &Sample) -> Option<u64> {
        match self {
            Self::Cpu => sample.cpu_ns,
            Self::Wall => Some(sample.wall_ns),
            Self::Allocations => sample.allocations,
            Self::AllocatedBytes => sample.allocated_bytes,
            Self::PeakHeap => sample.peak_heap_bytes,
            Self::Instructions => None,
        }
    }

    /// Whether it is a time, which no machine repeats.
    pub(crate) fn is_time(self) -> bool {
        matches!(self, Self::Cpu | Self::Wall)
    }

    /// Differences below this are none, in the metric's own unit: the measurement itself, and where the linker
    /// puts a function, make such.
    pub(crate) fn resolution(self) -> f64 {
        match self {
            Self::Cpu | Self::Wall => 250.0,
            Self::PeakHeap => 4096.0,
            Self::Allocations | Self::AllocatedBytes | Self::Instructions => 0.0,
        }
    }

    /// Whether the smallest difference counts, once the figure is seen to repeat.
    pub(crate) fn is_exact(self) -> bool {
        matches!(self, Self::Allocations | Self::AllocatedBytes | Self::Instructions)
    }
}

/// What mostly waits is compared by the time that it takes, everything else by the CPU time that it needs,
/// which other programs change less. To be kept waiting for a CPU by them is no waiting of the job's own.
pub(crate) fn mostly_waits(case: &CaseProfile) -> bool {
    let queued = case.figures.run_queue_delay_ns.as_ref().map_or(0.0, |queued| queued.mean);
    case.figures.cpu_ns.as_ref().is_none_or(|cpu| cpu.mean < (case.wall_ns.mean - queued) / 2.0)
}
