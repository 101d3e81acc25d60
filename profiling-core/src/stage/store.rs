//! What has been recorded: a distribution per figure of each stage under each parent. One static, without
//! the heap, and without memory until it is used.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::cpu::LONG;
use super::lane::ABSENT;
use crate::breakdown::{Breakdown, PayloadProfile, StageProfile};
use crate::measure::ticks;
use crate::statistics::Distribution;

/// Names that have room; 0 stands for none.
pub(super) const NAMES: usize = 128;
/// Pairs of a stage and its parent that have room.
const NODES: usize = 128;
/// Names of payloads that have room.
const PAYLOADS: usize = 32;

/// One call of a stage. What was not measured is [`ABSENT`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    /// The execution that it is part of.
    pub(super) epoch: u32,
    pub(super) name: u8,
    pub(super) parent: u8,
    /// In ticks.
    pub(super) wall: u64,
    /// In ticks; of a future alone.
    pub(super) busy: u64,
    pub(super) cpu_ns: u64,
    pub(super) allocated: u64,
}

/// All zeros at the beginning: a static that has no place in the program's file.
pub(crate) struct Store {
    /// The execution whose calls are taken.
    pub(super) epoch: u32,
    used: usize,
    /// How far `payloads` is in use: what is beyond is best left untouched, and so without memory.
    payloads_used: usize,
    /// By parent and name, one more than the index into `nodes`.
    index: [[u8; NAMES]; NAMES],
    nodes: [Node; NODES],
    payloads: [Payload; PAYLOADS],
    /// Beside what [`NOT_RECORDED`] counts.
    calls_not_recorded: u64,
    payloads_not_recorded: u64,
}

/// A stage under one parent.
struct Node {
    name: u8,
    parent: u8,
    wall: Distribution,
    busy: Distribution,
    /// Of the short calls, those whose CPU time was read stand for all.
    short_cpu_ns: Distribution,
    /// Of the others, all have it read that can.
    long_cpu_ns: Distribution,
    long_calls: u64,
    allocated: Distribution,
}

struct Payload {
    name: Option<&'static str>,
    bytes: Distribution,
}

