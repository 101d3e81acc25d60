//! The statistical summary of a job's samples, with the environment it was measured in.

use std::fmt::Write;
use std::io;

use serde::{Deserialize, Serialize};

use crate::advise::Advice;
use crate::breakdown::Breakdown;
use crate::budget::Judgement;
pub use crate::environment::Environment;
use crate::evidence::{Evidence, Subject};
use crate::fingerprint::{Change, Fingerprint};
use crate::origin::{HarnessTarget, Origin};
use crate::sample::{Column, Sample};
use crate::samples::CaseSamples;
use crate::sampling::Sampling;
use crate::statistics::{Model, Percentile, Summary};
use crate::tangle::JobProfile;

/// The schema that [`Profile::schema`] names.
pub const SCHEMA: &str = "profiling.job/1";

/// The whole profile of one job: `<target>/profiling/<package>/<job>.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// [`SCHEMA`].
    pub schema: String,
    /// The package whose harness measured the job.
    pub package: String,
    /// The job's name.
    pub job: String,
    /// The job's index in the blueprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// Where the attribute stands.
    pub source: Source,
    /// The platforms that the job is to run on, by their ids in the catalogue of platforms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// The seven figures that Tangle's manager reads: the worst over all cases. Absent where they can't
    /// be told, because neither resident memory nor the heap could be measured.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<JobProfile>,
    /// Why the job is taken to be stateful, where it was seen to be; a sentence each, made from the evidence of
    /// the cases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stateful_evidence: Vec<String>,
    /// Why it is taken to have persistent connections, where it was seen to; a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connection_evidence: Vec<String>,
    /// How much other programs disturbed the noisiest of the cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<Noise>,
    /// The cases that were measured, in the order of the attribute.
    pub cases: Vec<CaseProfile>,
    /// Cases of the job that no run has measured yet; with any, the summary is no basis for advice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_cases: Vec<Params>,
    /// How the figures grow with the parameters that are numbers and vary.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<Model>,
    /// Where the newest of the cases were measured. This and the next three are true of every case that has no
    /// [`CaseProfile::origin`] of its own.
    pub environment: Environment,
    /// What was measured. Absent where nobody took it, or where the cases were measured of different things.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// See [`Origin::harness`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harness: Option<HarnessTarget>,
    /// See [`Origin::executable`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<String>,
    /// What has changed since, as the last release build of the package found; with any, the figures are no
    /// basis for advice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stale: Vec<Change>,
    /// Where the job can run, on what size, at what cost. Absent in profiles that were made without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<Advice>,
}

/// A place in the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The file, as the compiler named it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
}

/// A case's parameters, in the order of the attribute.
pub type Params = serde_json::Map<String, serde_json::Value>;

/// What one case costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseProfile {
    /// The values of the job's parameters; empty for a job without.
    pub params: Params,
    /// Where, when and of what this case was measured, where that is not what the profile says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The number of measured executions.
    pub samples: u32,
    /// The percentiles that so few samples don't support: the figures are there, but they have no interval,
    /// and the true one may well lie above the largest sample.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsupported: Vec<Percentile>,
    /// Wall-clock time.
    pub wall_ns: Summary,
    /// Every other figure that was measured, by the name it has in [`Sample`].
    #[serde(flatten)]
    pub figures: Figures,
    /// Instructions of one execution, of all threads, as callgrind counts them (`Ir`). Measured only on
    /// demand, in a run of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<u64>,
    /// The most memory of the worker and all processes that the job has started together, warm-ups included.
    /// Absent where there were none, or none was seen: `peak_rss_bytes` is then all there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree_peak: Option<TreePeak>,
    /// How many more file descriptors were open after the last execution than before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_descriptors_left_open: Option<i64>,
    /// The first steps of the worker; with several fresh workers, the medians.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold_start: Option<ColdStart>,
    /// The first steps of each of several fresh workers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cold_starts: Vec<ColdStart>,
    /// How much other programs disturbed the measurement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<Noise>,
    /// What it seems to leave behind for the next execution.
    #[serde(default, skip_serializing_if = "Evidence::is_empty")]
    pub evidence: Evidence,
    /// What came of it within the limits of platforms, where that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rehearsals: Vec<Rehearsal>,
    /// Why there are no more samples, where their number was not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Sampling>,
    /// What came of the job's budgets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Judgement>,
    /// What goes on inside of an execution.
    #[serde(flatten)]
    pub breakdown: Breakdown,
}

