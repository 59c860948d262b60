//! Events → columns, and beside them the call stacks, so that each chunk carries the state it
//! begins with.
//!
//! The drain calls one method per event. Most events are LINE and INSTRUCTION, which only add a
//! kind and a place; [`Chunker::plain`] takes them by the run. The stacks hear of such events only
//! when it shows: the last one before the stack changes, the context changes or the chunk ends.

use super::clock::Clock;
use super::exceptions::Exceptions;
use super::outlet::{Batch, LossDelta, Outlet, RawChunk};
use super::suspended::Suspended;
use super::totals::{FunctionTotal, Totals};
use dashcam_schema::EventKind;
use dashcam_schema::calls::{self, Calls, Event, Exit, OpenCall, OpenException, Site};
use dashcam_schema::chunk::{Columns, Context, EVENTS_MAX, Run};
use dashcam_schema::loss::LossKind;
use dashcam_schema::record::{Definition, flags, payload, tag};
use rustc_hash::{FxHashMap, FxHashSet};

/// Definitions of more bytes than this do not wait for their chunk to fill.
const DEFINITION_BYTES_MAX: usize = 8 << 20;
const NONE: u32 = u32::MAX;

/// A record that cannot be right, and why.
pub(super) type Bad = &'static str;

pub(super) struct Chunker {
    columns: Columns,
    /// Events in `columns`; its kinds and places are longer.
    len: usize,
    first_seq: u64,
    /// Counts chunks; tells what was noted in this one from what was in an earlier one.
    chunk: u64,
    thread: u32,
    code: u32,
    /// Index of the event that began the current run.
    run_start: usize,
    /// The stacks know of events before this index.
    applied: usize,
    /// Index of a code object's context in this chunk, for the current thread.
    context_slots: Vec<Slot>,
    /// Of the current thread in the current chunk.
    stamp: u32,
    /// The same for all threads of this chunk.
    context_indexes: FxHashMap<(u32, u32), u32>,

    clock: Clock,
    ticks: u64,
    last_ns: u64,

    calls: Calls,
    watch: Watch,
    exceptions: Exceptions,

    /// `co_flags` of every code object.
    code_flags: Vec<u32>,
    threads: FxHashSet<u32>,
    callables: u32,
    exception_types: u32,
    /// Bit per event kind that has a name.
    kinds: u32,

    /// When the interpreter said what it is.
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

/// What the call stacks find out.
#[derive(Default)]
struct Watch {
    totals: Totals,
    suspended: Suspended,
    losses: Vec<LossDelta>,
}

impl calls::Sink for Watch {
    #[inline]
    fn call(&mut self, call: &OpenCall, _end_seq: u64, end_ns: u64, exit: Exit) {
        self.suspended.end(call.call_id);
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
        // Even where no call had to be closed the stack did not fit.
        LossDelta::add(&mut self.losses, LossKind::Desync, calls.max(1), seq, String::new());
    }
}

impl Chunker {
    pub(super) fn new(clock: Clock, outlet: Outlet) -> Chunker {
        let mut chunker = Chunker {
            columns: outlet.columns(),
            len: 0,
            first_seq: 1,
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
            last_ns: 0,
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
        chunker.open(1);
        chunker
    }

    // ---- Chunks

    #[inline(always)]
    pub(super) fn is_full(&self) -> bool {
        self.len == EVENTS_MAX
    }

    /// Position of the next event.
    pub(super) fn next_seq(&self) -> u64 {
        self.first_seq + self.len as u64
    }

    /// Whether there is anything the database does not have yet.
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
        columns.state.stacks.clear();
        columns.state.stacks.extend(self.calls.stacks().cloned());
        for stack in &columns.state.stacks {
            for exception in stack.calls.iter().flat_map(|call| &call.exceptions) {
                self.exceptions.name(exception.exception);
            }
        }
    }

