//! What says that a job keeps state, or connections, between executions: as data, of which sentences are made
//! where people read.

use serde::{Deserialize, Serialize};

#[cfg(feature = "profiling")]
mod found;
mod sentences;

/// How many of a kind are named in the data; of the others, how many there are.
const NAMED: usize = 20;

/// Something that an execution leaves behind, so that the next one finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Leftover {
    /// Memory: the heap grows with every execution.
    Heap {
        /// By how many bytes.
        bytes: i64,
        /// The lower end of the figure's 95% interval.
        low: i64,
        /// The upper end.
        high: i64,
    },
    /// A thread that is not idle.
    Thread {
        /// Its name.
        name: String,
    },
    /// Threads, idle or not, at least one for every execution.
    Threads {
        /// How many.
        count: u64,
        /// After how many executions.
        executions: u64,
    },
    /// A process that is still running.
    Process {
        /// Its name.
        name: String,
    },
    /// A file, of whatever type, that is new or was changed.
    File {
        /// Its path.
        path: String,
    },
    /// A directory that is new or was changed.
    Directory {
        /// Its path.
        path: String,
    },
    /// A socket that listens.
    Listener {
        /// Its address.
        address: String,
    },
    /// A socket that is connected.
    Connection {
        /// To this address.
        address: String,
    },
    /// What an older release has written down as a sentence, of one of several cases.
    Told {
        /// What it speaks of.
        about: Subject,
        /// The sentence.
        sentence: String,
    },
}

/// What a finding speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// State that is kept between executions.
    State,
    /// Connections that outlive an execution.
    Connections,
}

/// How sure it is that the job itself has left something behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "certainty", rename_all = "snake_case")]
pub enum Certainty {
    /// It was seen to.
    Seen,
    /// It may have been the job, or something else.
    Unknown {
        /// Why the two can't be told apart.
        reason: String,
    },
}

/// One thing that a case seems to leave behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What.
    #[serde(flatten)]
    pub leftover: Leftover,
    /// How sure that is.
    #[serde(flatten)]
    pub certainty: Certainty,
    /// How many more of its kind there are that are not named.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Everything that one case, or all cases of a job, seem to leave behind; each thing once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Evidence {
    findings: Vec<Finding>,
}

impl Leftover {
    /// What it speaks of.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match self {
            Self::Listener { .. } | Self::Connection { .. } => Subject::Connections,
            Self::Told { about, .. } => *about,
            _ => Subject::State,
        }
    }

    /// This, which the job was seen to leave.
    #[must_use]
    pub fn seen(self) -> Finding {
        Finding { leftover: self, certainty: Certainty::Seen, more: 0 }
    }

    /// This, which the job may have left, and why that can't be told.
    #[must_use]
    pub fn unknown(self, reason: impl Into<String>) -> Finding {
        Finding { leftover: self, certainty: Certainty::Unknown { reason: reason.into() }, more: 0 }
    }
}

impl Finding {
    /// Whether the job was seen to leave it.
    #[must_use]
    pub fn is_seen(&self) -> bool {
        self.certainty == Certainty::Seen
    }
}

impl Evidence {
    /// What was found, in the order of the kinds.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// Whether anything of this was seen for certain.
    #[must_use]
    pub fn is_seen(&self, subject: Subject) -> bool {
        self.findings.iter().any(|finding| finding.is_seen() && finding.leftover.subject() == subject)
    }

    /// Adds what else was found. What was seen once is known, whatever else was unsure about it.
    pub fn add(&mut self, other: Self) {
        self.extend(other.findings);
    }
}

impl FromIterator<Finding> for Evidence {
    fn from_iter<T: IntoIterator<Item = Finding>>(findings: T) -> Self {
        let mut evidence = Self::default();
        evidence.extend(findings);
        evidence
    }
}

impl Extend<Finding> for Evidence {
    fn extend<T: IntoIterator<Item = Finding>>(&mut self, findings: T) {
        for finding in findings {
            match self.findings.iter_mut().find(|known| known.leftover == finding.leftover) {
                Some(known) => {
                    known.more = known.more.max(finding.more);
                    if finding.is_seen() {
                        known.certainty = finding.certainty;
                    }
                }
                None => self.findings.push(finding),
            }
        }
    }
}

/// A finding for each name, up to 20, in the order of the names; the last one knows how many more there are.
pub fn named(names: &[String], finding: impl Fn(String) -> Finding) -> Vec<Finding> {
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let more = sorted.len().saturating_sub(NAMED);
    let mut findings: Vec<Finding> = sorted.into_iter().take(NAMED).map(|name| finding(name.clone())).collect();
    if let Some(last) = findings.last_mut() {
        last.more = more as u64;
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Leftover {
        Leftover::File { path: path.to_owned() }
    }

    #[test]
    fn many_of_a_kind_are_counted() {
        let paths: Vec<String> = (100..130).map(|file| format!("/tmp/{file}")).collect();
        let findings = named(&paths, |path| Leftover::File { path }.seen());
        assert_eq!((findings.len(), findings[18].more, findings[19].more), (NAMED, 0, 10));
        assert_eq!(findings[19].leftover, file("/tmp/119"));
    }

    #[test]
    fn what_is_seen_once_is_known() {
        let mut evidence = Evidence::from_iter([file("/a").unknown("who knows"), file("/b").seen()]);
        assert!(evidence.is_seen(Subject::State));
        evidence.add([file("/b").unknown("who knows"), file("/a").seen()].into_iter().collect());
        assert_eq!(evidence.findings(), [file("/a").seen(), file("/b").seen()]);
        let doubt: Evidence = [file("/a").unknown("who knows")].into_iter().collect();
        assert!(!doubt.is_seen(Subject::State) && !doubt.is_empty());
    }

    #[test]
    fn is_a_list_in_json() {
        let evidence: Evidence = [
            Leftover::Heap { bytes: 7, low: 6, high: 8 }.seen(),
            Finding { more: 2, ..file("/a").unknown("who knows") },
            Leftover::Told { about: Subject::Connections, sentence: "listens on x".to_owned() }.seen(),
        ]
        .into_iter()
        .collect();
        let json = serde_json::json!([
            {"kind": "heap", "bytes": 7, "low": 6, "high": 8, "certainty": "seen"},
            {"kind": "file", "path": "/a", "certainty": "unknown", "reason": "who knows", "more": 2},
            {"kind": "told", "about": "connections", "sentence": "listens on x", "certainty": "seen"},
        ]);
        assert_eq!(serde_json::to_value(&evidence).expect("serialises"), json);
        assert_eq!(serde_json::from_value::<Evidence>(json).expect("valid"), evidence);
    }
}
