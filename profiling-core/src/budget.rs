//! Budgets: what an execution may cost, and whether the samples show that it costs more.
//!
//! A figure is above its budget for sure where the lower end of its 95% interval is, a time's by 5%. That end
//! is made of the times that the job would have needed had it had a CPU whenever it wanted one, so that other
//! programs don't fail it.

use std::io;

use serde::{Deserialize, Serialize};

use crate::profile::{CaseProfile, Grade};
use crate::sample::{Column, Sample};
use crate::samples::{CaseSamples, Derived};
use crate::statistics::Percentile;
use crate::statistics::select::ranked;
use crate::statistics::values::Values;

/// A time that is nearer to its budget than this, in thousandths of it, is called near, on either side: by so
/// much do processes of the same code differ, and does a busy machine slow down what has a CPU. A peak is,
/// below it.
const NEAR_PERMILLE: u64 = 50;
/// By how much each thread but the first can make the peak of the heap wrong.
const HEAP_ERROR_BYTES: u64 = 64 << 10;

/// What an execution may cost at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// What is limited.
    pub subject: Subject,
    /// The limit, in nanoseconds, bytes or a number, as the subject has it.
    pub limit: u64,
}

/// What a budget can limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The median of the wall-clock time.
    P50,
    /// Its 90th percentile.
    P90,
    /// Its 95th percentile.
    P95,
    /// Its 99th percentile.
    P99,
    /// Its longest sample.
    Max,
    /// The median of the CPU time.
    Cpu,
    /// The peak of resident memory, [`CaseProfile::peak_memory_bytes`].
    PeakMemory,
    /// The largest peak of the heap.
    PeakHeap,
    /// The median of the number of allocations.
    Allocations,
    /// The median of the heap memory requested.
    Allocated,
    /// [`CaseProfile::instructions`].
    Instructions,
}

/// What a limit and its figure are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Nanoseconds.
    Ns,
    /// Bytes.
    Bytes,
    /// A number of them.
    Count,
}

/// Which end of a figure's interval has to be above the limit for a job to fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Bound {
    /// The lower one, of a time less 5%: the job fails where it is over budget for sure.
    #[default]
    Lower,
    /// The figure itself.
    Figure,
    /// The upper one: the job passes where it is within its budget for sure.
    Upper,
}

/// What came of a budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// The budget's name.
    pub budget: Subject,
    /// What the numbers are counted in.
    pub unit: Unit,
    /// What was allowed.
    pub limit: u64,
    /// What was measured, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figure: Option<u64>,
    /// What it is at least, with a confidence of 95%; absent where there are too few samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<u64>,
    /// What it is at most, with a confidence of 95%; absent where there are too few samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<u64>,
    /// The result.
    pub outcome: Outcome,
    /// What there is to say about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Whether a budget was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was.
    Within,
    /// It may have been, or was just so.
    Near,
    /// It was not.
    Over,
    /// There is no figure.
    NotJudged,
}

impl Subject {
    /// Its name in the attribute and in profiles.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Max => "max",
            Self::Cpu => "cpu",
            Self::PeakMemory => "peak_memory",
            Self::PeakHeap => "peak_heap",
            Self::Allocations => "allocations",
            Self::Allocated => "allocated",
            Self::Instructions => "instructions",
        }
    }

    /// What it is counted in.
    #[must_use]
    pub fn unit(self) -> Unit {
        match self {
            Self::P50 | Self::P90 | Self::P95 | Self::P99 | Self::Max | Self::Cpu => Unit::Ns,
            Self::PeakMemory | Self::PeakHeap | Self::Allocated => Unit::Bytes,
            Self::Allocations | Self::Instructions => Unit::Count,
        }
    }

    /// Whether one that is nearly reached is worth a word. Counts repeat, and are often met exactly.
    fn warns_below(self) -> bool {
        self.unit() == Unit::Ns || matches!(self, Self::PeakMemory | Self::PeakHeap)
    }
}

