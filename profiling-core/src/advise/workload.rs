//! The work of every execution of a case, be they as many as they may.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;

use super::cost::{Billed, BilledTimes};
use super::demand::Work;
use super::rank;
use crate::sample::Column;
use crate::samples::{CaseSamples, Derived};
use crate::statistics::select::ranked;
use crate::statistics::values::{Mapped, Values, key_of_positive};

/// The work of so many executions is kept in memory; that of more is read again whenever it is asked for.
const FEW: usize = 1 << 13;
/// What a [`Work`] is made of.
const COLUMNS: [Column; 3] = [Column::WallNs, Column::CpuNs, Column::RunQueueDelayNs];

/// The work of every execution; one at least.
#[derive(Debug)]
pub(super) struct Workload<'a> {
    executions: Executions<'a>,
    /// Whether it is that of samples; it is made up from a summary otherwise.
    is_sampled: bool,
    /// The most CPUs that an execution would use at once.
    parallelism: f64,
    /// What is known already of durations, by the bits of the number of CPUs.
    known: RefCell<HashMap<u64, Spread>>,
    /// What is known already of bills, where it takes long to find out.
    bills: RefCell<Vec<(Billed, BilledTimes)>>,
    /// Why samples could not be read, if they couldn't.
    error: RefCell<Option<io::Error>>,
}

#[derive(Debug)]
enum Executions<'a> {
    Few(Vec<Work>),
    /// Few that differ, with how many there are of each: clocks have steps, of which a short execution takes few.
    Alike {
        each: Vec<(Work, usize)>,
        count: usize,
    },
    /// All of them with CPU time.
    Many(&'a CaseSamples),
}

/// How a time is spread over the executions, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spread {
    pub(super) median: f64,
    /// The upper end of p99's interval, where the samples support one.
    pub(super) upper: Option<f64>,
    pub(super) longest: f64,
}

impl<'a> Workload<'a> {
    /// That of samples; `None` where there are none, or CPU time was not measured.
    pub(super) fn of(samples: &'a CaseSamples) -> io::Result<Option<Self>> {
        if samples.is_empty() || samples.column::<u64>(Column::CpuNs).is_none() {
            return Ok(None);
        }
        let executions = Executions::of(samples)?;
        let mut parallelism: f64 = 1.0;
        executions.visit(&mut |work, _| parallelism = parallelism.max(work.parallelism()))?;
        Ok(Some(Self { parallelism, is_sampled: true, ..Self::new(executions) }))
    }

    /// That of executions which are made up.
    pub(super) fn made_up(works: Vec<Work>) -> Self {
        Self { parallelism: f64::INFINITY, ..Self::new(Executions::Few(works)) }
    }

    fn new(executions: Executions<'a>) -> Self {
        let (known, bills, error) = (RefCell::default(), RefCell::default(), RefCell::default());
        Self { executions, is_sampled: false, parallelism: 1.0, known, bills, error }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.executions.count()
    }

    /// What is billed of an execution, in the mean; what can't be read, [`take_error`](Self::take_error) says.
    pub(super) fn billed(&self, billed: Billed) -> Option<BilledTimes> {
        // With more CPUs than it uses, nothing gets faster.
        let billed = Billed { vcpu: billed.vcpu.min(self.parallelism), ..billed };
        let known = self.bills.borrow().iter().find(|(known, _)| *known == billed).map(|(_, times)| *times);
        known.or_else(|| {
            let mut sum = BilledTimes::default();
            self.noted(self.executions.visit(&mut |work, times| billed.add(work, times, &mut sum)))?;
            let times = sum.mean(self.len() as f64);
            if let Executions::Many(_) = self.executions {
                self.bills.borrow_mut().push((billed, times));
            }
            Some(times)
        })
    }

    /// The durations with so many CPUs.
    pub(super) fn durations(&self, vcpu: f64) -> Option<Spread> {
        // With more than it uses, nothing gets faster.
        let vcpu = vcpu.min(self.parallelism);
        let known = self.known.borrow().get(&vcpu.to_bits()).copied();
        known.or_else(|| {
            let spread = self.noted(self.spread(|work| work.duration_ns(vcpu)))?;
            self.known.borrow_mut().insert(vcpu.to_bits(), spread);
            Some(spread)
        })
    }

    /// The CPU times.
    pub(super) fn cpu_times(&self) -> Option<Spread> {
        self.noted(self.spread(|work| work.cpu_ns))
    }

