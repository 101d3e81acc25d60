//! Stages where the feature `profiling` is on.

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::call::{Call, Inside, Reading, Until};
use super::cpu::LONG;
use super::lane::{self, ABSENT};
use super::recorder;
use super::store::{NOT_RECORDED, Record};
use crate::breakdown::Breakdown;

/// A place in the source where a stage is entered.
#[doc(hidden)]
#[derive(Debug)]
pub struct Site {
    name: &'static str,
    /// The name's number; [`UNKNOWN`](Self::UNKNOWN) until it is asked for, [`NO_ROOM`](Self::NO_ROOM)
    /// where there is none.
    number: AtomicU8,
}

impl Site {
    const UNKNOWN: u8 = 0;
    const NO_ROOM: u8 = u8::MAX;

    /// A place for a stage of that name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        super::check_name(name);
        Self { name, number: AtomicU8::new(Self::UNKNOWN) }
    }

    /// The name's number, if there is room for its calls.
    #[inline]
    fn number(&self) -> Option<u8> {
        match self.number.load(Relaxed) {
            Self::UNKNOWN | Self::NO_ROOM => self.ask(),
            number => Some(number),
        }
    }

    #[cold]
    #[inline(never)]
    fn ask(&self) -> Option<u8> {
        let number = recorder::number_of(self.name);
        if number.is_none() {
            NOT_RECORDED.fetch_add(1, Relaxed);
        }
        self.number.store(number.unwrap_or(Self::NO_ROOM), Relaxed);
        number
    }
}

/// A stage that is entered, until this is dropped. See [`stage!`](crate::stage!).
#[derive(Debug)]
#[must_use = "a stage is left when this is dropped: bind it, as in `let _stage = stage!(…);`"]
pub struct Stage {
    /// 0 where nothing is recorded.
    epoch: u32,
    name: u8,
    parent: u8,
    reading: Reading,
    /// Belongs to the thread that it was entered on.
    thread: PhantomData<*const ()>,
}

impl Stage {
    /// Enters a stage.
    #[doc(hidden)]
    #[inline]
    pub fn enter(site: &'static Site) -> Self {
        match recorder::epoch() {
            0 => Self::idle(),
            epoch => Self::enter_in(site, epoch),
        }
    }

    #[inline]
    fn idle() -> Self {
        Self { epoch: 0, name: 0, parent: 0, reading: Reading::NONE, thread: PhantomData }
    }

    #[inline(never)]
    fn enter_in(site: &'static Site, epoch: u32) -> Self {
        let Some(name) = site.number() else { return Self::idle() };
        let (parent, with_cpu) = lane::begin(name, epoch);
        Self { epoch, name, parent, reading: Reading::now(with_cpu), thread: PhantomData }
    }

    #[inline(never)]
    fn leave(&self) {
        let spent = self.reading.spent(LONG);
        if recorder::epoch() != self.epoch {
            return lane::leave(self.parent, self.epoch);
        }
        let Self { epoch, name, parent, .. } = *self;
        let (wall, cpu_ns, allocated) = (spent.ticks, spent.cpu_ns, spent.allocated);
        lane::finish(parent, &Record { epoch, name, parent, wall, busy: ABSENT, cpu_ns, allocated });
    }

    /// Makes the stage one of a future instead: entered whenever that is polled, left whenever it has to
    /// wait, whatever threads it moves between. Its parent stays the present one, where it is spawned too.
    ///
    /// ```
    /// use profiling_core::stage;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let fetched = tokio::spawn(stage!("fetch").instrument(async { 42 }));
    /// assert_eq!(fetched.await.expect("no panic"), 42);
    /// # }
    /// ```
    pub fn instrument<F: Future>(mut self, future: F) -> Instrumented<F> {
        let Self { epoch, name, parent, .. } = self;
        if epoch != 0 {
            if self.reading.has_cpu() {
                lane::take_back(parent, name, epoch);
            } else {
                lane::leave(parent, epoch);
            }
            self.epoch = 0;
        }
        Instrumented { call: Finishing(Call::new(epoch, name, parent)), future }
    }
}

impl Drop for Stage {
    #[inline]
    fn drop(&mut self) {
        if self.epoch != 0 {
            self.leave();
        }
    }
}

pin_project! {
    /// A future that is a stage. Made by [`Stage::instrument`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct Instrumented<F> {
        #[pin]
        future: F,
        call: Finishing,
    }
}

/// Records its call at the latest when it is dropped.
#[derive(Debug)]
struct Finishing(Call);

impl Drop for Finishing {
    fn drop(&mut self) {
        self.0.finish(Until::Now);
    }
}

/// Leaves a call when a poll is over, if by a panic.
struct Polling<'a> {
    call: &'a mut Call,
    inside: Option<Inside>,
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        if let Some(inside) = &self.inside {
            self.call.leave(inside);
        }
    }
}

impl<F: Future> Future for Instrumented<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let call = &mut this.call.0;
        let inside = call.enter();
        let polling = Polling { call, inside };
        let poll = this.future.poll(context);
        drop(polling);
        if poll.is_ready() {
            this.call.0.finish(Until::Left);
        }
        poll
    }
}

/// Records stages and payloads without a job: from [`begin`](Self::begin) to [`end`](Self::end), of the
/// whole process.
///
/// ```
/// use profiling_core::stage;
/// use profiling_core::stage::Recording;
///
/// let recording = Recording::begin();
/// for _ in 0..3 {
///     let _stage = stage!("work");
/// }
/// let breakdown = recording.end();
/// assert_eq!((breakdown.stages[0].name.as_str(), breakdown.stages[0].calls), ("work", 3));
/// ```
#[derive(Debug)]
pub struct Recording {
    _turn: MutexGuard<'static, ()>,
}

impl Recording {
    /// Begins to record. Waits until no other `Recording` does; must not be called while a job of this
    /// process is being measured.
    #[must_use = "it records until `end`"]
    pub fn begin() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        recorder::prepare();
        recorder::clear();
        recorder::open();
        Self { _turn: turn }
    }

    /// What was recorded.
    #[must_use]
    pub fn end(self) -> Breakdown {
        recorder::close();
        recorder::breakdown()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        recorder::close();
    }
}