/// A figure with what it is at least and at most.
#[derive(Debug, Clone, Copy)]
struct Estimate {
    figure: u64,
    low: Option<u64>,
    high: Option<u64>,
}

impl Estimate {
    fn exact(figure: u64) -> Self {
        Self { figure, low: Some(figure), high: Some(figure) }
    }

    /// Of a percentile: the figure and its upper end of samples as they were, the lower end of samples from
    /// which everything was taken that is not the job's own.
    fn of(percentile: Percentile, seen: &dyn Values<u64>, own: &dyn Values<u64>) -> io::Result<Option<Self>> {
        let count = seen.count();
        if count == 0 {
            return Ok(None);
        }
        let high = percentile.rank_at_most(count);
        let ranks: Vec<usize> = [percentile.rank(count)].into_iter().chain(high).collect();
        let found = ranked(seen, &ranks)?;
        let low = percentile.rank_at_least(count).map(|rank| ranked(own, &[rank])).transpose()?;
        Ok(Some(Self { figure: found[0], low: low.map(|low| low[0]), high: high.map(|_| found[1]) }))
    }

    /// Of the median of what mostly repeats: where all samples are equal, there is nothing unsure about it.
    fn of_count(counts: &dyn Values<u64>) -> io::Result<Option<Self>> {
        let Some(last) = counts.count().checked_sub(1) else { return Ok(None) };
        let ends = ranked(counts, &[0, last])?;
        if ends[0] == ends[1] { Ok(Some(Self::exact(ends[0]))) } else { Self::of(Percentile::P50, counts, counts) }
    }
}

impl Judgement {
    /// Judges a budget by the samples of a case and its profile.
    ///
    /// # Errors
    ///
    /// Where the samples can't be read.
    pub fn of(budget: Budget, samples: &CaseSamples, profile: &CaseProfile, bound: Bound) -> io::Result<Self> {
        let Budget { subject, limit } = budget;
        let judgement = |estimate: Option<Estimate>, outcome, why| Self {
            budget: subject,
            unit: subject.unit(),
            limit,
            figure: estimate.map(|estimate| estimate.figure),
            low: estimate.and_then(|estimate| estimate.low),
            high: estimate.and_then(|estimate| estimate.high),
            outcome,
            why,
        };
        let Some(estimate) = estimate(subject, samples, profile)? else {
            let why = match subject {
                Subject::Instructions => "instructions are counted with --instructions alone",
                _ => "not measured on this platform or in this build",
            };
            return Ok(judgement(None, Outcome::NotJudged, Some(why.to_owned())));
        };
        let excuse = if is_wall(subject) { disturbance(samples, profile)? } else { None };
        let (outcome, why) = verdict(subject, limit, estimate, bound, excuse);
        Ok(judgement(Some(estimate), outcome, why))
    }

    /// Whether a fresh measurement could show something else: times can.
    #[must_use]
    pub fn is_worth_repeating(&self) -> bool {
        self.outcome == Outcome::Over && self.unit == Unit::Ns
    }

    /// This one, after the budget was judged `again` in a fresh measurement: what isn't seen twice wasn't the
    /// job's.
    #[must_use]
    pub fn confirmed_by(self, again: &Self) -> Self {
        if self.outcome != Outcome::Over || again.outcome == Outcome::Over {
            return self;
        }
        let why = "a fresh worker was not over it".to_owned();
        Self { outcome: Outcome::Near, why: Some(why), figure: again.figure, low: again.low, high: again.high, ..self }
    }
}

