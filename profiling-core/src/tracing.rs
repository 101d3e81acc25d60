//! Spans of `tracing` as stages.
//!
//! With [`install`], every span that a job opens is a stage of the span's name: its parent is the
//! enclosing stage or span, its wall time runs from the first time that it is entered until it is last
//! left, and it is busy while it is entered. Events are ignored.
//!
//! `profiling-test-harness` does so in every worker where its feature `tracing` is on. A subscriber that a
//! job installs with `set_global_default` or `init` is refused from then on; one that it sets for a scope
//! (`with_default`) takes its place there.
//!
//! 1,024 spans can be open at once, 64 be entered on a thread; any further ones are counted in
//! `stage_calls_not_recorded`.

use std::cell::{Cell, RefCell};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing_core::span::{Attributes, Id, Record};
use tracing_core::subscriber::{Interest, Subscriber};
use tracing_core::{Dispatch, Event, Metadata, dispatcher};

use crate::stage::{Call, Inside, Until};

/// Spans that can be open at once.
const SPANS: usize = 1024;
/// Spans that can be entered on a thread at once.
const DEPTH: usize = 64;
/// The id of all spans that are not recorded.
const NOT_RECORDED: u64 = u64::MAX;

/// Turns spans into stages. One may be installed with [`install`], or set for a scope with
/// `tracing::subscriber::with_default`.
///
/// ```
/// use profiling_core::stage::Recording;
/// use profiling_core::tracing::StageSubscriber;
///
/// let recording = Recording::begin();
/// tracing::subscriber::with_default(StageSubscriber, || {
///     let _outer = tracing::info_span!("outer").entered();
///     tracing::info_span!("inner").in_scope(|| {});
/// });
/// let stages = recording.end().stages;
/// assert_eq!((stages[0].name.as_str(), stages[0].parent.as_deref()), ("inner", Some("outer")));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct StageSubscriber;

/// Makes a [`StageSubscriber`] the process's own, unless it has a subscriber. Returns whether it did.
///
/// ```
/// assert!(profiling_core::tracing::install());
/// assert!(!profiling_core::tracing::install(), "there is one now");
/// ```
#[expect(clippy::must_use_candidate, reason = "whichever subscriber there is, is one")]
pub fn install() -> bool {
    dispatcher::set_global_default(Dispatch::new(StageSubscriber)).is_ok()
}

/// A span that is open, or a place for one.
struct Span {
    open: AtomicBool,
    handles: AtomicU32,
    call: Mutex<Call>,
}

static POOL: [Span; SPANS] = [const { Span::vacant() }; SPANS];

impl Span {
    const fn vacant() -> Self {
        Self { open: AtomicBool::new(false), handles: AtomicU32::new(0), call: Mutex::new(Call::IDLE) }
    }

    /// Opens a span, if there is a place for it.
    fn open(call: Call) -> Option<Id> {
        let vacant = |span: &Self| span.open.compare_exchange(false, true, Acquire, Relaxed).is_ok();
        let index = POOL.iter().position(vacant)?;
        POOL[index].handles.store(1, Relaxed);
        *POOL[index].call() = call;
        Some(Id::from_u64(index as u64 + 1))
    }

    fn of(id: &Id) -> Option<&'static Self> {
        POOL.get(usize::try_from(id.into_u64()).ok()? - 1)
    }

    fn call(&self) -> MutexGuard<'_, Call> {
        self.call.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The spans that are entered on a thread, innermost last.
struct Entered {
    count: Cell<usize>,
    spans: RefCell<[Option<(u64, Inside)>; DEPTH]>,
}

thread_local! {
    static ENTERED: Entered = const { Entered { count: Cell::new(0), spans: RefCell::new([None; DEPTH]) } };
}

impl Entered {
    fn push(&self, id: &Id, inside: Inside) -> bool {
        let count = self.count.get();
        let mut spans = self.spans.borrow_mut();
        let Some(place) = spans.get_mut(count) else { return false };
        *place = Some((id.into_u64(), inside));
        self.count.set(count + 1);
        true
    }

    /// Takes a span off, which is mostly but not always the innermost.
    fn take(&self, id: &Id) -> Option<Inside> {
        let count = self.count.get();
        let mut spans = self.spans.borrow_mut();
        let index = spans[..count].iter().rposition(|span| span.is_some_and(|(other, _)| other == id.into_u64()))?;
        let (_, inside) = spans[index]?;
        spans.copy_within(index + 1..count, index);
        self.count.set(count - 1);
        Some(inside)
    }
}

impl Subscriber for StageSubscriber {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.is_span() { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span()
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut call = Call::of(attributes.metadata().name());
        if !attributes.is_contextual() {
            let parent = attributes.parent().and_then(Span::of).map(|parent| *parent.call());
            call = call.within(parent.as_ref());
        }
        let opened = if call.is_recorded() { Span::open(call) } else { None };
        opened.unwrap_or_else(|| {
            if call.is_recorded() {
                Call::not_recorded();
            }
            Id::from_u64(NOT_RECORDED)
        })
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, id: &Id) {
        let Some(span) = Span::of(id) else { return };
        let mut call = span.call();
        if let Some(inside) = call.enter()
            && !ENTERED.try_with(|entered| entered.push(id, inside)).unwrap_or(false)
        {
            call.leave(&inside);
        }
    }

    fn exit(&self, id: &Id) {
        let Some(span) = Span::of(id) else { return };
        if let Ok(Some(inside)) = ENTERED.try_with(|entered| entered.take(id)) {
            span.call().leave(&inside);
        }
    }

    fn clone_span(&self, id: &Id) -> Id {
        if let Some(span) = Span::of(id) {
            span.handles.fetch_add(1, Relaxed);
        }
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let Some(span) = Span::of(&id) else { return false };
        if span.handles.fetch_sub(1, AcqRel) > 1 {
            return false;
        }
        span.call().finish(Until::Left);
        span.open.store(false, Release);
        true
    }
}
