//! Executes jobs in this process: warm-up, samples, failures.

use std::any::Any;
use std::cell::Cell;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::pin;
use std::sync::Once;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::runtime::RuntimeMetrics;

use crate::breakdown::Breakdown;
use crate::job::{Around, Case, Entry, Execution, Failure, Moment, Observer, Outcome, Runtime};
use crate::measure::boundary::Boundary;
use crate::measure::leftovers::Leftovers;
use crate::measure::{Meter, allocator, threads};
use crate::profile::{CaseProfile, Circumstances, Params};
use crate::runtime_metrics::{RuntimeWatch, polled};
use crate::sample::Sample;
use crate::stage::recorder;
use crate::tangle::{JobProfile, ProfilingError};

/// Executes one case again and again, and measures each execution.
#[derive(Debug)]
pub struct CaseRunner {
    entry: Entry,
    around: Around,
    runtime: Option<tokio::runtime::Runtime>,
    execution: Execution,
    /// Of an async job's runtime.
    watch: Option<Box<RuntimeWatch>>,
    /// What the execution before retained.
    retained: i64,
}

impl CaseRunner {
    /// Makes everything that stays the same over all executions: the meter, the runtime of an async
    /// job with its threads started and idle.
    pub fn new(case: Case) -> io::Result<Self> {
        Self::with_meter(case, 0, Meter::new())
    }

    /// The same with another number for the first execution, and a meter of the caller's choice, made
    /// before the runtime's threads are.
    pub fn with_meter(case: Case, number: u64, meter: Meter) -> io::Result<Self> {
        record_panics();
        let runtime = match case.job.entry {
            Entry::Sync(_) => None,
            Entry::Async { runtime, .. } => Some(start_runtime(runtime)?),
        };
        recorder::prepare();
        recorder::clear();
        let watch = runtime.as_ref().map(|runtime| RuntimeWatch::new(runtime.handle()));
        let execution = Execution::new(number, case.levels(), meter);
        let (entry, around) = (case.job.entry, case.job.around);
        Ok(Self { entry, around, runtime, execution, watch, retained: 0 })
    }

    /// Makes the values of the job's `fixture`, where it has one and they are not there: as the first execution
    /// would, but apart from it.
    ///
    /// # Errors
    ///
    /// Where that returned `Err` or panicked.
    pub fn prepare(&mut self) -> Result<(), Failure> {
        if !self.around.fixture || self.execution.fixture_mut().is_kept() {
            return Ok(());
        }
        self.execution.fixture_mut().want();
        self.call(&mut 0)
    }

    /// Drops the values of the job's `fixture`, for async jobs on their runtime, before the process ends. A panic
    /// of theirs ends here: whatever was measured is true without them.
    pub fn release(&mut self) {
        let fixture = std::mem::take(self.execution.fixture_mut());
        // The panic's message was printed by the hook.
        let _ = catch_unwind(AssertUnwindSafe(|| match &self.runtime {
            Some(runtime) => runtime.block_on(async { drop(fixture) }),
            None => drop(fixture),
        }));
    }

    /// The next execution: builds the inputs, measures the call, verifies, drops inputs and output.
    /// Where the job leaves processes running, waits for them up to a second.
    pub fn execute(&mut self) -> Result<Sample, Failure> {
        self.execute_noting(&mut || ())
    }

    /// Like [`execute`](Self::execute), and calls `on_wait` once the execution has ended and processes
    /// are to be waited for.
    pub fn execute_noting(&mut self, on_wait: &mut dyn FnMut()) -> Result<Sample, Failure> {
        self.prepare()?;
        self.watch.iter_mut().for_each(|watch| watch.begin());
        self.execution.boundary_mut().iter_mut().for_each(Boundary::begin);
        let live_before = allocator::live_bytes();
        let mut polled_ns = 0;
        let ended = self.call(&mut polled_ns);
        recorder::close();
        self.execution.set_number(self.execution.number() + 1);
        let sample = if ended.is_ok() { self.execution.meter().take(on_wait) } else { None };
        self.execution.meter().abandon();
        ended?;
        let mut sample = sample.ok_or_else(|| Failure("the job was not measured".to_owned()))?;
        sample.retained_heap_bytes = live_before.and_then(|before| {
            let own = self.execution.boundary_mut().as_ref().map_or(0, Boundary::own_bytes);
            let left = self.retained_since(before + own)?;
            Some(self.execution.boundary_mut().as_mut().map_or(left, |boundary| boundary.retained(left)))
        });
        let looked_ns = self.execution.boundary_mut().as_ref().map_or(0, Boundary::own_ns);
        self.watch.iter_mut().for_each(|watch| watch.end(polled_ns.saturating_sub(looked_ns)));
        Ok(sample)
    }

