//! What says that a job keeps state, or connections, between executions: pure functions from what was
//! measured to sentences for people.

use crate::measure::leftovers::Leftovers;
use crate::sample::Sample;
use crate::statistics::Growth;

/// How many of a kind are named.
const NAMED: usize = 5;

/// Why a job is taken to be stateful, or to need connections that outlive an execution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Each sentence says why the job is stateful.
    pub stateful: Vec<String>,
    /// Each sentence says why it has persistent connections.
    pub connections: Vec<String>,
}

impl Evidence {
    /// From the samples of a case, the number of its executions, warm-ups included, what its worker
    /// left behind, and the files.
    #[must_use]
    pub fn of(samples: &[Sample], executions: u64, left: &Leftovers, files: &[String]) -> Self {
        let heap = heap(samples);
        let threads = threads(left, executions, samples);
        let processes = named(&left.processes, |name| format!("leaves the process `{name}` running"));
        let files = named(files, |path| format!("leaves the file {path} behind"));
        let listens = named(&left.listens, |at| format!("listens on {at}"));
        let connected = named(&left.connected, |to| format!("stays connected to {to}"));
        Self {
            stateful: heap.into_iter().chain(threads).chain(processes).chain(files).collect(),
            connections: listens.into_iter().chain(connected).collect(),
        }
    }

    /// Adds what another case has shown, each sentence once.
    pub fn add(&mut self, other: Self) {
        merge(&mut self.stateful, other.stateful);
        merge(&mut self.connections, other.connections);
    }
}

fn merge(into: &mut Vec<String>, from: Vec<String>) {
    for sentence in from {
        if !into.contains(&sentence) {
            into.push(sentence);
        }
    }
}

fn heap(samples: &[Sample]) -> Option<String> {
    let retained: Option<Vec<i64>> = samples.iter().map(|sample| sample.retained_heap_bytes).collect();
    let growth = Growth::of(&retained?)?;
    let [slope, low, high] = [growth.slope, growth.low, growth.high].map(grouped);
    if low == high {
        return Some(format!("retains {slope} bytes more after every execution"));
    }
    Some(format!("retains {slope} bytes more after every execution (95% interval {low} to {high})"))
}

fn threads(left: &Leftovers, executions: u64, samples: &[Sample]) -> Option<String> {
    let busy = &left.busy_threads;
    if let Some(name) = busy.first() {
        let many = if busy.len() == 1 { "a thread".to_owned() } else { format!("{} threads", busy.len()) };
        return Some(format!("leaves {many} running, such as `{}`", printable(name)));
    }
    // A pool's idle threads are started once; these come with every execution.
    let counts: Option<Vec<u64>> = samples.iter().map(|sample| sample.peak_threads).collect();
    let counts = counts.filter(|counts| counts.len() >= 3)?;
    let with_each = counts.windows(2).all(|pair| pair[0] < pair[1]) && left.threads >= executions;
    with_each.then(|| format!("leaves {} threads behind after {executions} executions", left.threads))
}

/// With nothing in it that a terminal obeys.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn named(all: &[String], sentence: impl Fn(&str) -> String) -> Vec<String> {
    let mut sorted: Vec<&String> = all.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let mut sentences: Vec<String> = sorted.iter().take(NAMED).map(|one| sentence(&printable(one))).collect();
    if let (Some(last), more @ 1..) = (sentences.last_mut(), sorted.len().saturating_sub(NAMED)) {
        *last = format!("{last}, and {more} more");
    }
    sentences
}

/// A number of bytes with commas between the thousands.
#[expect(clippy::cast_possible_truncation, reason = "rounded on purpose")]
fn grouped(bytes: f64) -> String {
    let digits = (bytes.round() as i64).to_string();
    let (sign, digits) = digits.strip_prefix('-').map_or(("", &*digits), |digits| ("-", digits));
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    format!("{sign}{}", groups.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retaining(bytes: &[i64]) -> Vec<Sample> {
        let sample = |&bytes: &i64| Sample { retained_heap_bytes: Some(bytes), ..Sample::default() };
        bytes.iter().map(sample).collect()
    }

    fn stateful(samples: &[Sample], left: &Leftovers, files: &[String]) -> Vec<String> {
        Evidence::of(samples, 12, left, files).stateful
    }

    #[test]
    fn nothing_left_is_no_evidence() {
        let left = Leftovers { file_descriptors: Some(3), threads: 4, ..Leftovers::default() };
        assert_eq!(Evidence::of(&retaining(&[500, 0, 0, 0, 0]), 12, &left, &[]), Evidence::default());
        assert_eq!(Evidence::of(&[Sample::default(); 10], 12, &left, &[]), Evidence::default());
    }

    #[test]
    fn a_heap_that_grows_is_told_with_its_slope() {
        let exact = stateful(&retaining(&[1 << 20; 10]), &Leftovers::default(), &[]);
        assert_eq!(exact, ["retains 1,048,576 bytes more after every execution"]);
        let rough = stateful(&retaining(&[90, 110, 100, 95, 105]), &Leftovers::default(), &[]);
        assert!(rough[0].contains("bytes more after every execution (95% interval "), "{rough:?}");
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
        let evidence = Evidence::of(&[], 1, &left, &["/tmp/x".to_owned()]);
        let expected = [
            "leaves a thread running, such as `ticker`",
            "leaves the process `sleep` running",
            "leaves the file /tmp/x behind",
        ];
        assert_eq!(evidence.stateful, expected);
        assert_eq!(evidence.connections, ["listens on 127.0.0.1:4711", "stays connected to 10.0.0.1:80"]);
    }

    #[test]
    fn idle_threads_are_evidence_where_every_execution_leaves_one() {
        let left = Leftovers { threads: 12, ..Leftovers::default() };
        let counting = |counts: [u64; 4]| {
            let samples = counts.map(|count| Sample { peak_threads: Some(count), ..Sample::default() });
            stateful(&samples, &left, &[])
        };
        assert_eq!(counting([17, 17, 17, 17]), Vec::<String>::new(), "a large pool, started once");
        assert_eq!(counting([3, 4, 5, 6]), ["leaves 12 threads behind after 12 executions"]);
        assert_eq!(stateful(&[], &left, &[]), Vec::<String>::new());
    }

    #[test]
    fn many_of_a_kind_are_counted() {
        let files: Vec<String> = (0..9).map(|file| format!("/tmp/{file}")).collect();
        let sentences = stateful(&[], &Leftovers::default(), &files);
        assert_eq!(sentences.len(), NAMED);
        assert_eq!(sentences[4], "leaves the file /tmp/4 behind, and 4 more");
    }

    #[test]
    fn cases_add_up() {
        let one = || Evidence { stateful: vec!["a".to_owned()], connections: vec!["b".to_owned()] };
        let mut both = one();
        both.add(one());
        assert_eq!(both, one());
    }
}
