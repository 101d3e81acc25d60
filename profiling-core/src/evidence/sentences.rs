//! Findings in sentences, for people.

use super::{Certainty, Evidence, Finding, Leftover, Subject};

/// How many of a kind are named.
const NAMED: usize = 5;

impl Evidence {
    /// Why a job is taken to keep this: a sentence for each thing that it was seen to leave behind.
    #[must_use]
    pub fn sentences(&self, subject: Subject) -> Vec<String> {
        listed(self.about(subject).filter(|finding| finding.is_seen()))
    }

    /// Why it isn't known whether a job keeps this: a sentence for each reason, with what may be left behind.
    #[must_use]
    pub fn doubts(&self, subject: Subject) -> Vec<String> {
        let reason = |finding: &Finding| match &finding.certainty {
            Certainty::Seen => None,
            Certainty::Unknown { reason } => Some(reason.clone()),
        };
        let mut reasons: Vec<String> = Vec::new();
        for new in self.about(subject).filter_map(reason) {
            if !reasons.contains(&new) {
                reasons.push(new);
            }
        }
        let doubt = |given: String| {
            let of_it = self.about(subject).filter(|finding| reason(finding).as_ref() == Some(&given));
            format!("{}: {}", listed(of_it).join("; "), printable(&given))
        };
        reasons.into_iter().map(doubt).collect()
    }

    fn about(&self, subject: Subject) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.leftover.subject() == subject)
    }
}

/// Of each kind, a few; the last of them says how many more there are.
fn listed<'a>(findings: impl Iterator<Item = &'a Finding>) -> Vec<String> {
    let mut kinds: Vec<Vec<&Finding>> = Vec::new();
    for finding in findings {
        let is_kind = |kind: &&mut Vec<&Finding>| {
            std::mem::discriminant(&kind[0].leftover) == std::mem::discriminant(&finding.leftover)
        };
        match kinds.iter_mut().find(is_kind) {
            Some(kind) => kind.push(finding),
            None => kinds.push(vec![finding]),
        }
    }
    kinds.iter().flat_map(|kind| of_kind(kind)).collect()
}

fn of_kind(findings: &[&Finding]) -> Vec<String> {
    let mut sentences: Vec<String> = findings.iter().take(NAMED).map(|finding| sentence(finding)).collect();
    // Of threads, the sentence itself says how many there are.
    let counts = |finding: &&&Finding| !matches!(finding.leftover, Leftover::Thread { .. });
    let unnamed = findings.len().saturating_sub(NAMED) as u64;
    let more = unnamed + findings.iter().filter(counts).map(|finding| finding.more).sum::<u64>();
    if let (Some(last), 1..) = (sentences.last_mut(), more) {
        *last = format!("{last}, and {more} more");
    }
    sentences
}

fn sentence(finding: &Finding) -> String {
    let verb = |seen: &'static str, unsure: &'static str| if finding.is_seen() { seen } else { unsure };
    let leaves = verb("leaves", "may leave");
    match &finding.leftover {
        Leftover::Heap { bytes, low, high } => {
            let text =
                format!("{} {} bytes more after every execution", verb("retains", "may retain"), grouped(*bytes));
            if low == high {
                return text;
            }
            format!("{text} (95% interval {} to {})", grouped(*low), grouped(*high))
        }
        Leftover::Thread { name } if finding.more == 0 => {
            format!("{leaves} a thread running, such as `{}`", printable(name))
        }
        Leftover::Thread { name } => {
            format!("{leaves} {} threads running, such as `{}`", finding.more + 1, printable(name))
        }
        Leftover::Threads { count, executions } => {
            format!("{leaves} {count} threads behind after {executions} executions")
        }
        Leftover::Process { name } => format!("{leaves} the process `{}` running", printable(name)),
        Leftover::File { path } => format!("{leaves} the file {} behind", printable(path)),
        Leftover::Directory { path } => format!("{leaves} the directory {} behind", printable(path)),
        Leftover::Listener { address } => format!("{} {}", verb("listens on", "may listen on"), printable(address)),
        Leftover::Connection { address } => {
            format!("{} {}", verb("stays connected to", "may stay connected to"), printable(address))
        }
        Leftover::Told { sentence, .. } => printable(sentence),
    }
}

/// With nothing in it that a terminal obeys.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// A number of bytes with commas between the thousands.
fn grouped(bytes: i64) -> String {
    let digits = bytes.to_string();
    let (sign, digits) = digits.strip_prefix('-').map_or(("", &*digits), |digits| ("-", digits));
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    format!("{sign}{}", groups.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(findings: impl IntoIterator<Item = Finding>) -> Vec<String> {
        findings.into_iter().collect::<Evidence>().sentences(Subject::State)
    }

    fn file(path: &str) -> Leftover {
        Leftover::File { path: path.to_owned() }
    }

    #[test]
    fn bytes_have_their_interval() {
        let heap = |bytes, low, high| state([Leftover::Heap { bytes, low, high }.seen()]);
        assert_eq!(heap(1 << 20, 1 << 20, 1 << 20), ["retains 1,048,576 bytes more after every execution"]);
        let rough = "retains 100 bytes more after every execution (95% interval 90 to 1,100)";
        assert_eq!(heap(100, 90, 1_100), [rough]);
    }

    #[test]
    fn a_few_of_a_kind_are_named() {
        let files = (0..9).map(|number| file(&format!("/tmp/{number}")).seen());
        let directory = Leftover::Directory { path: "/d".to_owned() }.seen();
        let last = Finding { more: 100, ..file("/tmp/9").seen() };
        let sentences = state(files.chain([directory, last]));
        assert_eq!(sentences.len(), NAMED + 1);
        assert_eq!(sentences[4], "leaves the file /tmp/4 behind, and 105 more");
        assert_eq!(sentences[5], "leaves the directory /d behind");
        let threads = Finding { more: 2, ..Leftover::Thread { name: "t\n".to_owned() }.seen() };
        assert_eq!(state([threads]), ["leaves 3 threads running, such as `t\u{fffd}`"]);
    }

    #[test]
    fn a_doubt_has_its_reason_once() {
        let listener = Leftover::Listener { address: "[::1]:80".to_owned() };
        let evidence: Evidence = [
            file("/a").unknown("no namespaces"),
            Leftover::Heap { bytes: 5, low: 5, high: 5 }.unknown("a server runs"),
            file("/b").unknown("no namespaces"),
            file("/c").seen(),
            listener.unknown("a server runs"),
        ]
        .into_iter()
        .collect();
        let expected = [
            "may leave the file /a behind; may leave the file /b behind: no namespaces",
            "may retain 5 bytes more after every execution: a server runs",
        ];
        assert_eq!(evidence.doubts(Subject::State), expected);
        assert_eq!(evidence.doubts(Subject::Connections), ["may listen on [::1]:80: a server runs"]);
        assert_eq!(evidence.sentences(Subject::State), ["leaves the file /c behind"]);
    }
}