/// How a case did within the limits of one size of a platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rehearsal {
    /// What the size is called.
    pub size: String,
    /// Which one it is, where it is a platform's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered: Option<OfferedSize>,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: RehearsalOutcome,
    /// The median wall-clock time that was predicted from the samples, in nanoseconds; absent where CPU time
    /// was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted_p50_ns: Option<u64>,
    /// The period in which CPU time was granted, in nanoseconds: executions of few periods take shorter or longer
    /// than predicted, as they don't use up what they are granted.
    pub period_ns: u64,
    /// What of the file system could be written to.
    pub file_system: FileSystem,
}

/// A size that a platform of the catalogue offers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OfferedSize {
    /// The platform's id.
    pub platform: String,
    /// Its memory in MiB.
    pub memory_mb: u32,
    /// Its CPUs.
    pub vcpu: f64,
}

/// What came of a rehearsal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "a few per job")]
pub enum RehearsalOutcome {
    /// All executions ended well.
    Passed {
        /// How long they took.
        wall_ns: Summary,
    },
    /// One did not.
    Failed {
        /// What is to blame.
        cause: RehearsalFailure,
        /// Why, in words.
        reason: String,
        /// How many processes were killed because the memory was used up.
        out_of_memory_kills: u64,
    },
}

/// What an execution failed of in a rehearsal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RehearsalFailure {
    /// The kernel killed it, or a process that it had started, because the memory was used up.
    OutOfMemory,
    /// It took longer than the platform allows.
    TimedOut,
    /// It wrote outside of the temporary directory.
    WriteRefused,
    /// It failed in another way.
    Job,
    /// The harness could not begin it, which says nothing about the job.
    NotRun,
}

/// What of the file system a rehearsed job could write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileSystem {
    /// Its temporary directory alone.
    ReadOnly,
    /// All, as the machine permits no mounts of its own for a process.
    Unrestricted,
}

/// What was seen beside the samples of a case.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Circumstances {
    /// The first steps of each fresh worker.
    pub cold_starts: Vec<ColdStart>,
    /// See [`CaseProfile::tree_peak`].
    pub tree_peak: Option<TreePeak>,
    /// See [`CaseProfile::file_descriptors_left_open`].
    pub file_descriptors_left_open: Option<i64>,
    /// See [`CaseProfile::instructions`].
    pub instructions: Option<u64>,
    /// See [`CaseProfile::evidence`].
    pub evidence: Evidence,
    /// See [`CaseProfile::rehearsals`].
    pub rehearsals: Vec<Rehearsal>,
    /// See [`CaseProfile::breakdown`].
    pub breakdown: Breakdown,
    /// Who has used the machine meanwhile.
    pub machine: Option<MachineShare>,
    /// See [`CaseProfile::sampling`].
    pub sampling: Option<Sampling>,
}

/// Shares of the CPU time of all CPUs of the machine, in thousandths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MachineShare {
    /// What the machine's host gave to others.
    pub stolen_permille: u64,
    /// What nobody used.
    pub idle_permille: u64,
    /// What programs used that are none of ours.
    pub others_permille: u64,
}

/// The peak memory of a tree of processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreePeak {
    /// The peak.
    pub bytes: u64,
    /// How it was found.
    pub method: TreePeakMethod,
}

/// How the peak memory of a tree of processes was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TreePeakMethod {
    /// The kernel's own mark of the most memory in a control group that held these processes alone; what was
    /// sampled, where that was more.
    Cgroup,
    /// The largest sum of the processes' proportional set sizes, looked at every few milliseconds.
    Sampled,
}

/// How much other programs disturbed a measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noise {
    /// The verdict.
    pub grade: Grade,
    /// What it rests on; a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
}

/// Whether figures can be compared with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// They can.
    Quiet,
    /// They show the neighbours, too.
    Noisy,
}