fn verdict(
    subject: Subject,
    limit: u64,
    estimate: Estimate,
    bound: Bound,
    excuse: Option<String>,
) -> (Outcome, Option<String>) {
    let Estimate { figure, low, high } = estimate;
    let over = match bound {
        Bound::Lower => low.is_some_and(|low| low > limit.saturating_add(tolerance(subject, limit))),
        Bound::Figure => figure > limit,
        Bound::Upper => high.is_none_or(|high| high > limit),
    };
    let why = match bound {
        _ if over && excuse.is_some() => excuse,
        Bound::Upper if over && high.is_none() => {
            return (Outcome::Over, Some("too few samples to show that it is within".to_owned()));
        }
        _ if over => return (Outcome::Over, None),
        _ if figure > limit && low.is_none() => Some("too few samples to be sure".to_owned()),
        _ if figure > limit => Some("not surely over it".to_owned()),
        _ if subject.warns_below() && figure > limit - near(limit) => Some("just within it".to_owned()),
        _ => return (Outcome::Within, None),
    };
    (Outcome::Near, why)
}

/// By how much a figure may be over its limit for reasons that its samples don't show.
fn tolerance(subject: Subject, limit: u64) -> u64 {
    if subject.unit() == Unit::Ns { near(limit) } else { 0 }
}

fn near(limit: u64) -> u64 {
    u64::try_from(u128::from(limit) * u128::from(NEAR_PERMILLE) / 1000).unwrap_or(limit)
}

fn is_wall(subject: Subject) -> bool {
    subject.unit() == Unit::Ns && subject != Subject::Cpu
}

fn estimate(subject: Subject, samples: &CaseSamples, profile: &CaseProfile) -> io::Result<Option<Estimate>> {
    let column = |column| samples.column::<u64>(column);
    let own = Derived { samples, columns: &OWN_WALL, of: own_wall };
    let wall = |percentile| column(Column::WallNs).map_or(Ok(None), |seen| Estimate::of(percentile, &seen, &own));
    let count = |name| column(name).map_or(Ok(None), |counts| Estimate::of_count(&counts));
    match subject {
        Subject::P50 => wall(Percentile::P50),
        Subject::P90 => wall(Percentile::P90),
        Subject::P95 => wall(Percentile::P95),
        Subject::P99 => wall(Percentile::P99),
        Subject::Max => {
            let Some(longest) = samples.max(Column::WallNs)? else { return Ok(None) };
            let mut low = None;
            own.visit(&mut |times| low = low.max(times.iter().copied().max()))?;
            Ok(Some(Estimate { figure: longest, low, high: Some(longest) }))
        }
        Subject::Cpu => column(Column::CpuNs).map_or(Ok(None), |times| Estimate::of(Percentile::P50, &times, &times)),
        Subject::PeakMemory => Ok(profile.peak_memory_bytes().map(Estimate::exact)),
        Subject::PeakHeap => {
            let measured = column(Column::PeakHeapBytes).is_some();
            let Some(peak) = samples.max(Column::PeakHeapBytes)?.filter(|_| measured) else { return Ok(None) };
            let threads = samples.max(Column::PeakThreads)?.unwrap_or(1);
            let error = HEAP_ERROR_BYTES.saturating_mul(threads.saturating_sub(1));
            let (low, high) = (peak.saturating_sub(error), peak.saturating_add(error));
            Ok(Some(Estimate { figure: peak, low: Some(low), high: Some(high) }))
        }
        Subject::Allocations => count(Column::Allocations),
        Subject::Allocated => count(Column::AllocatedBytes),
        Subject::Instructions => Ok(profile.instructions.map(Estimate::exact)),
    }
}

/// What [`own_wall`] looks at.
const OWN_WALL: [Column; 4] = [Column::WallNs, Column::CpuNs, Column::RunQueueDelayNs, Column::VoluntarySwitches];

/// The wall-clock time without what the executing thread waited for a CPU, which is no less than the CPU time
/// of one that never waited for anything else. Where the job's own threads have run at the same time, they may
/// be what it waited for.
fn own_wall(sample: &Sample) -> u64 {
    let Sample { wall_ns, cpu_ns, run_queue_delay_ns, voluntary_switches, .. } = *sample;
    let in_parallel = cpu_ns.is_some_and(|cpu| cpu > wall_ns + wall_ns / 10);
    let own = wall_ns.saturating_sub(run_queue_delay_ns.filter(|_| !in_parallel).unwrap_or(0));
    let used = cpu_ns.filter(|_| voluntary_switches == Some(0)).unwrap_or(0);
    own.max(used.min(wall_ns))
}

