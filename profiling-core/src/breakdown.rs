//! What goes on inside of a case's executions: their stages, payloads and async runtime.

use serde::{Deserialize, Serialize};

use crate::statistics::Summary;

/// What was recorded inside of the measured executions of a case. What there was none of is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Breakdown {
    /// The stages, in the order in which they first ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageProfile>,
    /// Calls of stages for which there was no room: beyond the 127th name, or the 128th pair of a stage
    /// and its parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage_calls_not_recorded: Option<u64>,
    /// The payloads, in the order in which they were first recorded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payloads: Vec<PayloadProfile>,
    /// Payloads for which there was no room: beyond the 32nd name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payloads_not_recorded: Option<u64>,
    /// The tokio runtime of an async job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeProfile>,
}

/// What one stage costs per call, under one parent. All figures contain those of the stages within.
///
/// Percentiles are at most 1.6 % above the true ones, never below; the other figures are exact, but for those
/// of `cpu_ns` where it was not read of all calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageProfile {
    /// The stage's name.
    pub name: String,
    /// The stage in which it was entered; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Calls, over all samples of the case.
    pub calls: u64,
    /// From entering to leaving the stage, in nanoseconds; of a future, from its first poll until it was
    /// ready or dropped.
    pub wall_ns: Summary,
    /// How much of that a future was being polled, in nanoseconds; the rest it waited. Absent for a stage
    /// that is not async.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_ns: Option<Summary>,
    /// CPU time of the thread within the stage, in nanoseconds; of a future, of all threads while they
    /// polled it. Read of every call that was busy for 60 µs or more, unless it is a future whose polls are
    /// many and short; of the shorter calls, those for which it was read stand for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ns: Option<Summary>,
    /// The calls for which CPU time was read: all of them, or a part where they are too short to. The
    /// extremes of `cpu_ns` are of these; for the rest of it, each short one of them counts as often as
    /// there are short calls for each that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_calls: Option<u64>,
    /// Heap memory that the thread requested within the stage; of a future, all threads while they polled
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocated_bytes: Option<Summary>,
}

/// The sizes that a job recorded under one name with `record_payload`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PayloadProfile {
    /// The payload's name.
    pub name: String,
    /// How many were recorded, over all samples of the case.
    pub count: u64,
    /// Their sizes. Percentiles are at most 1.6 % above the true ones, never below.
    pub bytes: Summary,
}

/// What tokio tells of the runtime of an async job, per execution: `setup`, `verify` and `teardown`
/// included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuntimeProfile {
    /// Its worker threads.
    pub workers: u32,
    /// How long all worker threads together were busy with tasks, and the thread that waits for the job's
    /// own future with polling that. Absent for a current-thread runtime, whose count lacks what was under
    /// way at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_ns: Option<Summary>,
    /// How often worker threads went to sleep for lack of work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parks: Option<Summary>,
    /// Tasks that were still alive when the execution had ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alive_tasks: Option<Summary>,
    /// Tasks that were waiting in the runtime's global queue when the execution had ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_queue_depth: Option<Summary>,
}

impl Breakdown {
    /// Whether nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