/// Summaries of the figures of [`Sample`]; absent where any sample lacks the figure.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// See [`Sample::cpu_ns`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ns: Option<Summary>,
    /// See [`Sample::cpu_user_ns`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_user_ns: Option<Summary>,
    /// See [`Sample::cpu_system_ns`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_system_ns: Option<Summary>,
    /// See [`Sample::peak_rss_bytes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<Summary>,
    /// See [`Sample::peak_heap_bytes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_heap_bytes: Option<Summary>,
    /// See [`Sample::allocated_bytes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocated_bytes: Option<Summary>,
    /// See [`Sample::allocations`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocations: Option<Summary>,
    /// See [`Sample::retained_heap_bytes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retained_heap_bytes: Option<Summary<i64>>,
    /// See [`Sample::minor_faults`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minor_faults: Option<Summary>,
    /// See [`Sample::major_faults`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub major_faults: Option<Summary>,
    /// See [`Sample::voluntary_switches`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voluntary_switches: Option<Summary>,
    /// See [`Sample::involuntary_switches`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub involuntary_switches: Option<Summary>,
    /// See [`Sample::run_queue_delay_ns`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_queue_delay_ns: Option<Summary>,
    /// See [`Sample::read_bytes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<Summary>,
    /// See [`Sample::written_bytes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_bytes: Option<Summary>,
    /// See [`Sample::device_read_bytes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_read_bytes: Option<Summary>,
    /// See [`Sample::device_written_bytes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_written_bytes: Option<Summary>,
    /// See [`Sample::peak_threads`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_threads: Option<Summary>,
    /// See [`Sample::peak_file_descriptors`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_file_descriptors: Option<Summary>,
    /// See [`Sample::hardware_instructions`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_instructions: Option<Summary>,
}

/// The first steps of the worker that measured a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColdStart {
    /// From the start of the worker process until it was ready to execute, as its parent saw it.
    pub startup_ns: u64,
    /// Wall-clock time of the very first execution, warm-up or not.
    pub first_execution_ns: u64,
}

/// One line of `<job>.samples.jsonl.gz`: a sample with the case that it belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleRecord {
    /// The case's parameters.
    pub params: Params,
    /// The sample's number from 0.
    pub sample: u32,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Sample,
}

impl SampleRecord {
    /// What the lines of a case begin with.
    pub(crate) fn prefix(params: &Params) -> serde_json::Result<String> {
        Ok(format!("{{\"params\":{},\"sample\":", serde_json::to_string(params)?))
    }

    /// Makes `line` what serde makes of a record, with an end of the line. In a user's test build, which optimises
    /// neither, that would be more work than all else that the harness does for a sample.
    pub(crate) fn write(prefix: &str, sample: usize, figures: &Sample, line: &mut String) {
        line.clear();
        line.push_str(prefix);
        // A string takes everything.
        let _ = write!(line, "{sample},").and_then(|()| figures.write_json(line));
        line.push_str("}\n");
    }
}

impl Profile {
    /// The evidence of all cases, each finding once.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        self.cases.iter().flat_map(|case| case.evidence.findings()).cloned().collect()
    }

    /// Why it isn't known whether the job keeps this, where no case was seen to; a sentence each.
    #[must_use]
    pub fn doubts(&self, subject: Subject) -> Vec<String> {
        let summary = self.summary.as_ref();
        let (declared, seen) = match subject {
            Subject::State => (summary.is_some_and(|summary| summary.stateful), &self.stateful_evidence),
            Subject::Connections => {
                (summary.is_some_and(|summary| summary.persistent_connections), &self.connection_evidence)
            }
        };
        if declared || !seen.is_empty() { Vec::new() } else { self.evidence().doubts(subject) }
    }
}

impl CaseProfile {
    /// Summarises the samples of a case; `None` without samples.
    #[must_use]
    pub fn of(params: Params, samples: &[Sample], circumstances: &Circumstances) -> Option<Self> {
        // What is in memory can be read.
        Self::of_samples(params, &samples.into(), circumstances).ok().flatten()
    }