    fn call(&mut self, polled_ns: &mut u64) -> Outcome {
        PANICKED_AT.take();
        let (entry, runtime, execution) = (self.entry, self.runtime.as_ref(), &mut self.execution);
        let ended = catch_unwind(AssertUnwindSafe(|| match (entry, runtime) {
            (Entry::Async { start, .. }, Some(runtime)) => runtime.block_on(polled(start(execution), polled_ns)),
            (Entry::Async { .. }, None) => unreachable!("an async job is given its runtime by `new`"),
            (Entry::Sync(call), _) => call(execution),
        }));
        ended.unwrap_or_else(|payload| Err(panic_failure(payload.as_ref())))
    }

    fn metrics(&self) -> Option<RuntimeMetrics> {
        self.runtime.as_ref().map(tokio::runtime::Runtime::metrics)
    }

    /// What counts the tasks that are alive in the job's runtime; none where it has no runtime.
    pub fn alive_tasks(&self) -> impl Fn() -> usize + 'static {
        let metrics = self.metrics();
        move || metrics.as_ref().map_or(0, RuntimeMetrics::num_alive_tasks)
    }

    /// Calls `observer` right before and right after each call of the job, outside of the measured window.
    pub fn observe(&mut self, observer: impl FnMut(Moment) + 'static) {
        self.execution.observe(Observer(Box::new(observer)));
    }

    /// Looks at what there is before anything of the user's runs, so that [`left`](Self::left) can tell what came
    /// later.
    pub fn look_around(&mut self) {
        *self.execution.boundary_mut() = Some(Boundary::new(self.around, self.metrics()));
    }

    /// What the executions have left behind since [`look_around`](Self::look_around); nothing without it. Lets the
    /// job's runtime finish what it has begun.
    #[must_use]
    pub fn left(&mut self) -> Leftovers {
        let Self { runtime, execution, .. } = self;
        let Some(boundary) = execution.boundary_mut() else { return Leftovers::default() };
        boundary.left(&mut |pause| match runtime {
            Some(runtime) => runtime.block_on(async { tokio::time::sleep(pause).await }),
            None => std::thread::sleep(pause),
        })
    }

    /// Forgets what was recorded inside of the executions so far, as they were warm-ups.
    pub fn forget(&mut self) {
        recorder::clear();
        self.watch.iter_mut().for_each(|watch| watch.clear());
        self.execution.boundary_mut().iter_mut().for_each(Boundary::forget);
    }

    /// What was recorded inside of the executions since [`forget`](Self::forget), or since the beginning.
    #[must_use]
    pub fn breakdown(&self) -> Breakdown {
        Breakdown { runtime: self.watch.as_ref().and_then(|watch| watch.profile()), ..recorder::breakdown() }
    }

    /// How many bytes more are live than before. A thread that has told the job that it is done may
    /// still have something to free, so that anything unusual is looked at again for a while.
    fn retained_since(&mut self, before: i64) -> Option<i64> {
        const LONGEST: Duration = Duration::from_millis(5);
        let begin = Instant::now();
        loop {
            let retained = allocator::live_bytes()? - before;
            if retained <= 0 || retained == self.retained || begin.elapsed() >= LONGEST {
                self.retained = retained;
                return Some(retained);
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for CaseRunner {
    fn drop(&mut self) {
        self.release();
        // What is left of the runtime must not be measured with the next job; but a blocking task that
        // this job left behind must not hold up the end.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_millis(50));
        }
    }
}

fn start_runtime(runtime: Runtime) -> io::Result<tokio::runtime::Runtime> {
    let mut builder = match runtime {
        Runtime::CurrentThread => tokio::runtime::Builder::new_current_thread(),
        Runtime::MultiThread { .. } => tokio::runtime::Builder::new_multi_thread(),
    };
    if let Runtime::MultiThread { worker_threads: Some(threads) } = runtime {
        builder.worker_threads(threads);
    }
    let others = threads::ids();
    let runtime = builder.enable_all().on_thread_start(recorder::prepare_thread).build()?;
    await_idle_workers(&runtime, &others);
    // The first call allocates what the runtime keeps for this thread.
    runtime.block_on(async {});
    Ok(runtime)
}

/// Waits until every worker thread of the runtime has parked once, so that what threads do as they
/// start is not measured as part of the first execution. `others` are not the runtime's.
fn await_idle_workers(runtime: &tokio::runtime::Runtime, others: &[u32]) {
    const LONGEST: Duration = Duration::from_millis(250);
    /// Most threads are there before a sleep would be over, which takes a tenth of a millisecond at least.
    const SOON: Duration = Duration::from_micros(200);
    let metrics = runtime.metrics();
    if matches!(runtime.handle().runtime_flavor(), tokio::runtime::RuntimeFlavor::CurrentThread) {
        return;
    }
    let begin = Instant::now();
    let wait_while = |condition: &dyn Fn() -> bool| {
        while condition() && begin.elapsed() < LONGEST {
            if begin.elapsed() < SOON {
                std::thread::yield_now();
            } else {
                std::thread::sleep(Duration::from_micros(50));
            }
        }
    };
    for worker in 0..metrics.num_workers() {
        wait_while(&|| metrics.worker_park_count(worker) == 0);
    }
    // A worker is counted as parked a little before it rests.
    for thread in threads::ids().into_iter().filter(|thread| !others.contains(thread)) {
        wait_while(&|| threads::sleeps(thread) == Some(false));
    }
}

thread_local! {
    /// Where this thread panicked last.
    static PANICKED_AT: Cell<Option<Place>> = const { Cell::new(None) };
}

/// A place in the source as text, cut to fit. Kept without the heap: a job that catches its own panics
/// is measured while this is written.
#[derive(Clone, Copy)]
struct Place {
    text: [u8; 256],
    length: usize,
}

impl Place {
    fn of(location: &Location<'_>) -> Self {
        let mut place = Self { text: [0; 256], length: 0 };
        // The end of a path that doesn't fit is missing.
        let _ = write!(place, "{location}");
        place
    }
}

impl fmt::Write for Place {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.text[self.length..];
        let length = text.len().min(room.len());
        room[..length].copy_from_slice(&text.as_bytes()[..length]);
        self.length += length;
        Ok(())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text[..self.length]))
    }
}