    /// How a time that is made of the work is spread.
    pub(super) fn spread(&self, time: impl Fn(Work) -> f64) -> io::Result<Spread> {
        let count = self.len();
        let upper = if self.is_sampled { rank::upper(count, 0.99) } else { None };
        let ranks: Vec<usize> = [count.div_ceil(2), count].into_iter().chain(upper).map(|rank| rank - 1).collect();
        let key = |work| key_of_positive(time(work));
        let found = match &self.executions {
            Executions::Few(works) => ranked(&Mapped { values: &works.as_slice(), map: key }, &ranks)?,
            Executions::Alike { each, .. } => {
                let mut keys: Vec<(u64, usize)> = each.iter().map(|&(work, times)| (key(work), times)).collect();
                keys.sort_unstable();
                ranks.iter().map(|&rank| at_rank(&keys, rank)).collect()
            }
            Executions::Many(samples) => ranked(&Mapped { values: &works_of(samples), map: key }, &ranks)?,
        };
        let found: Vec<f64> = found.into_iter().map(f64::from_bits).collect();
        Ok(Spread { median: found[0], longest: found[1], upper: found.get(2).copied() })
    }

    /// Why what was asked for could not be read.
    pub(super) fn take_error(&self) -> Option<io::Error> {
        self.error.take()
    }

    fn noted<T>(&self, result: io::Result<T>) -> Option<T> {
        result.map_err(|error| self.error.borrow_mut().get_or_insert(error).kind()).ok()
    }
}

impl<'a> Executions<'a> {
    fn of(samples: &'a CaseSamples) -> io::Result<Self> {
        if samples.len() <= FEW {
            return Ok(Self::Few(works_of(samples).collect()?));
        }
        let mut alike: HashMap<[u64; 3], (Work, usize)> = HashMap::new();
        works_of(samples).visit(&mut |works| {
            for work in works {
                if alike.len() <= FEW {
                    alike.entry(work.bits()).or_insert((*work, 0)).1 += 1;
                }
            }
        })?;
        if alike.len() > FEW {
            return Ok(Self::Many(samples));
        }
        let mut each: Vec<(Work, usize)> = alike.into_values().collect();
        // So that sums of them are the same to the last bit, whenever they are made.
        each.sort_unstable_by_key(|(work, _)| work.bits());
        Ok(Self::Alike { each, count: samples.len() })
    }

    fn count(&self) -> usize {
        match self {
            Self::Few(works) => works.len(),
            Self::Alike { count, .. } => *count,
            Self::Many(samples) => samples.len(),
        }
    }

    /// Each work, with how many times it is there.
    fn visit(&self, visit: &mut dyn FnMut(Work, f64)) -> io::Result<()> {
        match self {
            Self::Few(works) => works.iter().for_each(|&work| visit(work, 1.0)),
            Self::Alike { each, .. } => each.iter().for_each(|&(work, times)| visit(work, times as f64)),
            Self::Many(samples) => {
                return works_of(samples).visit(&mut |works| works.iter().for_each(|&work| visit(work, 1.0)));
            }
        }
        Ok(())
    }
}

fn works_of(samples: &CaseSamples) -> impl Values<Work> + '_ {
    Derived { samples, columns: &COLUMNS, of: Work::of }
}

/// The key at a rank, of keys in order with how many times each is there.
fn at_rank(keys: &[(u64, usize)], rank: usize) -> u64 {
    let mut before = 0;
    let found = keys.iter().find(|(_, times)| {
        before += times;
        before > rank
    });
    found.or(keys.last()).map_or(0, |(key, _)| *key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    fn sample(wall_ns: u64) -> Sample {
        Sample { wall_ns, cpu_ns: Some(wall_ns), ..Sample::default() }
    }

    fn spread(samples: &CaseSamples) -> [u64; 3] {
        let work = Workload::of(samples).expect("readable").expect("with CPU time");
        let Spread { median, upper, longest } = work.durations(0.5).expect("readable");
        [median, upper.expect("there are many"), longest].map(f64::to_bits)
    }

    #[test]
    fn those_that_are_alike_are_counted() {
        let many: Vec<Sample> = (0..30_000).map(|number| sample(40 + 10 * (number % 7))).collect();
        let samples = CaseSamples::from(many.as_slice());
        let work = Workload::of(&samples).expect("readable").expect("with CPU time");
        assert!(matches!(&work.executions, Executions::Alike { each, count: 30_000 } if each.len() == 7));
        assert_eq!(spread(&samples), [140.0_f64, 200.0, 200.0].map(f64::to_bits), "twice 70 and 100");
        let differing: Vec<Sample> = (0..30_000).map(sample).collect();
        let differing = CaseSamples::from(differing.as_slice());
        let work = Workload::of(&differing).expect("readable").expect("with CPU time");
        assert!(matches!(work.executions, Executions::Many(_)));
        assert_eq!(spread(&differing)[2], 59_998.0_f64.to_bits());
    }

    #[test]
    fn a_rank_is_found_among_those_that_are_counted() {
        let keys = [(3, 2), (5, 1), (9, 4)];
        let all: Vec<u64> = (0..7).map(|rank| at_rank(&keys, rank)).collect();
        assert_eq!(all, [3, 3, 5, 9, 9, 9, 9]);
    }
}