    /// The same of samples of which there may be more than fit into memory.
    ///
    /// # Errors
    ///
    /// Where they can't be read.
    pub fn of_samples(
        params: Params,
        samples: &CaseSamples,
        circumstances: &Circumstances,
    ) -> io::Result<Option<Self>> {
        let cold_starts = &circumstances.cold_starts;
        let Some(wall_ns) = Summary::of_samples(samples, Column::WallNs)? else { return Ok(None) };
        Ok(Some(Self {
            params,
            origin: None,
            samples: u32::try_from(samples.len()).unwrap_or(u32::MAX),
            unsupported: Percentile::unsupported_by(samples.len()),
            wall_ns,
            figures: Figures::of(samples)?,
            instructions: circumstances.instructions,
            tree_peak: circumstances.tree_peak,
            file_descriptors_left_open: circumstances.file_descriptors_left_open,
            cold_start: ColdStart::median(cold_starts),
            cold_starts: if cold_starts.len() > 1 { cold_starts.clone() } else { Vec::new() },
            noise: Noise::of(samples, circumstances.machine)?,
            evidence: circumstances.evidence.clone(),
            rehearsals: circumstances.rehearsals.clone(),
            sampling: circumstances.sampling,
            budgets: Vec::new(),
            breakdown: circumstances.breakdown.clone(),
        }))
    }

    /// The largest peak of resident memory, child processes included; of the heap where resident memory was not measured.
    #[must_use]
    pub fn peak_memory_bytes(&self) -> Option<u64> {
        let peak = self.figures.peak_rss_bytes.or(self.figures.peak_heap_bytes)?.max;
        Some(self.tree_peak.map_or(peak, |tree| tree.bytes.max(peak)))
    }
}

impl ColdStart {
    /// The medians, the larger one of two in the middle.
    fn median(cold_starts: &[Self]) -> Option<Self> {
        let median = |figure: fn(&Self) -> u64| {
            let mut figures: Vec<u64> = cold_starts.iter().map(figure).collect();
            figures.sort_unstable();
            figures.get(figures.len() / 2).copied()
        };
        Some(Self {
            startup_ns: median(|cold| cold.startup_ns)?,
            first_execution_ns: median(|cold| cold.first_execution_ns)?,
        })
    }
}