/// Remembers the place of each panic, which the payload doesn't have, and lets the hook that was
/// there before print it.
fn record_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICKED_AT.set(info.location().map(Place::of));
            previous(info);
        }));
    });
}

fn panic_failure(payload: &(dyn Any + Send)) -> Failure {
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a payload that is not a string");
    match PANICKED_AT.take() {
        Some(place) => Failure(format!("panicked at {place}: {message}")),
        None => Failure(format!("panicked: {message}")),
    }
}

/// How [`ProfileRunner::profile_job`] profiles.
#[derive(Debug, Clone)]
pub struct ProfileConfig {
    /// Measured executions; 1 or more.
    pub sample_size: u32,
    /// Executions that run first and don't count.
    pub warmup_runs: u32,
    /// The longest that one execution may take.
    pub max_execution_time: Duration,
}

impl Default for ProfileConfig {
    /// 10 samples, 2 warm-ups, 300 s.
    fn default() -> Self {
        Self { sample_size: 10, warmup_runs: 2, max_execution_time: Duration::from_secs(300) }
    }
}

/// What one execution cost, in the reference crate's three figures. [`Sample`] has them all.
#[derive(Debug, Clone)]
pub struct ResourceMeasurement {
    /// Wall-clock time.
    pub duration: Duration,
    /// The most memory that was resident; the most that was live on the heap where resident memory
    /// can't be read.
    pub peak_memory_bytes: u64,
    /// CPU time of all threads, user and system, in microseconds.
    pub cpu_time_us: u64,
}

impl ResourceMeasurement {
    /// The three figures of a sample; `None` where one of them was not measured.
    #[must_use]
    pub fn of(sample: &Sample) -> Option<Self> {
        Some(Self {
            duration: Duration::from_nanos(sample.wall_ns),
            peak_memory_bytes: sample.peak_rss_bytes.or(sample.peak_heap_bytes)?,
            cpu_time_us: sample.cpu_ns?.div_ceil(1_000),
        })
    }
}