static STORE: Mutex<Store> = Mutex::new(Store::new());
/// Apart from the store, so that a name can be asked for while it is locked.
static NAMED: Mutex<[Option<&'static str>; NAMES]> = Mutex::new([None; NAMES]);
/// Calls of stages whose name had no room.
pub(super) static NOT_RECORDED: AtomicU64 = AtomicU64::new(0);

/// Does `work`, which must not allocate, with the store to itself.
pub(crate) fn with<R>(work: impl FnOnce(&mut Store) -> R) -> R {
    work(&mut lock(&STORE))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of a name; `None` where there is no room for another one.
pub(super) fn number_of(name: &'static str) -> Option<u8> {
    let mut names = lock(&NAMED);
    let place = (1..NAMES).find(|&number| names[number].is_none_or(|known| known == name))?;
    names[place] = Some(name);
    u8::try_from(place).ok()
}

impl Record {
    /// The ticks in which the call may have used the CPU: of a future, those that it was polled in.
    #[inline]
    pub(super) fn used(&self) -> u64 {
        if self.busy == ABSENT { self.wall } else { self.busy }
    }

    /// Everything but the figures in one word.
    #[inline]
    pub(super) fn key(&self) -> u64 {
        u64::from(self.epoch) << 16 | u64::from(self.name) << 8 | u64::from(self.parent)
    }

    #[expect(clippy::cast_possible_truncation, reason = "takes the parts out again")]
    pub(super) fn of(key: u64, wall: u64, busy: u64, cpu_ns: u64, allocated: u64) -> Self {
        Self { epoch: (key >> 16) as u32, name: (key >> 8) as u8, parent: key as u8, wall, busy, cpu_ns, allocated }
    }
}

impl Store {
    #[expect(clippy::large_stack_arrays, reason = "evaluated by the compiler alone, for a static")]
    const fn new() -> Self {
        Self {
            epoch: 0,
            used: 0,
            payloads_used: 0,
            index: [[0; NAMES]; NAMES],
            nodes: [const { Node::new() }; NODES],
            payloads: [const { Payload { name: None, bytes: Distribution::new() } }; PAYLOADS],
            calls_not_recorded: 0,
            payloads_not_recorded: 0,
        }
    }

    pub(super) fn add(&mut self, record: &Record) {
        if record.epoch != self.epoch {
            return;
        }
        match self.node(record.parent, record.name) {
            Some(node) => node.add(record),
            None => self.calls_not_recorded += 1,
        }
    }

    fn node(&mut self, parent: u8, name: u8) -> Option<&mut Node> {
        let index = &mut self.index[usize::from(parent) % NAMES][usize::from(name) % NAMES];
        if *index == 0 {
            let node = self.nodes.get_mut(self.used)?;
            (node.name, node.parent) = (name, parent);
            self.used += 1;
            *index = u8::try_from(self.used).ok()?;
        }
        self.nodes.get_mut(usize::from(*index) - 1)
    }

    /// Records the size of a payload, while an execution is under way.
    pub(crate) fn add_payload(&mut self, name: &'static str, bytes: u64) {
        let known = self.payloads[..self.payloads_used].iter().position(|payload| payload.name == Some(name));
        let index = known.unwrap_or(self.payloads_used);
        let Some(payload) = self.payloads.get_mut(index) else {
            self.payloads_not_recorded += 1;
            return;
        };
        self.payloads_used = self.payloads_used.max(index + 1);
        payload.name = Some(name);
        payload.bytes.add(bytes);
    }

    /// Forgets everything but the execution under way.
    pub(super) fn clear(&mut self) {
        for node in &mut self.nodes[..self.used] {
            self.index[usize::from(node.parent) % NAMES][usize::from(node.name) % NAMES] = 0;
            node.clear();
        }
        for payload in &mut self.payloads[..self.payloads_used] {
            payload.name = None;
            payload.bytes.clear();
        }
        self.payloads_used = 0;
        (self.used, self.calls_not_recorded, self.payloads_not_recorded) = (0, 0, 0);
        NOT_RECORDED.store(0, Relaxed);
    }

    /// Everything that was recorded since it was last cleared.
    pub(super) fn breakdown(&self) -> Breakdown {
        let count = |count: u64| (count > 0).then_some(count);
        let unit = if self.used > 0 { ticks::nanoseconds_per_tick() } else { 1.0 };
        let names = *lock(&NAMED);
        let payloads = self.payloads[..self.payloads_used].iter().filter_map(Payload::profile);
        Breakdown {
            stages: self.nodes[..self.used].iter().filter_map(|node| node.profile(&names, unit)).collect(),
            stage_calls_not_recorded: count(self.calls_not_recorded + NOT_RECORDED.load(Relaxed)),
            payloads: payloads.collect(),
            payloads_not_recorded: count(self.payloads_not_recorded),
            runtime: None,
        }
    }
}

impl Node {
    const fn new() -> Self {
        const EMPTY: Distribution = Distribution::new();
        Self {
            name: 0,
            parent: 0,
            wall: EMPTY,
            busy: EMPTY,
            short_cpu_ns: EMPTY,
            long_cpu_ns: EMPTY,
            long_calls: 0,
            allocated: EMPTY,
        }
    }

    #[inline]
    fn add(&mut self, record: &Record) {
        let is_long = record.used() >= LONG;
        self.long_calls += u64::from(is_long);
        let cpu_ns = if is_long { &mut self.long_cpu_ns } else { &mut self.short_cpu_ns };
        self.wall.add(record.wall);
        for (figure, distribution) in
            [(record.busy, &mut self.busy), (record.cpu_ns, cpu_ns), (record.allocated, &mut self.allocated)]
        {
            if figure != ABSENT {
                distribution.add(figure);
            }
        }
    }

    fn clear(&mut self) {
        self.long_calls = 0;
        [&mut self.wall, &mut self.busy, &mut self.short_cpu_ns, &mut self.long_cpu_ns, &mut self.allocated]
            .into_iter()
            .for_each(Distribution::clear);
    }

    fn profile(&self, names: &[Option<&'static str>; NAMES], unit: f64) -> Option<StageProfile> {
        let name = |number: u8| names[usize::from(number) % NAMES].map(str::to_owned);
        let calls = self.wall.count();
        let cpu = [(&self.short_cpu_ns, calls - self.long_calls), (&self.long_cpu_ns, self.long_calls)];
        // Without any long one, the short ones don't tell what calls cost.
        let is_told = self.long_calls == 0 || self.long_cpu_ns.count() > 0;
        let cpu_calls = cpu.iter().map(|(read, _)| read.count()).sum();
        Some(StageProfile {
            name: name(self.name)?,
            parent: name(self.parent),
            calls,
            wall_ns: self.wall.summary(unit)?,
            busy_ns: self.busy.summary(unit),
            cpu_ns: Distribution::summary_of_strata(&cpu).filter(|_| is_told),
            cpu_calls: Some(cpu_calls).filter(|&count| count > 0 && is_told),
            // What some of the calls could not count, the others don't tell.
            allocated_bytes: self.allocated.summary(1.0).filter(|_| self.allocated.count() == calls),
        })
    }
}

impl Payload {
    fn profile(&self) -> Option<PayloadProfile> {
        let bytes = self.bytes.summary(1.0)?;
        Some(PayloadProfile { name: self.name?.to_owned(), count: self.bytes.count(), bytes })
    }
}
