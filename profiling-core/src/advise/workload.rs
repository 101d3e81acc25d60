//! The work of every execution of a case, be they as many as they may.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;

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
    /// Why samples could not be read, if they couldn't.
    error: RefCell<Option<io::Error>>,
}

#[derive(Debug)]
enum Executions<'a> {
    Few(Vec<Work>),
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
        let many = Executions::Many(samples);
        let executions = if samples.len() > FEW { many } else { Executions::Few(many.values().collect()?) };
        let mut parallelism: f64 = 1.0;
        executions.values().visit(&mut |works| {
            parallelism = works.iter().map(|work| work.parallelism()).fold(parallelism, f64::max);
        })?;
        Ok(Some(Self { parallelism, is_sampled: true, ..Self::new(executions) }))
    }

    /// That of executions which are made up.
    pub(super) fn made_up(works: Vec<Work>) -> Self {
        Self { parallelism: f64::INFINITY, ..Self::new(Executions::Few(works)) }
    }

    fn new(executions: Executions<'a>) -> Self {
        let (known, error) = (RefCell::default(), RefCell::default());
        Self { executions, is_sampled: false, parallelism: 1.0, known, error }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.executions.values().count()
    }

    /// Goes through all of them; what can't be read, [`take_error`](Self::take_error) says.
    pub(super) fn each(&self, visit: &mut dyn FnMut(Work)) {
        let visited = self.executions.values().visit(&mut |works| works.iter().for_each(|&work| visit(work)));
        self.noted(visited);
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
        let values = self.executions.values();
        let times = Mapped { values: &*values, map: |work| key_of_positive(time(work)) };
        let upper = if self.is_sampled { rank::upper(count, 0.99) } else { None };
        let ranks: Vec<usize> = [count.div_ceil(2), count].into_iter().chain(upper).map(|rank| rank - 1).collect();
        let found: Vec<f64> = ranked(&times, &ranks)?.into_iter().map(f64::from_bits).collect();
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

impl Executions<'_> {
    fn values(&self) -> Box<dyn Values<Work> + '_> {
        match self {
            Self::Few(works) => Box::new(works.as_slice()),
            Self::Many(samples) => Box::new(Derived { samples, columns: &COLUMNS, of: Work::of }),
        }
    }
}
