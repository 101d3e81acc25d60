//! What is found in a case's samples, and in what its worker left behind.

use super::{Evidence, Finding, Leftover, named};
use crate::measure::leftovers::Leftovers;
use crate::sample::Sample;
use crate::statistics::Growth;

impl Evidence {
    /// From the samples of a case, the number of its executions, warm-ups included, and what its worker left
    /// behind.
    #[must_use]
    pub fn of(samples: &[Sample], executions: u64, left: &Leftovers) -> Self {
        let all = |names: &[String], leftover: fn(String) -> Leftover| named(names, |name| leftover(name).seen());
        heap(samples)
            .into_iter()
            .chain(threads(left, executions, samples))
            .chain(all(&left.processes, |name| Leftover::Process { name }))
            .chain(all(&left.listens, |address| Leftover::Listener { address }))
            .chain(all(&left.connected, |address| Leftover::Connection { address }))
            .collect()
    }
}

fn heap(samples: &[Sample]) -> Option<Finding> {
    let retained: Option<Vec<i64>> = samples.iter().map(|sample| sample.retained_heap_bytes).collect();
    let growth = Growth::of(&retained?)?;
    let [bytes, low, high] = [growth.slope, growth.low, growth.high].map(rounded);
    Some(Leftover::Heap { bytes, low, high }.seen())
}

#[expect(clippy::cast_possible_truncation, reason = "rounded on purpose")]
fn rounded(bytes: f64) -> i64 {
    bytes.round() as i64
}

fn threads(left: &Leftovers, executions: u64, samples: &[Sample]) -> Option<Finding> {
    let busy = &left.busy_threads;
    if let Some(name) = busy.first() {
        let finding = Leftover::Thread { name: name.clone() }.seen();
        return Some(Finding { more: busy.len() as u64 - 1, ..finding });
    }
    // A pool's idle threads are started once; these come with every execution.
    let counts: Option<Vec<u64>> = samples.iter().map(|sample| sample.peak_threads).collect();
    let counts = counts.filter(|counts| counts.len() >= 3)?;
    let with_each = counts.windows(2).all(|pair| pair[0] < pair[1]) && left.threads >= executions;
    with_each.then(|| Leftover::Threads { count: left.threads, executions }.seen())
}

#[cfg(test)]
mod tests {
    use super::super::Subject;
    use super::*;

    fn retaining(bytes: &[i64]) -> Vec<Sample> {
        let sample = |&bytes: &i64| Sample { retained_heap_bytes: Some(bytes), ..Sample::default() };
        bytes.iter().map(sample).collect()
    }

    fn stateful(samples: &[Sample], left: &Leftovers) -> Vec<String> {
        Evidence::of(samples, 12, left).sentences(Subject::State)
    }

    #[test]
    fn nothing_left_is_no_evidence() {
        let left = Leftovers { file_descriptors: Some(3), threads: 4, ..Leftovers::default() };
        assert_eq!(Evidence::of(&retaining(&[500, 0, 0, 0, 0]), 12, &left), Evidence::default());
        assert_eq!(Evidence::of(&[Sample::default(); 10], 12, &left), Evidence::default());
    }

    #[test]
    fn a_heap_that_grows_is_told_with_its_slope() {
        let exact = Evidence::of(&retaining(&[1 << 20; 10]), 12, &Leftovers::default());
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
        let evidence = Evidence::of(&[], 1, &left);
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
