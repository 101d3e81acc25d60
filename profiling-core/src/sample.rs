//! What one measured execution cost.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

use crate::statistics::Figure;

/// The figures of one measured execution.
///
/// A figure that this platform or this run could not measure is `None`, and absent from JSON.
/// Figures cover the whole process between the two clock readings around the job's own execution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Wall-clock time in nanoseconds.
    pub wall_ns: u64,
    /// CPU time of all threads, user and system, in nanoseconds, from the process's CPU clock; with that
    /// of the processes that the job has started, also of what they do in the second after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ns: Option<u64>,
    /// CPU time in user mode, in nanoseconds, from `getrusage` (whole microseconds), child processes
    /// included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_user_ns: Option<u64>,
    /// CPU time in the kernel, in nanoseconds, from `getrusage` (whole microseconds), child processes
    /// included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_system_ns: Option<u64>,
    /// The most memory that was resident at any moment of the execution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
    /// The most heap memory that was live at any moment, above what was live at the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_heap_bytes: Option<u64>,
    /// Heap memory requested, freed again or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocated_bytes: Option<u64>,
    /// Number of allocations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocations: Option<u64>,
    /// Heap memory that is left after inputs and output were dropped; negative where the execution
    /// freed older memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retained_heap_bytes: Option<i64>,
    /// Page faults that needed no I/O.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minor_faults: Option<u64>,
    /// Page faults that needed I/O.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub major_faults: Option<u64>,
    /// Context switches because the job waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voluntary_switches: Option<u64>,
    /// Context switches because another process wanted the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub involuntary_switches: Option<u64>,
    /// How long the thread that executes the job was ready to run and waited for a CPU; by the time that the
    /// readings take, some ten microseconds, too little, and never too much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_queue_delay_ns: Option<u64>,
    /// Bytes read through system calls, from cache or device, files, pipes and sockets alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<u64>,
    /// Bytes written through system calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_bytes: Option<u64>,
    /// Bytes fetched from a block device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_read_bytes: Option<u64>,
    /// Bytes that the execution caused to be sent to a block device, now or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_written_bytes: Option<u64>,
    /// The most threads that there were: at the end of the execution, and whenever the harness looked, which
    /// it does every few milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_threads: Option<u64>,
    /// The most file descriptors that were open, seen as [`peak_threads`](Self::peak_threads) is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_file_descriptors: Option<u64>,
    /// Instructions in user mode that the CPU retired, by its own counter. Measured only on demand,
    /// and then some hundred instructions of the readings themselves are in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_instructions: Option<u64>,
}

/// Declares [`Column`] and what goes through the figures one by one, in their order in JSON.
macro_rules! columns {
    ($($figure:ident $column:ident)+) => {
        /// One figure of all samples.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Column {
            /// [`Sample::wall_ns`].
            WallNs,
            $(#[doc = concat!("[`Sample::", stringify!($figure), "`].")] $column,)+
        }

        impl Column {
            /// All of them.
            pub(crate) const ALL: [Self; [stringify!(wall_ns), $(stringify!($figure)),+].len()] =
                [Self::WallNs, $(Self::$column),+];
        }

        impl Sample {
            /// The figure as a [`key`](Figure::key).
            pub(crate) fn key(&self, column: Column) -> Option<u64> {
                match column {
                    Column::WallNs => Some(self.wall_ns),
                    $(Column::$column => self.$figure.map(Figure::key),)+
                }
            }

            /// Sets the figure to that of a [`key`](Figure::key).
            pub(crate) fn set_key(&mut self, column: Column, key: Option<u64>) {
                match column {
                    Column::WallNs => self.wall_ns = key.unwrap_or_default(),
                    $(Column::$column => self.$figure = key.map(Figure::of_key),)+
                }
            }

            /// Appends its fields as they are in JSON: `"wall_ns":521,"cpu_ns":19840`.
            pub(crate) fn write_json(&self, json: &mut String) -> fmt::Result {
                let Self { wall_ns, $($figure),+ } = *self;
                write!(json, "\"wall_ns\":{wall_ns}")?;
                $(if let Some(figure) = $figure {
                    write!(json, concat!(",\"", stringify!($figure), "\":{}"), figure)?;
                })+
                Ok(())
            }
        }
    };
}

columns! {
    cpu_ns CpuNs
    cpu_user_ns CpuUserNs
    cpu_system_ns CpuSystemNs
    peak_rss_bytes PeakRssBytes
    peak_heap_bytes PeakHeapBytes
    allocated_bytes AllocatedBytes
    allocations Allocations
    retained_heap_bytes RetainedHeapBytes
    minor_faults MinorFaults
    major_faults MajorFaults
    voluntary_switches VoluntarySwitches
    involuntary_switches InvoluntarySwitches
    run_queue_delay_ns RunQueueDelayNs
    read_bytes ReadBytes
    written_bytes WrittenBytes
    device_read_bytes DeviceReadBytes
    device_written_bytes DeviceWrittenBytes
    peak_threads PeakThreads
    peak_file_descriptors PeakFileDescriptors
    hardware_instructions HardwareInstructions
}
