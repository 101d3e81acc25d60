//! What a job is: everything that `#[profile_job]` knows of the function it stands on.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

pub use crate::around::Around;
use crate::budget::Budget;
use crate::fixture::{Fixture, Unmade};
use crate::measure::boundary::Boundary;
use crate::measure::retention::Inputs;
use crate::measure::{Meter, markers};
use crate::sampling::Samples;
use crate::stage::recorder;

/// An annotated function, as registered by `#[profile_job]`.
///
/// Lives in a static of the annotated crate; [`registry::jobs`](crate::registry::jobs) finds them all.
#[derive(Debug)]
pub struct JobDescriptor {
    /// The name under which the job is listed and stored; unique in the binary.
    pub name: &'static str,
    /// The job's index in the blueprint; unique in the binary where given.
    pub id: Option<u32>,
    /// The function's path, such as `my_blueprint::jobs::square`.
    pub function: &'static str,
    /// Where the attribute stands.
    pub source: SourceLocation,
    /// Measured executions per case; [`SAMPLES`](Self::SAMPLES) where nobody says.
    pub samples: Option<Samples>,
    /// Executions per case that run first and don't count; [`WARMUP`](Self::WARMUP) where nobody says.
    pub warmup: Option<u32>,
    /// The longest that one execution may take; [`TIMEOUT`](Self::TIMEOUT) where nobody says.
    pub timeout: Option<Duration>,
    /// The parameters, in the order of the attribute; empty for a job with a single case.
    pub params: &'static [Param],
    /// One row per case: the index into each parameter's values.
    pub cases: &'static [&'static [usize]],
    /// Declared by the author to keep state between executions.
    pub stateful: bool,
    /// Declared by the author to need connections that outlive an execution.
    pub persistent_connections: bool,
    /// Runs only with `--ignored` or `--include-ignored`.
    pub ignore: bool,
    /// Processes that are started to measure the cold start, the one that measures the samples included;
    /// 1 or more; [`COLD_SAMPLES`](Self::COLD_SAMPLES) where nobody says.
    pub cold_samples: Option<u32>,
    /// What has a process of its own.
    pub isolation: Isolation,
    /// What an execution may cost.
    pub budgets: &'static [Budget],
    /// The platforms that the job is to run on, by their ids in the catalogue of platforms.
    pub targets: &'static [&'static str],
    /// The attribute's own code around the function.
    pub around: Around,
    /// How to execute the job.
    pub entry: Entry,
}

/// What has a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Every case.
    Case,
    /// Every sample, with its warm-ups.
    Sample,
}

/// A place in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceLocation {
    /// The file, relative to where the compiler ran (`file!()`).
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
}

/// One parameter of a job and the values that it takes.
#[derive(Debug)]
pub struct Param {
    /// The name by which `setup` and `args` refer to it.
    pub name: &'static str,
    /// Its values, in the order of the attribute.
    pub values: &'static [ParamValue],
}

/// One value of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamValue {
    /// An integer; the macro keeps it within `i64::MIN..=u64::MAX`.
    Integer(i128),
    /// A string.
    Text(&'static str),
}

impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

/// How a job is executed.
#[derive(Debug, Clone, Copy)]
pub enum Entry {
    /// Executes on the calling thread and returns when the job has.
    Sync(fn(&mut Execution) -> Outcome),
    /// Makes the future of one execution, to be awaited on the given runtime.
    Async {
        /// The runtime that the job asks for.
        runtime: Runtime,
        /// Makes the future; nothing of the job has run when it returns.
        start: for<'a> fn(&'a mut Execution) -> ExecutionFuture<'a>,
    },
}

/// The future of one execution of an async job.
pub type ExecutionFuture<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// The tokio runtime of an async job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// tokio's current-thread runtime.
    CurrentThread,
    /// tokio's multi-thread runtime.
    MultiThread {
        /// Its worker threads; `None` is tokio's default, one per logical CPU.
        worker_threads: Option<usize>,
    },
}

/// How an execution ended, short of a panic.
pub type Outcome = Result<(), Failure>;

/// Why an execution failed, in one line or more for a person to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// When an observer is called, outside of the measured window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The inputs are built, and the job is called next.
    Call,
    /// The job has returned just now.
    Return,
}