    /// Hands the chunk on, and whatever else there is to tell; begins the next.
    pub(super) fn seal(&mut self) {
        self.end_run();
        let next_seq = self.next_seq();
        let chunk = (self.len > 0).then(|| {
            let mut columns = std::mem::replace(&mut self.columns, self.outlet.columns());
            columns.kinds.truncate(self.len);
            columns.places.truncate(self.len);
            columns.state.exceptions = self.exceptions.take_named();
            RawChunk { first_seq: self.first_seq, last_ns: self.last_ns, columns }
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

    /// After everything so far is in the database, the other end of `stored` hears of it.
    pub(super) fn flush(&mut self, stored: crossbeam_channel::Sender<()>) {
        self.seal();
        self.outlet.send(Batch { stored: Some(stored), ..Batch::default() });
    }

    /// Notes something that was not recorded here.
    pub(super) fn lose(&mut self, kind: LossKind, count: u64, detail: String) {
        let seq = self.next_seq();
        LossDelta::add(&mut self.watch.losses, kind, count, seq, detail);
    }

    // ---- Contexts

    /// Tells the stacks of the last event that did not touch them.
    #[inline]
    fn settle(&mut self) {
        if self.len > self.applied {
            let last = self.len - 1;
            let (kind, place) = (self.columns.kinds[last], self.columns.places[last]);
            self.calls.at(Site { code: self.code, kind, place });
            self.applied = self.len;
        }
    }

    #[inline]
    fn end_run(&mut self) {
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
        self.thread = thread;
        self.calls.set_thread(thread);
        self.stamp += 1;
        Ok(())
    }

    /// Whether events may come: it is known of what thread and code object they are.
    #[inline(always)]
    pub(super) fn has_context(&self) -> bool {
        self.code != NONE && self.thread != NONE
    }

    // ---- Time

    pub(super) fn set_ticks(&mut self, ticks: u64, source: crate::ring::Clock) {
        self.clock.set_source(source);
        self.ticks = ticks;
        if self.len == 0 {
            self.last_ns = self.last_ns.max(self.clock.ns(ticks));
            self.columns.first_ns = self.last_ns;
        }
    }

    pub(super) fn recalibrate(&mut self) {
        self.clock.recalibrate(self.ticks);
    }

    #[inline(always)]
    fn advance(&mut self, ticks: u32) {
        self.ticks += u64::from(ticks);
        let ns = self.clock.ns(self.ticks).max(self.last_ns);
        self.columns.times.push(ns - self.last_ns);
        self.last_ns = ns;
    }

    // ---- Events. The caller has checked `is_full` and `has_context`.

    /// Takes the LINE and INSTRUCTION events `words` begin with, as many as there is room for.
    #[inline]
    pub(super) fn plain(&mut self, words: &[u32]) -> usize {
        const PLAIN: u64 = 1 << EventKind::LINE.number() | 1 << EventKind::INSTRUCTION.number();
        let kinds = &mut self.columns.kinds[self.len..];
        let places = &mut self.columns.places[self.len..];
        let mut count = 0;
        for ((word, kind), place) in words.iter().zip(kinds).zip(places) {
            let tag = tag(*word);
            if PLAIN >> tag & 1 == 0 {
                break;
            }
            *kind = tag;
            *place = payload(*word);
            count += 1;
        }
        self.len += count;
        count
    }

    #[inline(always)]
    fn push(&mut self, kind: u8, place: u32) {
        self.columns.kinds[self.len] = kind;
        self.columns.places[self.len] = place;
        self.len += 1;
    }

    /// An event that carries nothing but its place.
    #[inline(always)]
    pub(super) fn bare(&mut self, kind: u8, place: u32) {
        self.push(kind, place);
    }

    /// JUMP, BRANCH*, and kinds of a later CPython.
    #[inline(always)]
    pub(super) fn branch(&mut self, kind: u8, place: u32, target: u32) -> Result<(), Bad> {
        if self.kinds >> kind & 1 == 0 {
            return Err("an undefined event kind");
        }
        self.push(kind, place);
        self.columns.targets.push(target);
        Ok(())
    }

    /// CALL, C_RETURN and C_RAISE.
    #[inline(always)]
    pub(super) fn call(
        &mut self,
        kind: u8,
        place: u32,
        ticks: u32,
        callable: u32,
    ) -> Result<(), Bad> {
        if callable >= self.callables {
            return Err("an undefined callable");
        }
        self.advance(ticks);
        self.push(kind, place);
        self.columns.callables.push(callable);
        Ok(())
    }

    #[inline]
    fn named_exception(&mut self, exception: u32) -> Result<(), Bad> {
        if exception >= self.exceptions.defined() {
            return Err("an undefined exception");
        }
        self.exceptions.name(exception);
        self.columns.exceptions.push(exception);
        Ok(())
    }

    /// STOP_ITERATION
    pub(super) fn stop_iteration(&mut self, place: u32, exception: u32) -> Result<(), Bad> {
        self.named_exception(exception)?;
        self.push(EventKind::STOP_ITERATION.number(), place);
        Ok(())
    }

    /// PY_START; `frame` if the call may be suspended.
    #[inline]
    pub(super) fn start(&mut self, place: u32, ticks: u32, frame: Option<u64>) {
        self.advance(ticks);
        if let Some(address) = frame {
            let id = self.next_seq();
            self.watch.suspended.begin(address, id, self.chunk, &mut self.calls);
        }
        self.apply(EventKind::PY_START, place, 0, 0);
    }

    /// PY_RETURN
    #[inline]
    pub(super) fn leave(&mut self, place: u32, ticks: u32) {
        self.advance(ticks);
        self.apply(EventKind::PY_RETURN, place, 0, 0);
    }

    /// PY_YIELD
    pub(super) fn suspend(&mut self, place: u32, ticks: u32) {
        self.advance(ticks);
        if let Some(top) = self.calls.top() {
            self.watch.suspended.suspend(top.call_id, self.chunk);
        }
        self.apply(EventKind::PY_YIELD, place, 0, 0);
    }

    /// PY_UNWIND, RAISE, RERAISE and EXCEPTION_HANDLED; `ticks` for those that have them.
    pub(super) fn exception(
        &mut self,
        kind: EventKind,
        place: u32,
        ticks: Option<u32>,
        exception: u32,
    ) -> Result<(), Bad> {
        self.named_exception(exception)?;
        if let Some(ticks) = ticks {
            self.advance(ticks);
        }
        self.apply(kind, place, exception, 0);
        Ok(())
    }

    /// PY_RESUME, and PY_THROW with its exception.
    pub(super) fn resume(
        &mut self,
        kind: EventKind,
        place: u32,
        ticks: u32,
        exception: Option<u32>,
        frame: u64,
    ) -> Result<(), Bad> {
        if let Some(exception) = exception {
            self.named_exception(exception)?;
        }
        self.advance(ticks);
        let resumed = match self.watch.suspended.resume(frame, self.code, self.chunk, &self.calls) {
            Some((call, is_new)) => {
                if is_new {
                    for open in &call.exceptions {
                        self.exceptions.name(open.exception);
                    }
                    self.columns.state.suspended.push(call.clone());
                }
                call.call_id
            }
            None => {
                let id = self.next_seq();
                self.watch.suspended.begin(frame, id, self.chunk, &mut self.calls);
                0
            }
        };
        self.columns.resumed.push(resumed);
        self.apply(kind, place, exception.unwrap_or(0), resumed);
        Ok(())
    }

    #[inline]
    fn apply(&mut self, kind: EventKind, place: u32, exception: u32, resumed: u64) {
        self.settle();
        let event = Event {
            seq: self.next_seq(),
            time_ns: self.last_ns,
            kind,
            place,
            code: self.code,
            exception,
            resumed,
        };
        self.calls.apply(&event, &mut self.watch);
        self.push(kind.number(), place);
        self.applied = self.len;
    }

    // ---- Everything else

    /// A call that was there before the recording. It gets a position of its own, which no event
    /// has: the chunk ends here and the next one begins that much later, with the call on its
    /// stack. So ids stay unique, and a reader needs no rule for such calls.
    pub(super) fn running(&mut self, place: u32, code: u32, frame: u64) -> Result<(), Bad> {
        if self.thread == NONE {
            return Err("a running call of no thread");
        }
        let Some(code_flags) = self.code_flags.get(code as usize) else {
            return Err("an undefined code object");
        };
        let can_be_suspended = code_flags & flags::SUSPENDABLE != 0;
        if self.len > 0 {
            self.seal();
        }
        let seq = self.first_seq;
        if can_be_suspended {
            self.watch.suspended.begin(frame, seq, self.chunk, &mut self.calls);
        }
        let event = Event {
            seq,
            time_ns: self.last_ns,
            kind: EventKind::PY_START,
            place,
            code,
            exception: 0,
            resumed: 0,
        };
        self.calls.apply(&event, &mut self.watch);
        self.open(seq + 1);
        Ok(())
    }

    pub(super) fn define(&mut self, definition: Definition, bytes: usize) -> Result<(), Bad> {
        match &definition {
            Definition::Exception { exception_type, .. }
                if *exception_type >= self.exception_types =>
            {
                return Err("an undefined type of exception");
            }
            Definition::Exception { .. } => {
                // Chunks carry those they name; the database has no table of all.
                let Definition::Exception { exception_type, message } = definition else {
                    return Ok(());
                };
                let calls = &self.calls;
                self.exceptions.define(exception_type, message, || open_exceptions(calls));
                return Ok(());
            }
            Definition::Loss { kind, count, detail } => {
                self.lose(*kind, *count, detail.clone());
                return Ok(());
            }
            Definition::Code(code) => {
                self.code_flags.push(code.flags);
                self.context_slots.push(Slot::default());
            }
            Definition::Thread { number, .. } => {
                self.threads.insert(*number);
            }
            Definition::ThreadName { number, .. } if !self.threads.contains(number) => {
                return Err("a name for an undefined thread");
            }
            Definition::Callable { .. } => self.callables += 1,
            Definition::ExceptionType { .. } => self.exception_types += 1,
            Definition::Kind { number, .. } => {
                if EventKind::from_number(*number).is_none() {
                    return Err("an event kind beyond the limit");
                }
                self.kinds |= 1 << number;
            }
            Definition::Interpreter { .. } => self.began_ns = Some(self.clock.now_ns()),
            Definition::ThreadName { .. } => {}
        }
        self.definitions.push(definition);
        self.definition_bytes += bytes;
        if self.definition_bytes > DEFINITION_BYTES_MAX {
            self.seal();
        }
        Ok(())
    }
}

/// Numbers of the exceptions that calls have in flight or are handling.
fn open_exceptions(calls: &Calls) -> FxHashSet<u32> {
    let stacked = calls.stacks().flat_map(|stack| &stack.calls);
    let all = stacked.chain(calls.all_suspended());
    all.flat_map(|call| &call.exceptions).map(|open| open.exception).collect()
}