impl JobProfile {
    /// The worst over all cases, rounded up: a job that takes 250 µs takes 1 ms. `None` without
    /// cases, or where the peak memory of one could not be measured.
    #[must_use]
    pub fn of(cases: &[CaseProfile], stateful: bool, persistent_connections: bool) -> Option<Self> {
        let worst = |figure: fn(&CaseProfile) -> u64| cases.iter().map(figure).max();
        let peaks: Option<Vec<u64>> = cases.iter().map(CaseProfile::peak_memory_bytes).collect();
        Some(Self {
            avg_duration_ms: milliseconds(worst(|case| ceiling(case.wall_ns.mean))?),
            p95_duration_ms: milliseconds(worst(|case| case.wall_ns.p95)?),
            p99_duration_ms: milliseconds(worst(|case| case.wall_ns.p99)?),
            peak_memory_mb: mebibytes(peaks?.into_iter().max()?),
            stateful,
            persistent_connections,
            sample_size: cases.iter().map(|case| case.samples).min()?,
        })
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a mean of nanoseconds: positive, small")]
fn ceiling(mean: f64) -> u64 {
    mean.ceil() as u64
}

fn milliseconds(nanoseconds: u64) -> u64 {
    nanoseconds.div_ceil(1_000_000)
}

fn mebibytes(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Leftover;

    fn case(wall_ns: u64, peak_rss_bytes: Option<u64>, samples: usize) -> CaseProfile {
        let sample = Sample { wall_ns, peak_rss_bytes, peak_heap_bytes: Some(5), ..Sample::default() };
        CaseProfile::of(Params::new(), &vec![sample; samples], &Circumstances::default()).expect("samples")
    }

    #[test]
    fn a_record_is_the_json_that_serde_makes_of_it() {
        let everything = Sample {
            wall_ns: 1,
            cpu_ns: Some(2),
            cpu_user_ns: Some(3),
            cpu_system_ns: Some(4),
            peak_rss_bytes: Some(5),
            peak_heap_bytes: Some(6),
            allocated_bytes: Some(7),
            allocations: Some(8),
            retained_heap_bytes: Some(9),
            minor_faults: Some(10),
            major_faults: Some(11),
            voluntary_switches: Some(12),
            involuntary_switches: Some(13),
            run_queue_delay_ns: Some(14),
            read_bytes: Some(15),
            written_bytes: Some(16),
            device_read_bytes: Some(17),
            device_written_bytes: Some(18),
            peak_threads: Some(19),
            peak_file_descriptors: Some(20),
            hardware_instructions: Some(21),
        };
        let some = Sample { wall_ns: u64::MAX, retained_heap_bytes: Some(i64::MIN), ..Sample::default() };
        let params = Params::from_iter([("k \"é".to_owned(), "\n".into()), ("n".to_owned(), (-1).into())]);
        for (figures, params) in [(Sample::default(), Params::new()), (some, params.clone()), (everything, params)] {
            let record = SampleRecord { params, sample: 7, figures };
            let prefix = SampleRecord::prefix(&record.params).expect("params can be written");
            let mut json = String::new();
            SampleRecord::write(&prefix, 7, &record.figures, &mut json);
            assert_eq!(json, serde_json::to_string(&record).expect("every record can be written") + "\n");
        }
    }

    #[test]
    fn rounds_up() {
        let summary = JobProfile::of(&[case(250_000, Some(1), 3)], false, false).expect("measured");
        assert_eq!((summary.avg_duration_ms, summary.p95_duration_ms, summary.p99_duration_ms), (1, 1, 1));
        assert_eq!(summary.peak_memory_mb, 1);
        let exact = JobProfile::of(&[case(2_000_000, Some(3 << 20), 3)], false, false).expect("measured");
        assert_eq!((exact.avg_duration_ms, exact.peak_memory_mb), (2, 3));
    }

    #[test]
    fn takes_the_worst_case_and_the_fewest_samples() {
        let cases = [case(9_000_000, Some(1 << 20), 7), case(1, Some(7 << 20), 5)];
        let summary = JobProfile::of(&cases, true, false).expect("measured");
        assert_eq!((summary.p99_duration_ms, summary.peak_memory_mb, summary.sample_size), (9, 7, 5));
        assert!(summary.stateful && !summary.persistent_connections);
    }

    #[test]
    fn the_heap_stands_in_for_resident_memory() {
        assert_eq!(case(1, None, 1).peak_memory_bytes(), Some(5));
        let mut unknown = case(1, None, 1);
        unknown.figures.peak_heap_bytes = None;
        assert_eq!(JobProfile::of(&[unknown], false, false), None);
    }

    #[test]
    fn what_was_seen_or_declared_is_not_doubted() {
        let mut profile: Profile = serde_json::from_value(serde_json::json!({
            "schema": SCHEMA, "package": "p", "job": "j", "source": {"file": "f", "line": 1}, "cases": [],
            "environment": {"profiled_at": "", "os": "", "arch": "", "target": "", "rustc": "", "opt_level": "3",
                            "debug_assertions": false}
        }))
        .expect("valid");
        profile.cases = vec![case(1, Some(1), 1), case(1, Some(1), 1)];
        let doubt = Leftover::File { path: "/x".to_owned() }.unknown("who knows");
        profile.cases.iter_mut().for_each(|case| case.evidence.extend([doubt.clone()]));
        assert_eq!(profile.doubts(Subject::State), ["may leave the file /x behind: who knows"]);
        assert_eq!(profile.doubts(Subject::Connections), Vec::<String>::new());
        profile.summary = JobProfile::of(&profile.cases, true, false);
        assert_eq!(profile.doubts(Subject::State), Vec::<String>::new());
        profile.summary = None;
        profile.stateful_evidence.push("leaves the file /y behind".to_owned());
        assert_eq!(profile.doubts(Subject::State), Vec::<String>::new());
    }

    #[test]
    fn a_profile_without_a_summary_round_trips() {
        let json = serde_json::json!({
            "schema": SCHEMA, "package": "p", "job": "j", "source": {"file": "f", "line": 1}, "cases": [],
            "environment": {"profiled_at": "", "os": "", "arch": "", "target": "", "rustc": "", "opt_level": "3",
                            "debug_assertions": false}
        });
        let profile: Profile = serde_json::from_value(json.clone()).expect("valid");
        assert_eq!(profile.summary, None);
        assert_eq!(serde_json::to_value(&profile).expect("serialises"), json);
    }
}
