//! What is found in a case's samples, and in what its worker left behind.

use std::io;

use super::{Evidence, Finding, Leftover, named};
use crate::measure::leftovers::Leftovers;
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
        let all = |names: &[String], leftover: fn(String) -> Leftover| named(names, |name| leftover(name).seen());
        let found = heap(samples)?
            .into_iter()
            .chain(threads(left, executions, samples)?)
            .chain(all(&left.processes, |name| Leftover::Process { name }))
            .chain(all(&left.listens, |address| Leftover::Listener { address }))
            .chain(all(&left.connected, |address| Leftover::Connection { address }))
            .collect();
        Ok(found)
    }
}

fn heap(samples: &CaseSamples) -> io::Result<Option<Finding>> {
    let Some(retained) = samples.column(Column::RetainedHeapBytes) else { return Ok(None) };
    let Some(growth) = Growth::of_values(&retained)? else { return Ok(None) };
    let [bytes, low, high] = [growth.slope, growth.low, growth.high].map(rounded);
    Ok(Some(Leftover::Heap { bytes, low, high }.seen()))
}

#[expect(clippy::cast_possible_truncation, reason = "rounded on purpose")]
fn rounded(bytes: f64) -> i64 {
    bytes.round() as i64
}

fn threads(left: &Leftovers, executions: u64, samples: &CaseSamples) -> io::Result<Option<Finding>> {
    let busy = &left.busy_threads;
    if let Some(name) = busy.first() {
        let finding = Leftover::Thread { name: name.clone() }.seen();
        return Ok(Some(Finding { more: busy.len() as u64 - 1, ..finding }));
    }
    // A pool's idle threads are started once; these come with every execution.
    let counts = samples.column(Column::PeakThreads).filter(|counts| counts.count() >= 3);
    let Some(counts) = counts.filter(|_| left.threads >= executions) else { return Ok(None) };
    let (mut before, mut with_each) = (0_u64, true);
    counts.visit(&mut |piece| {
        for &count in piece {
            with_each &= before < count;
            before = count;
        }
    })?;
    Ok(with_each.then(|| Leftover::Threads { count: left.threads, executions }.seen()))
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

    #[test]
    fn nothing_left_is_no_evidence() {
        let left = Leftovers { file_descriptors: Some(3), threads: 4, ..Leftovers::default() };
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
        let left = Leftovers {
            listens: vec!["127.0.0.1:4711".to_owned()],
            connected: vec!["10.0.0.1:80".to_owned(), "10.0.0.1:80".to_owned()],
            busy_threads: vec!["ticker".to_owned()],
            processes: vec!["sleep".to_owned()],
            ..Leftovers::default()
        };
        let evidence = evidence_of(&[], 1, &left);
        let expected = ["leaves a thread running, such as `ticker`", "leaves the process `sleep` running"];
        assert_eq!(evidence.sentences(Subject::State), expected);
        let expected = ["listens on 127.0.0.1:4711", "stays connected to 10.0.0.1:80"];
        assert_eq!(evidence.sentences(Subject::Connections), expected);
    }

    #[test]
    fn idle_threads_are_evidence_where_every_execution_leaves_one() {
        let left = Leftovers { threads: 12, ..Leftovers::default() };
        let counting = |counts: [u64; 4]| {
            let samples = counts.map(|count| Sample { peak_threads: Some(count), ..Sample::default() });
            stateful(&samples, &left)
        };
        assert_eq!(counting([17, 17, 17, 17]), Vec::<String>::new(), "a large pool, started once");
        assert_eq!(counting([3, 4, 5, 6]), ["leaves 12 threads behind after 12 executions"]);
        assert_eq!(stateful(&[], &left), Vec::<String>::new());
    }
}