/// Whoever wants to look around, right before and right after each call of the job.
pub(crate) struct Observer(pub(crate) Box<dyn FnMut(Moment)>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

/// One execution of a case, as the generated code sees it.
#[derive(Debug)]
pub struct Execution {
    number: u64,
    levels: &'static [usize],
    meter: Meter,
    fixture: Fixture,
    observer: Option<Observer>,
    /// Where it is asked what an execution leaves behind.
    boundary: Option<Boundary>,
}

impl Execution {
    pub(crate) fn new(number: u64, levels: &'static [usize], meter: Meter) -> Self {
        Self { number, levels, meter, fixture: Fixture::default(), observer: None, boundary: None }
    }

    pub(crate) fn boundary_mut(&mut self) -> &mut Option<Boundary> {
        &mut self.boundary
    }

    pub(crate) fn fixture_mut(&mut self) -> &mut Fixture {
        &mut self.fixture
    }

    pub(crate) fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }

    pub(crate) fn observe(&mut self, observer: Observer) {
        self.observer = Some(observer);
    }

    pub(crate) fn set_number(&mut self, number: u64) {
        self.number = number;
    }

    /// The execution's number from 0, warm-ups included.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The index of this case's value of the parameter at `position`.
    #[must_use]
    pub fn level(&self, position: usize) -> usize {
        self.levels[position]
    }

    /// The values of `fixture`, for one execution. Where they are to be made, there is none: they are made and
    /// kept.
    ///
    /// # Errors
    ///
    /// What to return at once: how making them has ended.
    pub fn fixture<T: 'static>(&mut self, make: impl FnOnce() -> Result<T, Unmade>) -> Result<T, Outcome> {
        if self.fixture.is_wanted() { Err(self.made(make())) } else { self.lent() }
    }

    /// The same of an async job.
    ///
    /// # Errors
    ///
    /// As above.
    pub async fn awaited_fixture<T: 'static>(
        &mut self,
        make: impl Future<Output = Result<T, Unmade>>,
    ) -> Result<T, Outcome> {
        if self.fixture.is_wanted() { Err(self.made(make.await)) } else { self.lent() }
    }

    fn made<T: 'static>(&mut self, values: Result<T, Unmade>) -> Outcome {
        self.keep(values.map_err(|unmade| Failure(unmade.into_reason()))?);
        Ok(())
    }

    fn lent<T: 'static>(&mut self) -> Result<T, Outcome> {
        self.fixture.lend().ok_or_else(|| Err(Failure("the fixture was not made".to_owned())))
    }

    /// Keeps the values of `fixture` for the next execution.
    pub fn keep<T: 'static>(&mut self, values: T) {
        self.fixture.keep(values);
    }

    /// Notes what a call can do with its inputs. `shared`: `setup` has made them, or there is code that comes after.
    /// `changeable`: they are lent for being changed.
    pub fn inputs<T>(&mut self, _inputs: &T, shared: bool, changeable: bool) {
        let inputs = match (changeable || std::mem::needs_drop::<T>(), shared) {
            (false, _) => Inputs::Lent,
            (true, false) => Inputs::Given,
            (true, true) => Inputs::Shared,
        };
        if let Some(boundary) = &mut self.boundary {
            boundary.note_inputs(inputs);
        }
    }

    /// Drops what the call has returned, once nobody wants to see it any more.
    pub fn drop_output<T>(&mut self, output: T) {
        match &mut self.boundary {
            Some(boundary) => boundary.drop_output(output),
            None => drop(output),
        }
    }

    /// Opens the measured window. The last thing it does is read the clock.
    #[inline]
    pub fn start(&mut self) {
        if let Some(boundary) = &mut self.boundary {
            boundary.open();
        }
        if let Some(Observer(observe)) = &mut self.observer {
            observe(Moment::Call);
        }
        recorder::open();
        markers::profiling_execution_begins(&mut self.meter);
    }

    /// Closes the measured window. The first thing it does is read the clock.
    #[inline]
    pub fn stop(&mut self) {
        markers::profiling_execution_ends(&mut self.meter);
        recorder::close();
        if let Some(boundary) = &mut self.boundary {
            boundary.close(self.meter.kept_heap_bytes());
        }
        if let Some(Observer(observe)) = &mut self.observer {
            observe(Moment::Return);
        }
    }
}

