//! Events → columns. The call stacks are tracked as well, so that each chunk contains the state it
//! begins with.
//!
//! The drain calls one method per event. Most events are LINE and INSTRUCTION, which only add a
//! kind and a place; [`Chunker::plain`] adds many at once. Of such events, only those that make a
//! difference are applied to the stacks: the last one before the stack changes, the context changes
//! or the chunk ends.

mod derive;
mod events;
mod others;
mod patterns;

use super::clock::Clock;
use super::costs::Costs;
use super::exceptions::Exceptions;
use super::outlet::{Batch, LossDelta, Outlet, RawChunk};
use super::suspended::Suspended;
use super::totals::{FunctionTotal, Totals};
use dashcam_schema::EventKind;
use dashcam_schema::calls::{self, Calls, Exit, OpenCall, OpenException, Site};
use dashcam_schema::chunk::{Columns, Context, DIRECT_EVENTS, Run};
use dashcam_schema::loss::LossKind;
use dashcam_schema::record::Definition;
use derive::Derivation;
use rustc_hash::{FxHashMap, FxHashSet};

/// If the definitions of a chunk have more bytes than this, it is not filled any further.
const DEFINITION_BYTES_MAX: usize = 8 << 20;
const NONE: u32 = u32::MAX;
/// The longest time that the program's own clock stands still when more was charged for events than
/// they cost, in nanoseconds.
const OVERCHARGED_NS_MAX: u64 = 10_000_000;

/// The reason why a record is invalid.
pub(super) type Bad = &'static str;

pub(super) struct Chunker {
    columns: Columns,
    /// The number of events in `columns`, whose kinds and places are longer.
    len: usize,
    /// A chunk with this many events is full.
    limit: usize,
    first_seq: u64,
    /// Counts chunks, to tell entries of this chunk from those of earlier ones.
    chunk: u64,
    thread: u32,
    code: u32,
    /// Index of the event that began the current run.
    run_start: usize,
    /// Events before this index have been applied to the stacks.
    applied: usize,
    /// Index of a code object's context in this chunk, for the current thread.
    context_slots: Vec<Slot>,
    /// The stamp of valid slots: that of the current thread in the current chunk.
    stamp: u32,
    /// Indexes of the contexts of all threads in this chunk, by thread and code object.
    context_indexes: FxHashMap<(u32, u32), u32>,

    clock: Clock,
    ticks: u64,
    costs: Costs,
    /// Time of the last event on the program's own clock, which stands still while an event is
    /// recorded.
    last_ns: u64,
    /// Time of the last event on the system's clock.
    last_wall_ns: u64,

    /// The state for deriving events; `None` in a direct recording.
    derivation: Option<Box<Derivation>>,
    /// Times are rounded down to this power of two of nanoseconds.
    time_shift: u32,
    /// Times of the chunk's first event.
    first_event_ns: u64,
    first_wall_ns: u64,

    calls: Calls,
    watch: Watch,
    exceptions: Exceptions,

    /// `co_flags` of every code object.
    code_flags: Vec<u32>,
    threads: FxHashSet<u32>,
    callables: u32,
    exception_types: u32,
    /// One bit per event kind that has a name.
    kinds: u32,

    /// When the interpreter's definition was read.
    began_ns: Option<u64>,
    definitions: Vec<Definition>,
    definition_bytes: usize,
    outlet: Outlet,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    stamp: u32,
    index: u32,
}

/// Collects what the call stacks report.
#[derive(Default)]
struct Watch {
    totals: Totals,
    suspended: Suspended,
    losses: Vec<LossDelta>,
}

impl calls::Sink for Watch {
    #[inline(always)]
    fn call(&mut self, call: &OpenCall, _end_seq: u64, end_ns: u64, exit: Exit) {
        self.suspended.end(call);
        if exit == Exit::Open {
            return;
        }
        let inclusive = if call.recursive { 0 } else { end_ns.saturating_sub(call.start_ns) };
        let one = FunctionTotal {
            calls: 1,
            unwinds: matches!(exit, Exit::Unwind(_)).into(),
            total_ns: inclusive,
            self_ns: call.self_ns,
        };
        self.totals.add(call.code, &one);
    }

    fn exception(&mut self, _exception: &OpenException) {}

    fn desync(&mut self, seq: u64, calls: u64) {
        // At least one: the stack did not match the event even if no call had to be closed.
        LossDelta::add(&mut self.losses, LossKind::Desync, calls.max(1), seq, String::new());
    }
}

