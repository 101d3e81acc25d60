//! How much of the heap a job has kept, and how much `setup` and the like have. Pure.

use serde::{Deserialize, Serialize};

/// What a call could do with its inputs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Inputs {
    /// Look at them: none owns anything on the heap, and none can be changed.
    #[default]
    Lent,
    /// Keep or free them, or change how large they are. What has made them has kept nothing else.
    Given,
    /// The same; the code around the call has made them, and may have kept something of its own.
    Shared,
}

/// Why it can't be told who keeps the heap that an execution has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeapDoubt {
    /// Something that `setup` or a fixture has started was running, and has a heap, too.
    Running,
    /// The job may have kept what it was given, or `setup` something of its own.
    Inputs,
}

/// The heap of one execution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Heap {
    /// Bytes that were live at the end of the call and not at its beginning.
    pub in_call: i64,
    /// Bytes that went with the output.
    pub output: i64,
    pub inputs: Inputs,
    /// Something of `setup`'s or a fixture's was running.
    pub running: bool,
}

/// How small a part of what was kept may be of unknown origin.
const PART: i64 = 20;

impl Heap {
    /// The bytes that the job has kept, of so many that were left after everything was dropped.
    pub(crate) fn retained(self, left: i64) -> (i64, Option<HeapDoubt>) {
        if left <= 0 {
            return (left, None);
        }
        let by_call = self.in_call - self.output;
        let around = left - by_call;
        let (retained, doubt) = match self.inputs {
            Inputs::Lent => (by_call.min(left), None),
            Inputs::Shared if around.abs().saturating_mul(PART) > left => (left, Some(HeapDoubt::Inputs)),
            Inputs::Given | Inputs::Shared => (left, None),
        };
        if self.running { (left, Some(HeapDoubt::Running)) } else { (retained, doubt) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heap(in_call: i64, output: i64, inputs: Inputs) -> Heap {
        Heap { in_call, output, inputs, running: false }
    }

    #[test]
    fn what_setup_keeps_is_not_the_jobs() {
        assert_eq!(heap(0, 0, Inputs::Lent).retained(1_000), (0, None));
        assert_eq!(heap(50, 50, Inputs::Lent).retained(1_000), (0, None), "it returned something");
        assert_eq!(heap(1_050, 50, Inputs::Lent).retained(1_000), (1_000, None));
        assert_eq!(heap(300, 0, Inputs::Lent).retained(1_000), (300, None), "both keep some");
    }

    #[test]
    fn what_may_be_an_input_is_a_doubt() {
        assert_eq!(heap(0, 0, Inputs::Shared).retained(1_000), (1_000, Some(HeapDoubt::Inputs)));
        assert_eq!(heap(1_000, 0, Inputs::Shared).retained(1_000), (1_000, None), "it came in the call");
        assert_eq!(heap(0, 0, Inputs::Given).retained(1_000), (1_000, None), "`args` keep nothing");
    }

    #[test]
    fn what_runs_beside_the_job_is_a_doubt_where_something_is_left() {
        let running = Heap { running: true, ..heap(5, 0, Inputs::Lent) };
        assert_eq!(running.retained(5), (5, Some(HeapDoubt::Running)));
        assert_eq!(running.retained(0), (0, None));
        assert_eq!(running.retained(-7), (-7, None));
    }
}