impl JobDescriptor {
    /// A job with a single case that does nothing, and of which nothing is said: for tests, which change what they
    /// are about.
    #[doc(hidden)]
    pub const PLAIN: Self = Self {
        name: "job",
        id: None,
        function: "tests::job",
        source: SourceLocation { file: "src/lib.rs", line: 1 },
        samples: None,
        warmup: None,
        timeout: None,
        params: &[],
        cases: &[&[]],
        stateful: false,
        persistent_connections: false,
        ignore: false,
        cold_samples: None,
        isolation: Isolation::Case,
        budgets: &[],
        targets: &[],
        around: Around { fixture: false, before: false, after: false },
        entry: Entry::Sync(|_| Ok(())),
    };

    /// Measured executions per case, by default.
    pub const SAMPLES: Samples = Samples::Count(10);
    /// Executions per case that run first and don't count, by default.
    pub const WARMUP: u32 = 2;
    /// The longest that one execution may take, by default.
    pub const TIMEOUT: Duration = Duration::from_secs(300);
    /// Processes that are started to measure the cold start, by default.
    pub const COLD_SAMPLES: u32 = 1;

    /// The job's cases, in the order of the attribute.
    #[must_use]
    pub fn cases(&'static self) -> impl ExactSizeIterator<Item = Case> {
        (0..self.cases.len()).map(move |index| Case { job: self, index })
    }
}

/// A job with one combination of its parameters.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The job.
    pub job: &'static JobDescriptor,
    /// The case's index in [`JobDescriptor::cases`].
    pub index: usize,
}

impl Case {
    /// The indices into each parameter's values.
    #[must_use]
    pub fn levels(&self) -> &'static [usize] {
        self.job.cases[self.index]
    }

    /// The parameters' names with this case's values.
    pub fn params(&self) -> impl Iterator<Item = (&'static str, ParamValue)> {
        self.job.params.iter().zip(self.levels()).map(|(param, &level)| (param.name, param.values[level]))
    }

    /// `n=10,k=2`; empty for a job without parameters.
    #[must_use]
    pub fn label(&self) -> String {
        let params: Vec<String> = self.params().map(|(name, value)| format!("{name}={value}")).collect();
        params.join(",")
    }

    /// What a filter matches: `square`, or `sort/n=10,k=2` for a job with parameters.
    #[must_use]
    pub fn path(&self) -> String {
        if self.job.params.is_empty() {
            self.job.name.to_owned()
        } else {
            format!("{}/{}", self.job.name, self.label())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "sort";

    const fn descriptor(params: &'static [Param], cases: &'static [&'static [usize]]) -> JobDescriptor {
        JobDescriptor { name: NAME, function: "tests::sort", params, cases, ..JobDescriptor::PLAIN }
    }

    #[test]
    fn cases_are_named_by_their_values() {
        static JOB: JobDescriptor = descriptor(
            &[
                Param { name: "n", values: &[ParamValue::Integer(-1), ParamValue::Integer(u64::MAX as i128)] },
                Param { name: "kind", values: &[ParamValue::Text("a b"), ParamValue::Text("")] },
            ],
            &[&[0, 0], &[1, 0], &[1, 1]],
        );
        let paths: Vec<String> = JOB.cases().map(|case| case.path()).collect();
        assert_eq!(
            paths,
            ["sort/n=-1,kind=a b", "sort/n=18446744073709551615,kind=a b", "sort/n=18446744073709551615,kind="]
        );
        let third = JOB.cases().nth(2).expect("three cases");
        assert_eq!(third.label(), "n=18446744073709551615,kind=");
        assert_eq!(third.levels(), [1, 1]);
        let params: Vec<_> = third.params().collect();
        assert_eq!(params, [("n", ParamValue::Integer(u64::MAX.into())), ("kind", ParamValue::Text(""))]);
    }

    #[test]
    fn a_job_without_params_has_one_case_with_its_own_name() {
        static JOB: JobDescriptor = descriptor(&[], &[&[]]);
        let cases: Vec<Case> = JOB.cases().collect();
        assert_eq!(cases.len(), 1);
        assert_eq!((cases[0].path().as_str(), cases[0].label().as_str()), (NAME, ""));
    }

    #[test]
    fn an_execution_knows_its_number_and_its_levels() {
        let mut execution = Execution::new(0, &[3, 1], Meter::new());
        execution.set_number(7);
        assert_eq!((execution.number(), execution.level(0), execution.level(1)), (7, 3, 1));
    }
}