impl Chunker {
    pub(super) fn new(clock: Clock, outlet: Outlet, first_seq: u64, began_ns: u64) -> Chunker {
        let mut chunker = Chunker {
            columns: outlet.columns(),
            len: 0,
            limit: DIRECT_EVENTS,
            first_seq,
            chunk: 0,
            thread: NONE,
            code: NONE,
            run_start: 0,
            applied: 0,
            context_slots: Vec::new(),
            stamp: 0,
            context_indexes: FxHashMap::default(),
            clock,
            ticks: 0,
            costs: Costs::new(),
            last_ns: began_ns,
            last_wall_ns: began_ns,
            derivation: None,
            time_shift: 0,
            first_event_ns: 0,
            first_wall_ns: 0,
            calls: Calls::default(),
            watch: Watch::default(),
            exceptions: Exceptions::default(),
            code_flags: Vec::new(),
            threads: FxHashSet::default(),
            callables: 0,
            exception_types: 0,
            kinds: (1 << EventKind::KNOWN) - 1,
            began_ns: None,
            definitions: Vec::new(),
            definition_bytes: 0,
            outlet,
        };
        chunker.open(first_seq);
        chunker
    }

    // ---- Chunks

    #[inline(always)]
    pub(super) fn is_full(&self) -> bool {
        self.len >= self.limit
    }

    /// The position of the next event.
    pub(super) fn next_seq(&self) -> u64 {
        self.first_seq + self.len as u64
    }

    /// Whether there is anything that is not in the database yet.
    pub(super) fn has_news(&self) -> bool {
        self.len > 0 || !self.definitions.is_empty() || !self.watch.losses.is_empty()
    }

    fn open(&mut self, first_seq: u64) {
        self.first_seq = first_seq;
        (self.len, self.run_start, self.applied) = (0, 0, 0);
        self.chunk += 1;
        self.stamp += 1;
        self.context_indexes.clear();
        let columns = &mut self.columns;
        columns.first_ns = self.last_ns;
        (self.first_event_ns, self.first_wall_ns) = (self.last_ns, self.last_wall_ns);
        columns.state.stacks.clear();
        columns.state.stacks.extend(self.calls.stacks());
        for stack in &columns.state.stacks {
            for exception in stack.calls.iter().flat_map(|call| &call.exceptions) {
                self.exceptions.name(exception.exception);
            }
        }
        self.open_control();
    }

    /// Sends the chunk, its definitions, totals and losses to the encoder. Begins the next chunk.
    pub(super) fn seal(&mut self) {
        self.end_run();
        self.settle();
        let next_seq = self.next_seq();
        let chunk = (self.len > 0).then(|| {
            let mut columns = std::mem::replace(&mut self.columns, self.outlet.columns());
            columns.state.exceptions = self.exceptions.take_named();
            let form = self.form(columns);
            RawChunk {
                first_seq: self.first_seq,
                event_count: self.len as u64,
                first_ns: self.first_event_ns,
                last_ns: self.last_ns,
                first_wall_ns: self.first_wall_ns,
                last_wall_ns: self.last_wall_ns,
                form,
            }
        });
        self.definition_bytes = 0;
        let batch = Batch {
            definitions: std::mem::take(&mut self.definitions),
            began_ns: self.began_ns.take(),
            totals: if chunk.is_some() { self.watch.totals.take() } else { Vec::new() },
            chunk,
            losses: std::mem::take(&mut self.watch.losses),
            stored: None,
        };
        self.outlet.send(batch);
        self.open(next_seq);
    }

    /// Sends everything so far to the database. The other end of `stored` is notified once it is
    /// there.
    pub(super) fn flush(&mut self, stored: crossbeam_channel::Sender<()>) {
        self.seal();
        self.outlet.send(Batch { stored: Some(stored), ..Batch::default() });
    }

    /// Records a loss at the current position.
    pub(super) fn lose(&mut self, kind: LossKind, count: u64, detail: String) {
        let seq = self.next_seq();
        LossDelta::add(&mut self.watch.losses, kind, count, seq, detail);
    }

    // ---- Contexts

    /// Applies the last event to the stacks, if it has not been applied.
    fn settle(&mut self) {
        let (unsettled, calls, _) = self.unsettled();
        if let Some(site) = unsettled() {
            calls.at(site);
        }
        self.applied = self.len;
    }