/// Profiles async closures in this process, without attribute or harness.
#[derive(Debug)]
pub struct ProfileRunner;

impl ProfileRunner {
    /// Executes a job `warmup_runs + sample_size` times and summarises what it cost.
    ///
    /// Must be awaited on a tokio runtime with its timer enabled. The whole process is measured:
    /// nothing else should run in it meanwhile. Where the job leaves processes running, this waits for
    /// them up to a second, and their CPU time is the job's. A job that blocks its thread can't be interrupted
    /// from here; it is found to have been too late once it returns. The harness, which runs jobs in
    /// processes of their own, ends them at the deadline.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), profiling_core::ProfilingError> {
    /// use profiling_core::{ProfileConfig, ProfileRunner};
    ///
    /// let config = ProfileConfig { sample_size: 5, ..ProfileConfig::default() };
    /// let profile = ProfileRunner::profile_job(|| async { Ok(()) }, config).await?;
    /// assert_eq!(profile.sample_size, 5);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ProfilingError::InvalidConfiguration`] for no samples, or where the platform can tell
    /// neither resident memory nor the heap; [`ProfilingError::ExecutionFailed`] for an execution,
    /// warm-ups included, that returned `Err`, panicked or took longer than allowed.
    pub async fn profile_job<F, Fut>(job_fn: F, config: ProfileConfig) -> Result<JobProfile, ProfilingError>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<(), Box<dyn Error + Send + Sync>>>,
    {
        if config.sample_size == 0 {
            return Err(ProfilingError::InvalidConfiguration("sample_size must be greater than 0".to_owned()));
        }
        record_panics();
        let mut meter = Meter::new();
        for number in 0..config.warmup_runs {
            measure(&mut meter, &job_fn, config.max_execution_time, number).await?;
        }
        let mut samples = Vec::with_capacity(config.sample_size as usize);
        for number in 0..config.sample_size {
            samples.push(measure(&mut meter, &job_fn, config.max_execution_time, config.warmup_runs + number).await?);
        }
        summarise(&samples)
    }
}

async fn measure<F, Fut>(
    meter: &mut Meter,
    job_fn: &F,
    longest: Duration,
    number: u32,
) -> Result<Sample, ProfilingError>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<(), Box<dyn Error + Send + Sync>>>,
{
    let failed = |reason: String| ProfilingError::ExecutionFailed(format!("execution {number}: {reason}"));
    let too_late = || failed(format!("took longer than {longest:?}"));
    let outcome = {
        let mut execution = pin!(async {
            meter.start();
            let outcome = job_fn().await;
            meter.stop();
            outcome
        });
        PANICKED_AT.take();
        let guarded = poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| execution.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(payload) => Poll::Ready(Err(panic_failure(payload.as_ref()))),
        });
        tokio::time::timeout(longest, guarded).await
    };
    let outcome = outcome.map_err(|_| too_late())?.map_err(|failure| failed(failure.to_string()))?;
    outcome.map_err(|error| failed(error.to_string()))?;
    match meter.take(&mut || ()) {
        Some(sample) if u128::from(sample.wall_ns) <= longest.as_nanos() => Ok(sample),
        // A blocking job returns `Ok` however late it is.
        Some(_) => Err(too_late()),
        None => Err(failed("the job was not measured".to_owned())),
    }
}

fn summarise(samples: &[Sample]) -> Result<JobProfile, ProfilingError> {
    CaseProfile::of(Params::new(), samples, &Circumstances::default())
        .and_then(|case| JobProfile::of(&[case], false, false))
        .ok_or_else(|| {
            ProfilingError::InvalidConfiguration(
                "peak memory can't be measured here: the platform doesn't tell resident memory. Count the heap: \
                 `#[global_allocator] static ALLOCATOR: profiling_core::CountingAllocator = \
                 profiling_core::CountingAllocator::system();`"
                    .to_owned(),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_kept_without_the_heap_as_far_as_it_fits() {
        let location = Location::caller();
        assert_eq!(Place::of(location).to_string(), location.to_string());
        let mut place = Place::of(location);
        let text = "é".repeat(200);
        write!(place, "{text}").expect("it is cut");
        let text = format!("{location}{text}");
        let kept = place.to_string();
        assert!(text.starts_with(kept.trim_end_matches(char::REPLACEMENT_CHARACTER)), "{kept}");
        assert_eq!(place.length, 256);
    }
}
