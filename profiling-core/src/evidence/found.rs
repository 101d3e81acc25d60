//! What is found in a case's samples, and in what its worker left behind.

use std::io;

use super::{Certainty, Evidence, Finding, Leftover, named};
use crate::measure::leftovers::{Left, Leftovers};
use crate::measure::retention::HeapDoubt;
use crate::sample::Column;
use crate::samples::CaseSamples;
use crate::statistics::Growth;
use crate::statistics::values::Values;

impl Evidence {
    /// From the samples of a case, the number of its executions, warm-ups included, and what its worker left
    /// behind.
    ///
    /// # Errors
    ///
    /// Where the samples can't be read.
    pub fn of(samples: &CaseSamples, executions: u64, left: &Leftovers) -> io::Result<Self> {
        let found = heap(samples, left.heap_doubt)?
            .into_iter()
            .chain(threads(left, executions, samples)?)
            .chain(all(&left.job, &Certainty::Seen))
            .chain(all(&left.unclear, &beside()))
            .collect();
        Ok(found)
    }
}

/// Of what came while something ran that isn't the job.
fn beside() -> Certainty {
    let reason = "something that `setup`, `args`, `verify`, `teardown` or a fixture has started was running beside the \
                  job, and may have done it";
    Certainty::Unknown { reason: reason.to_owned() }
}

/// Processes and sockets.
fn all(left: &Left, certainty: &Certainty) -> Vec<Finding> {
    let kind = |names: &[String], leftover: fn(String) -> Leftover| {
        named(names, |name| Finding { leftover: leftover(name), certainty: certainty.clone(), more: 0 })
    };
    let mut findings = kind(&left.processes, |name| Leftover::Process { name });
    findings.extend(kind(&left.listens, |address| Leftover::Listener { address }));
    findings.extend(kind(&left.connected, |address| Leftover::Connection { address }));
    findings
}

fn heap(samples: &CaseSamples, doubt: Option<HeapDoubt>) -> io::Result<Option<Finding>> {
    let Some(retained) = samples.column(Column::RetainedHeapBytes) else { return Ok(None) };
    let Some(growth) = Growth::of_values(&retained)? else { return Ok(None) };
    let [bytes, low, high] = [growth.slope, growth.low, growth.high].map(rounded);
    let certainty = match doubt {
        None => Certainty::Seen,
        Some(HeapDoubt::Running) => beside(),
        Some(HeapDoubt::Inputs) => Certainty::Unknown {
            reason: "the job may have kept what it was given, or `setup` something of its own".to_owned(),
        },
    };
    Ok(Some(Finding { leftover: Leftover::Heap { bytes, low, high }, certainty, more: 0 }))
}

#[expect(clippy::cast_possible_truncation, reason = "rounded on purpose")]
fn rounded(bytes: f64) -> i64 {
    bytes.round() as i64
}

fn threads(left: &Leftovers, executions: u64, samples: &CaseSamples) -> io::Result<Option<Finding>> {
    let finding = |leftover, certainty, more| Ok(Some(Finding { leftover, certainty, more }));
    let all = left.job.threads + left.unclear.threads;
    // What was seen goes before what is unclear.
    for (busy, count, certainty) in
        [(&left.job.busy_threads, left.job.threads, Certainty::Seen), (&left.unclear.busy_threads, all, beside())]
    {
        if let Some((name, others)) = busy.split_first() {
            return finding(Leftover::Thread { name: name.clone() }, certainty, others.len() as u64);
        }
        if count >= executions && more_with_each(samples)? {
            return finding(Leftover::Threads { count, executions }, certainty, 0);
        }
    }
    Ok(None)
}