    /// Returns a function for the last event if it has not been applied to the stacks, and the
    /// stacks with their sink. A caller of the function has to apply its result.
    #[inline(always)]
    fn unsettled(&mut self) -> (impl FnOnce() -> Option<Site>, &mut Calls, &mut Watch) {
        let Chunker { derivation, columns, len, applied, code, calls, watch, .. } = self;
        let (len, applied, code) = (*len, *applied, *code);
        let last = move || {
            if let Some(derivation) = derivation.as_mut().filter(|d| d.omits_derived()) {
                return derivation.take_unsettled();
            }
            let last = len.checked_sub(1).filter(|_| len > applied)?;
            Some(Site { code, kind: columns.kinds[last], place: columns.places[last] })
        };
        (last, calls, watch)
    }

    #[inline]
    fn end_run(&mut self) {
        if self.omits_derived() {
            return;
        }
        if self.len > self.run_start {
            self.settle();
            let events = (self.len - self.run_start) as u32;
            let slot = &mut self.context_slots[self.code as usize];
            if slot.stamp != self.stamp {
                let contexts = &mut self.columns.contexts;
                let (thread, code) = (self.thread, self.code);
                let index = *self.context_indexes.entry((thread, code)).or_insert_with(|| {
                    contexts.push(Context { thread, code });
                    contexts.len() as u32 - 1
                });
                *slot = Slot { stamp: self.stamp, index };
            }
            self.columns.runs.push(Run { events, context: slot.index });
            self.run_start = self.len;
        }
    }

    #[inline]
    pub(super) fn set_code(&mut self, code: u32) -> Result<(), Bad> {
        if code as usize >= self.code_flags.len() {
            return Err("an undefined code object");
        }
        self.end_run();
        self.code = code;
        Ok(())
    }

    pub(super) fn set_thread(&mut self, thread: u32) -> Result<(), Bad> {
        if !self.threads.contains(&thread) {
            return Err("an undefined thread");
        }
        self.end_run();
        self.settle();
        self.thread = thread;
        if let Some(derivation) = &mut self.derivation {
            derivation.set_thread(thread);
        }
        self.calls.set_thread(thread);
        self.stamp += 1;
        Ok(())
    }

    /// Whether events may come: their thread and code object are known.
    #[inline(always)]
    pub(super) fn has_context(&self) -> bool {
        self.code != NONE && self.thread != NONE
    }

    // ---- Time

    pub(super) fn set_ticks(&mut self, ticks: u64, source: crate::ring::Clock) {
        self.clock.set_source(source);
        self.ticks = ticks;
        if self.len == 0 {
            self.read_clock();
            self.columns.first_ns = self.last_ns;
            (self.first_event_ns, self.first_wall_ns) = (self.last_ns, self.last_wall_ns);
            if let Some(derivation) = &mut self.derivation {
                derivation.control.first_ns = self.last_ns;
            }
        }
    }

    pub(super) fn recalibrate(&mut self) {
        self.clock.recalibrate(self.ticks);
    }

    /// Charges the ticks that recording took before the next event.
    pub(super) fn spent(&mut self, ticks: u64) {
        self.costs.charge_ns(self.clock.span_ns(ticks));
    }

    /// Takes over a measurement: recording the last event took `ticks` ticks, which include
    /// `others` callbacks without an event before it.
    pub(super) fn measured(&mut self, ticks: u32, others: u32) {
        self.costs.measured(self.clock.span_ns(ticks.into()), others);
    }

    #[inline(always)]
    fn advance(&mut self, ticks: u32) {
        self.ticks += u64::from(ticks);
        let before = self.last_ns;
        self.read_clock();
        self.columns.times.push((self.last_ns - before) >> self.time_shift);
        if self.len == 0 {
            (self.first_event_ns, self.first_wall_ns) = (self.last_ns, self.last_wall_ns);
        }
    }

    /// Updates the times to the current ticks. If more was charged than the time that has passed,
    /// the excess stays charged: costs are means, and later events make up for it.
    #[inline(always)]
    fn read_clock(&mut self) {
        self.last_wall_ns = self.clock.ns(self.ticks).max(self.last_wall_ns);
        let own_ns = self.last_wall_ns.saturating_sub(self.costs.charged_ns());
        if own_ns >= self.last_ns {
            self.last_ns = own_ns >> self.time_shift << self.time_shift;
        } else if self.last_ns - own_ns > OVERCHARGED_NS_MAX {
            self.costs.refund_ns(self.last_ns - own_ns - OVERCHARGED_NS_MAX);
        }
    }
}
