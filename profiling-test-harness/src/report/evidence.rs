//! What cases seem to keep between executions.

use profiling_core::evidence::{Evidence, Subject};
use profiling_core::profile::Profile;

use super::{CaseReport, harmless};

const SUBJECTS: [(Subject, &str); 2] = [(Subject::State, "stateful"), (Subject::Connections, "connected")];

/// The words for the column of verdicts; of what isn't known, a question.
pub(super) fn words(evidence: &Evidence) -> Vec<String> {
    let word = |(subject, word): (Subject, &str)| {
        if evidence.is_seen(subject) {
            return Some(word.to_owned());
        }
        (!evidence.doubts(subject).is_empty()).then(|| format!("{word}?"))
    };
    SUBJECTS.into_iter().filter_map(word).collect()
}

/// A line for each case that keeps something, or may do so: the first that shows it.
pub(super) fn lines(reports: &[CaseReport]) -> Vec<String> {
    let lines = reports.iter().filter_map(|report| Some((report.case.path(), report.result.as_ref().ok()?)));
    lines.flat_map(|(path, profile)| of_case(&path, &profile.evidence)).collect()
}

/// The same for all cases of a stored profile.
pub(crate) fn of_profile(profile: &Profile) -> Vec<String> {
    of_case(&profile.job, &profile.evidence())
}

fn of_case(path: &str, evidence: &Evidence) -> Vec<String> {
    let line = |(subject, word): (Subject, &str)| {
        if let Some(first) = evidence.sentences(subject).into_iter().next() {
            return Some(format!("{word}: {path} {first}"));
        }
        let first = evidence.doubts(subject).into_iter().next()?;
        Some(format!("perhaps {word}: {path} {first}"))
    };
    // Paths may hold anything.
    SUBJECTS.into_iter().filter_map(line).map(|line| line.chars().map(harmless).collect()).collect()
}

#[cfg(test)]
mod tests {
    use profiling_core::evidence::Leftover;

    use super::*;

    #[test]
    fn what_is_seen_and_what_is_unsure_have_their_lines() {
        let file = |path: &str| Leftover::File { path: path.to_owned() };
        let listener = Leftover::Listener { address: "127.0.0.1:1".to_owned() };
        let evidence: Evidence =
            [file("/a").seen(), file("/b").seen(), listener.unknown("who knows")].into_iter().collect();
        assert_eq!(words(&evidence), ["stateful", "connected?"]);
        let expected = [
            "stateful: sort leaves the file /a behind",
            "perhaps connected: sort may listen on 127.0.0.1:1: who knows",
        ];
        assert_eq!(of_case("sort", &evidence), expected);
        assert!(words(&Evidence::default()).is_empty() && of_case("sort", &Evidence::default()).is_empty());
    }
}