/// Whether every sample has had more threads than the one before. A pool's idle threads are started once.
fn more_with_each(samples: &CaseSamples) -> io::Result<bool> {
    let Some(counts) = samples.column(Column::PeakThreads).filter(|counts| counts.count() >= 3) else {
        return Ok(false);
    };
    let (mut before, mut with_each) = (0_u64, true);
    counts.visit(&mut |piece| {
        for &count in piece {
            with_each &= before < count;
            before = count;
        }
    })?;
    Ok(with_each)
}

#[cfg(test)]
mod tests {
    use super::super::Subject;
    use super::*;
    use crate::sample::Sample;

    fn evidence_of(samples: &[Sample], executions: u64, left: &Leftovers) -> Evidence {
        Evidence::of(&samples.into(), executions, left).expect("they are in memory")
    }

    fn retaining(bytes: &[i64]) -> Vec<Sample> {
        let sample = |&bytes: &i64| Sample { retained_heap_bytes: Some(bytes), ..Sample::default() };
        bytes.iter().map(sample).collect()
    }

    fn stateful(samples: &[Sample], left: &Leftovers) -> Vec<String> {
        evidence_of(samples, 12, left).sentences(Subject::State)
    }

    fn everything() -> Left {
        Left {
            listens: vec!["127.0.0.1:4711".to_owned()],
            connected: vec!["10.0.0.1:80".to_owned(), "10.0.0.1:80".to_owned()],
            busy_threads: vec!["ticker".to_owned()],
            processes: vec!["sleep".to_owned()],
            threads: 1,
        }
    }

    #[test]
    fn what_may_be_anothers_is_unknown() {
        let left = Leftovers { unclear: everything(), heap_doubt: Some(HeapDoubt::Inputs), ..Leftovers::default() };
        let evidence = evidence_of(&retaining(&[1 << 20; 10]), 12, &left);
        assert_eq!(evidence.findings().len(), 5);
        assert!(evidence.findings().iter().all(|finding| !finding.is_seen()), "{evidence:?}");
    }

    #[test]
    fn nothing_left_is_no_evidence() {
        let job = Left { threads: 4, ..Left::default() };
        let left = Leftovers { file_descriptors: Some(3), job, ..Leftovers::default() };
        assert_eq!(evidence_of(&retaining(&[500, 0, 0, 0, 0]), 12, &left), Evidence::default());
        assert_eq!(evidence_of(&[Sample::default(); 10], 12, &left), Evidence::default());
    }

    #[test]
    fn a_heap_that_grows_is_told_with_its_slope() {
        let exact = evidence_of(&retaining(&[1 << 20; 10]), 12, &Leftovers::default());
        let expected = Leftover::Heap { bytes: 1 << 20, low: 1 << 20, high: 1 << 20 }.seen();
        assert_eq!(exact.findings(), [expected]);
        assert!(exact.is_seen(Subject::State) && !exact.is_seen(Subject::Connections));
    }

    #[test]
    fn everything_left_is_named() {
        let left = Leftovers { job: everything(), ..Leftovers::default() };
        let evidence = evidence_of(&[], 1, &left);
        let expected = ["leaves a thread running, such as `ticker`", "leaves the process `sleep` running"];
        assert_eq!(evidence.sentences(Subject::State), expected);
        let expected = ["listens on 127.0.0.1:4711", "stays connected to 10.0.0.1:80"];
        assert_eq!(evidence.sentences(Subject::Connections), expected);
    }

    #[test]
    fn idle_threads_are_evidence_where_every_execution_leaves_one() {
        let left = Leftovers { job: Left { threads: 12, ..Left::default() }, ..Leftovers::default() };
        let counting = |counts: [u64; 4]| {
            let samples = counts.map(|count| Sample { peak_threads: Some(count), ..Sample::default() });
            stateful(&samples, &left)
        };
        assert_eq!(counting([17, 17, 17, 17]), Vec::<String>::new(), "a large pool, started once");
        assert_eq!(counting([3, 4, 5, 6]), ["leaves 12 threads behind after 12 executions"]);
        assert_eq!(stateful(&[], &left), Vec::<String>::new());
    }
}