/// Why wall-clock times show other programs, though the executing thread's own waiting is taken from them:
/// it may have waited for threads or processes that had to wait for a CPU themselves.
fn disturbance(samples: &CaseSamples, profile: &CaseProfile) -> io::Result<Option<String>> {
    let Some(noise) = profile.noise.as_ref().filter(|noise| noise.grade == Grade::Noisy) else { return Ok(None) };
    let alone = |sample: &Sample| {
        sample.run_queue_delay_ns.is_some() && (sample.peak_threads == Some(1) || sample.voluntary_switches == Some(0))
    };
    let columns = [Column::RunQueueDelayNs, Column::PeakThreads, Column::VoluntarySwitches];
    let all = samples.all(&columns, alone)?;
    Ok((!all).then(|| format!("the machine was noisy: {}", noise.why.join("; "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Circumstances, MachineShare, Params};

    const MS: u64 = 1_000_000;

    fn sample(wall_ns: u64) -> Sample {
        Sample {
            wall_ns,
            cpu_ns: Some(wall_ns),
            run_queue_delay_ns: Some(0),
            voluntary_switches: Some(0),
            involuntary_switches: Some(0),
            peak_threads: Some(1),
            peak_rss_bytes: Some(4 << 20),
            peak_heap_bytes: Some(1 << 20),
            allocations: Some(100),
            allocated_bytes: Some(2000),
            ..Sample::default()
        }
    }

    /// Ten samples from 50.0 to 50.9 ms.
    fn samples() -> Vec<Sample> {
        (0..10).map(|step| sample(50 * MS + step * MS / 10)).collect()
    }

    fn judge_in(
        subject: Subject,
        limit: u64,
        samples: &[Sample],
        machine: Option<MachineShare>,
        bound: Bound,
    ) -> Judgement {
        let circumstances = Circumstances { machine, ..Circumstances::default() };
        let profile = CaseProfile::of(Params::new(), samples, &circumstances).expect("samples");
        Judgement::of(Budget { subject, limit }, &samples.into(), &profile, bound).expect("they are in memory")
    }

    fn judge(subject: Subject, limit: u64, samples: &[Sample]) -> Judgement {
        judge_in(subject, limit, samples, None, Bound::Lower)
    }

    fn outcome(subject: Subject, limit: u64, samples: &[Sample]) -> Outcome {
        judge(subject, limit, samples).outcome
    }

    #[test]
    fn a_time_is_over_where_its_lower_end_is() {
        // The lower end of the median of ten is the second, of the 95th percentile the eighth.
        let samples = samples();
        let median = judge(Subject::P50, 47 * MS, &samples);
        assert_eq!((median.outcome, median.figure, median.low), (Outcome::Over, Some(50_400_000), Some(50_100_000)));
        assert_eq!(outcome(Subject::P50, 48 * MS, &samples), Outcome::Near, "by less than 5%");
        let tail = judge(Subject::P95, 48 * MS, &samples);
        assert_eq!((tail.outcome, tail.low, tail.high), (Outcome::Over, Some(50_700_000), None));
        let unsure = judge(Subject::P95, 48_500_000, &samples);
        assert_eq!((unsure.outcome, unsure.why.as_deref()), (Outcome::Near, Some("not surely over it")));
        assert_eq!(outcome(Subject::P95, 52 * MS, &samples), Outcome::Near, "just within");
        assert_eq!(outcome(Subject::P95, 54 * MS, &samples), Outcome::Within);
        assert_eq!(outcome(Subject::Max, 48_400_000, &samples), Outcome::Over);
        assert_eq!(outcome(Subject::Max, 48_500_000, &samples), Outcome::Near);
        assert_eq!(outcome(Subject::Cpu, 47 * MS, &samples), Outcome::Over);
    }

    #[test]
    fn few_samples_show_nothing_about_the_median_and_something_about_the_tail() {
        let few = &samples()[..3];
        let median = judge(Subject::P50, 40 * MS, few);
        assert_eq!((median.outcome, median.why.as_deref()), (Outcome::Near, Some("too few samples to be sure")));
        assert_eq!(outcome(Subject::P95, 40 * MS, few), Outcome::Over);
    }

    #[test]
    fn the_bound_can_be_stricter() {
        let samples = samples();
        let with = |bound, limit| judge_in(Subject::P50, limit, &samples, None, bound).outcome;
        assert_eq!(with(Bound::Figure, 50_300_000), Outcome::Over);
        assert_eq!(with(Bound::Figure, 50_400_000), Outcome::Near);
        assert_eq!(with(Bound::Upper, 50_700_000), Outcome::Over);
        assert_eq!(with(Bound::Upper, 54 * MS), Outcome::Within);
        let unknown = judge_in(Subject::P95, 54 * MS, &samples, None, Bound::Upper);
        assert_eq!(unknown.outcome, Outcome::Over, "ten samples don't say what the 95th percentile is at most");
        assert!(unknown.why.is_some_and(|why| why.starts_with("too few samples")));
    }

    #[test]
    fn waiting_for_a_cpu_is_not_the_jobs_own() {
        let waited = |sample: &Sample| Sample {
            wall_ns: sample.wall_ns + 40 * MS,
            run_queue_delay_ns: Some(40 * MS),
            involuntary_switches: Some(10),
            ..*sample
        };
        let loaded: Vec<Sample> = samples().iter().map(waited).collect();
        assert_eq!(outcome(Subject::P95, 52 * MS, &loaded), Outcome::Near);
        assert_eq!(outcome(Subject::P95, 45 * MS, &loaded), Outcome::Over, "it takes 50 ms on a free machine");
        assert_eq!(outcome(Subject::Max, 52 * MS, &loaded), Outcome::Near);
        assert_eq!(outcome(Subject::Max, 45 * MS, &loaded), Outcome::Over);
    }

    #[test]
    fn a_job_that_never_waited_took_its_cpu_time() {
        // The thread was sent away right after the execution.
        let misread =
            Sample { wall_ns: 90 * MS, cpu_ns: Some(50 * MS), run_queue_delay_ns: Some(90 * MS), ..sample(0) };
        assert_eq!(outcome(Subject::P50, 45 * MS, &[misread; 10]), Outcome::Over);
        assert_eq!(outcome(Subject::P50, 51 * MS, &[misread; 10]), Outcome::Near);
    }

    #[test]
    fn a_jobs_own_threads_are_its_own() {
        let parallel = Sample {
            cpu_ns: Some(100 * MS),
            run_queue_delay_ns: Some(30 * MS),
            peak_threads: Some(4),
            ..sample(50 * MS)
        };
        assert_eq!(outcome(Subject::P95, 45 * MS, &[parallel; 10]), Outcome::Over);
    }

    #[test]
    fn a_job_that_waits_for_its_threads_is_excused_on_a_noisy_machine() {
        let crowded = MachineShare { stolen_permille: 0, idle_permille: 0, others_permille: 500 };
        let waits = Sample { peak_threads: Some(3), voluntary_switches: Some(4), ..sample(50 * MS) };
        let judge = |sample: Sample, machine| judge_in(Subject::P95, 45 * MS, &[sample; 10], machine, Bound::Lower);
        let excused = judge(waits, Some(crowded));
        assert_eq!(excused.outcome, Outcome::Near);
        assert!(excused.why.is_some_and(|why| why.contains("other programs used 50.0%")));
        assert_eq!(judge(waits, None).outcome, Outcome::Over);
        let never_waits = Sample { voluntary_switches: Some(0), ..waits };
        assert_eq!(judge(never_waits, Some(crowded)).outcome, Outcome::Over, "whatever its runtime's threads did");
        assert_eq!(judge(sample(50 * MS), Some(crowded)).outcome, Outcome::Over);
    }

    #[test]
    fn counts_that_repeat_are_exact() {
        let samples = samples();
        assert_eq!(outcome(Subject::Allocations, 99, &samples[..1]), Outcome::Over);
        assert_eq!(outcome(Subject::Allocations, 100, &samples), Outcome::Within);
        assert_eq!(outcome(Subject::Allocated, 1999, &samples), Outcome::Over);
        let mut uneven = samples;
        uneven[0].allocations = Some(90);
        assert_eq!(outcome(Subject::Allocations, 99, &uneven), Outcome::Over);
        uneven[1].allocations = Some(90);
        assert_eq!(outcome(Subject::Allocations, 99, &uneven), Outcome::Near);
    }

    #[test]
    fn peaks_are_seen_or_not() {
        let mut samples = samples();
        assert_eq!(outcome(Subject::PeakMemory, (4 << 20) - 1, &samples), Outcome::Over);
        assert_eq!(outcome(Subject::PeakMemory, 4 << 20, &samples), Outcome::Near);
        assert_eq!(outcome(Subject::PeakMemory, 8 << 20, &samples), Outcome::Within);
        assert_eq!(outcome(Subject::PeakHeap, (1 << 20) - 1, &samples), Outcome::Over);
        samples[0].peak_threads = Some(2);
        let unsure = judge(Subject::PeakHeap, (1 << 20) - 1, &samples);
        assert_eq!((unsure.outcome, unsure.low), (Outcome::Near, Some((1 << 20) - (64 << 10))));
    }

    #[test]
    fn without_a_figure_there_is_no_verdict() {
        let samples = samples();
        let instructions = judge(Subject::Instructions, 1, &samples);
        assert_eq!((instructions.outcome, instructions.figure), (Outcome::NotJudged, None));
        assert!(instructions.why.is_some_and(|why| why.contains("--instructions")));
        assert_eq!(outcome(Subject::Cpu, 1, &[Sample { cpu_ns: None, ..samples[0] }]), Outcome::NotJudged);
        let mut profile = CaseProfile::of(Params::new(), &samples, &Circumstances::default()).expect("samples");
        profile.instructions = Some(1001);
        let budget = Budget { subject: Subject::Instructions, limit: 1000 };
        let judgement = Judgement::of(budget, &samples.into(), &profile, Bound::Lower).expect("they are in memory");
        assert_eq!(judgement.outcome, Outcome::Over);
    }

    #[test]
    fn what_a_fresh_worker_does_not_show_is_not_over() {
        let samples = samples();
        let over = judge(Subject::P95, 45 * MS, &samples);
        assert!(over.is_worth_repeating());
        assert_eq!(over.clone().confirmed_by(&over).outcome, Outcome::Over);
        let quicker: Vec<Sample> =
            samples.iter().map(|sample| Sample { wall_ns: sample.wall_ns - 10 * MS, ..*sample }).collect();
        let second = judge(Subject::P95, 45 * MS, &quicker);
        let both = over.confirmed_by(&second);
        assert_eq!((both.outcome, both.low), (Outcome::Near, second.low));
        assert!(!judge(Subject::Allocations, 99, &samples).is_worth_repeating());
    }

    #[test]
    fn a_judgement_survives_json() {
        let judgement = judge(Subject::PeakMemory, 1, &samples());
        let json = serde_json::to_value(&judgement).expect("serialises");
        let expected = serde_json::json!({
            "budget": "peak_memory", "unit": "bytes", "limit": 1, "figure": 4_194_304, "low": 4_194_304,
            "high": 4_194_304, "outcome": "over"
        });
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_value::<Judgement>(json).expect("valid"), judgement);
        assert_eq!(serde_json::to_value(Subject::PeakHeap).expect("serialises"), Subject::PeakHeap.name());
    }
}
