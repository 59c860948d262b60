//! `c_calls`: every call of a function that is written in C.
//!
//! A frame that calls has no event until the call is over. So a row is complete at the next event
//! of the frame if that is C_RETURN or C_RAISE, and in case of C_RAISE at the RAISE after it. If
//! the frame's next event is another one, the CALL was of a Python function.

mod result;

use super::candidates::{self, CodeFilter, CodeTest, CodeText, Scope};
use super::replay::{Ignore, calls_after, last_of, replay_recorded_with};
use super::{int, rowid};
use crate::store::texts::TextId;
use crate::store::{ChunkHeader, Error, Process, Recorded, Step, Store};
use crate::tables::batch::{Batch, Column, NULL};
use crate::tables::filter::{IntSet, TextSet};
use crate::tables::found::Found;
use crate::tables::plan::{Plan, Request};
use crate::tables::{Scan, Table};
use dashcam_schema::calls::{CallId, Calls, Site};
use dashcam_schema::chunk::DERIVED_EVENTS_MAX;
use dashcam_schema::event::EventKind;
use dashcam_schema::tables::Type;
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

columns! {
    RUN_ID SEQ END_SEQ PROCESS_ID THREAD_ID CALL_ID CODE_ID PATH LINE CALLABLE ARGUMENTS RESULT
    EXCEPTION     START_NS DURATION_NS
}

/// Kinds that begin or end a row.
const CALLING: u32 = 1 << EventKind::CALL.number()
    | 1 << EventKind::C_RETURN.number()
    | 1 << EventKind::C_RAISE.number();

pub(crate) struct CCalls;

impl Table for CCalls {
    const NAME: &'static str = "c_calls";
    type Scan = CCallScan;

    fn plan(store: &Store, request: &mut Request) {
        let directory = store.directory();
        let events: f64 = store.chunks().iter().map(|chunk| chunk.events as f64).sum();
        let one_of = |n: usize| 1.0 / n.max(1) as f64;
        let total = (events / 32.0).max(1.0);
        let codes = one_of(directory.codes.len().max(4));
        request.rows = total;
        request.take(RUN_ID, Type::Integer, one_of(directory.runs.len()), 0.5);
        request.take(SEQ, Type::Integer, 1.0 / total, 0.25);
        request.take(CODE_ID, Type::Integer, codes, 0.5);
        request.take(PATH, Type::Text, 0.1, 1.0);
        request.take_patterns(PATH);
        let scanned = (request.rows * 32.0).max(events.min(DERIVED_EVENTS_MAX as f64));
        request.take(PROCESS_ID, Type::Integer, one_of(directory.processes.len()), 0.5);
        request.take(THREAD_ID, Type::Integer, one_of(directory.threads.len()), 0.5);
        request.take(CALL_ID, Type::Integer, 10.0 / total.max(10.0), 0.25);
        request.take(CALLABLE, Type::Text, 0.05, 1.0);
        request.cost = request.rows * 2.0 + scanned * 0.1;
    }

    fn scan(store: Rc<Store>, plan: Plan) -> Result<CCallScan, Error> {
        let filter = Filter::new(&store, &plan)?;
        let ranges = filter.scope.chunks(&store, filter.seqs.lo, i64::MAX);
        Ok(CCallScan {
            chunks: ranges.into_iter().flatten().collect(),
            store,
            plan,
            filter,
            done: 0,
            pending: BTreeMap::new(),
            found: Found::default(),
        })
    }
}

struct Filter {
    scope: Scope,
    seqs: IntSet,
    calls: IntSet,
    threads: IntSet,
    callables: TextSet,
    codes: CodeFilter<CodeTest>,
}

impl Filter {
    fn new(store: &Store, plan: &Plan) -> Result<Filter, Error> {
        let texts: [CodeText; 1] = [(PATH, "path", |code| code.path)];
        let codes = candidates::codes(store, plan, CODE_ID, &texts)?;
        let mut seqs = IntSet::of(plan, SEQ);
        let calls = IntSet::of(plan, CALL_ID);
        // A call is made after the call that makes it has begun.
        seqs.lo = seqs.lo.max(calls.lo);
        Ok(Filter {
            scope: Scope {
                runs: IntSet::of(plan, RUN_ID),
                processes: IntSet::of(plan, PROCESS_ID),
            },
            seqs,
            calls,
            threads: IntSet::of(plan, THREAD_ID),
            callables: TextSet::of(plan, CALLABLE, &store.directory().texts),
            codes: CodeFilter::new(codes, false),
        })
    }

    /// Whether a call that passes can begin in a chunk.
    fn may_pass(&self, store: &Store, header: &ChunkHeader) -> bool {
        header.kinds & CALLING != 0
            && self.seqs.overlaps(header.first_seq, header.last_seq)
            && self.codes.passes_any(store, header)
    }

    fn passes(&self, store: &Store, process: &Process, row: &Row) -> bool {
        let thread = || process.threads.get(&row.thread).copied();
        let callable = || process.callables.get(&row.callable).copied();
        self.seqs.contains(int(row.seq))
            && self.calls.contains(int(row.call_id))
            && (self.threads.is_all() || thread().is_some_and(|id| self.threads.contains(id)))
            && (self.callables.is_all()
                || callable().is_some_and(|name| self.callables.contains(name)))
            && self.codes.passes(store, process, row.site.code)
    }
}

/// One call.
#[derive(Clone)]
struct Row {
    process_id: i64,
    seq: u64,
    thread: u32,
    call_id: CallId,
    site: Site,
    callable: u32,
    start_ns: u64,
    /// The `seq` and time of its end.
    end: Option<(u64, u64)>,
    /// It ended with an exception, whose type the next event shows.
    raised: bool,
    exception: TextId,
}

/// The calls that frames of one process have made and not returned from, by the id of the Python
/// call that made them. Each Python call makes one at a time.
type Begun = FxHashMap<CallId, Row>;

pub(crate) struct CCallScan {
    store: Rc<Store>,
    plan: Plan,
    filter: Filter,
    chunks: Vec<usize>,
    done: usize,
    /// By process.
    pending: BTreeMap<i64, Begun>,
    found: Found<Row>,
}

impl Scan for CCallScan {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Error> {
        while self.found.is_over() {
            self.store.progress(self.done, self.chunks.len());
            if let Some(&index) = self.chunks.get(self.done) {
                self.done += 1;
                self.visit(index)?;
            } else if let Some((process_id, pending)) = self.pending.pop_first() {
                self.found.rows = self.unfinished(process_id, pending)?;
            } else {
                return Ok(());
            }
        }
        put(&self.store, &self.plan, self.found.next(), batch);
        Ok(())
    }

    fn rowid(&self, row: usize) -> i64 {
        self.found.row(row).map_or(0, |row| {
            let run_id = self.store.directory().run_of(row.process_id).unwrap_or(0);
            rowid(run_id, int(row.seq))
        })
    }

    fn text(&self, row: usize, column: usize) -> Result<Option<Cow<'_, str>>, Error> {
        let Some(row) = self.found.row(row) else { return Ok(None) };
        let process = &self.store.directory().processes[&row.process_id];
        if !self.store.has_values(process) {
            return Ok(None);
        }
        let text = match column {
            RESULT => result::text(&self.store, row)?,
            _ => self.store.value_text_at(process.run_id, int(row.seq))?,
        };
        Ok(text.map(Cow::Owned))
    }
}

impl CCallScan {
    fn visit(&mut self, index: usize) -> Result<(), Error> {
        let store = self.store.clone();
        let header = &store.chunks()[index];
        if !self.filter.scope.has(header) {
            return Ok(());
        }
        // The event after a call has the same code object as the call.
        let may_end = self
            .pending
            .get(&header.process_id)
            .is_some_and(|pending| header.has_code(pending.values().map(|row| row.site.code)));
        if !may_end && !self.filter.may_pass(&store, header) {
            return Ok(());
        }
        let begun = self.pending.entry(header.process_id).or_default();
        let mut rows = std::mem::take(&mut self.found.rows);
        let read = store.recorded(index).and_then(|recorded| {
            let mut collect = Collect {
                store: &store,
                process: store.process(header),
                header,
                recorded: &recorded,
                filter: &self.filter,
                begun,
                rows: &mut rows,
            };
            replay_recorded_with(header, &recorded, &mut Ignore, |calls, step| {
                collect.step(calls, step);
            })
        });
        self.found.rows = rows;
        if let Err(error) = read {
            // A part of the chunk's rows would be worse than nothing, and calls from before may
            // have ended in it.
            self.found.rows.clear();
            self.pending.remove(&header.process_id);
            return store.note(index, error);
        }
        Ok(())
    }

    /// The calls that had not ended when the recording did. If the frame has called another frame
    /// that is still running, the call may have been of that Python function, and is left out.
    fn unfinished(&self, process_id: i64, begun: Begun) -> Result<Vec<Row>, Error> {
        let last = last_of(&self.store, process_id).filter(|_| !begun.is_empty());
        let calls = last.map(|last| calls_after(&self.store, last)).transpose()?.flatten();
        let stacks = calls.iter().flat_map(|calls| calls.stacks());
        let innermost: Vec<CallId> =
            stacks.filter_map(|stack| Some(stack.calls.last()?.call_id)).collect();
        let is_open = |(call_id, row): &(CallId, Row)| row.raised || innermost.contains(call_id);
        let mut rows: Vec<Row> = begun.into_iter().filter(is_open).map(|(_, row)| row).collect();
        rows.sort_unstable_by_key(|row| row.seq);
        Ok(rows)
    }
}

/// Collects the rows of a chunk.
struct Collect<'a> {
    store: &'a Store,
    process: &'a Process,
    header: &'a ChunkHeader,
    recorded: &'a Recorded<'a>,
    filter: &'a Filter,
    begun: &'a mut Begun,
    rows: &'a mut Vec<Row>,
}

impl Collect<'_> {
    /// Handles an event. The stacks are as before it.
    fn step(&mut self, calls: &Calls, step: &Step<'_>) {
        let Some(kind) = EventKind::from_number(step.site.kind) else { return };
        // These events are of a frame that is being entered. Its caller is still in the call.
        if kind.enters() {
            return;
        }
        let call_id = calls.innermost().map_or(0, |call| call.call_id);
        if self.begun.is_empty() && kind != EventKind::CALL {
            return;
        }
        let seq = (self.header.first_seq + step.index as i64).cast_unsigned();
        if let Some(mut begun) = self.begun.remove(&call_id) {
            let is_over = matches!(kind, EventKind::C_RETURN | EventKind::C_RAISE)
                && (begun.site.code, begun.site.place) == (step.site.code, step.site.place);
            if is_over && !begun.raised {
                begun.end = Some((seq, step.time_ns));
                if kind == EventKind::C_RETURN {
                    return self.rows.push(begun);
                }
                begun.raised = true;
                self.begun.insert(call_id, begun);
                return;
            }
            if begun.raised {
                if kind == EventKind::RAISE {
                    begun.exception = self.recorded.exception_type(self.process, step.exception);
                }
                self.rows.push(begun);
            }
        }
        if kind == EventKind::CALL {
            let row = Row {
                process_id: self.process.process_id,
                seq,
                thread: step.thread,
                call_id,
                site: step.site,
                callable: step.callable,
                start_ns: step.time_ns,
                end: None,
                raised: false,
                exception: TextId::NONE,
            };
            if self.filter.passes(self.store, self.process, &row) {
                self.begun.insert(call_id, row);
            }
        }
    }
}

/// Puts the columns that the plan uses into the batch.
fn put(store: &Store, plan: &Plan, rows: &[Row], batch: &mut Batch) {
    batch.rows = rows.len();
    let directory = store.directory();
    let process = |row: &Row| &directory.processes[&row.process_id];
    let code =
        |row: &Row| process(row).codes.get(&row.site.code).map(|index| &directory.codes[*index]);
    for column in (0..batch.columns.len()).filter(|column| plan.uses(*column)) {
        let mut ints = |value: &dyn Fn(&Row) -> i64| batch.ints(column, rows.iter().map(value));
        match column {
            RUN_ID => ints(&|row| process(row).run_id),
            SEQ => ints(&|row| int(row.seq)),
            END_SEQ => ints(&|row| row.end.map_or(NULL, |(seq, _)| int(seq))),
            PROCESS_ID => ints(&|row| row.process_id),
            THREAD_ID => {
                ints(&|row| process(row).threads.get(&row.thread).copied().unwrap_or(NULL));
            }
            CALL_ID => ints(&|row| if row.call_id == 0 { NULL } else { int(row.call_id) }),
            CODE_ID => ints(&|row| code(row).map_or(NULL, |code| code.code_id)),
            LINE => ints(&|row| store.line(process(row), row.site).unwrap_or(NULL)),
            START_NS => ints(&|row| int(row.start_ns)),
            DURATION_NS => {
                ints(&|row| row.end.map_or(NULL, |(_, ns)| int(ns.saturating_sub(row.start_ns))))
            }
            PATH => batch.texts(
                column,
                rows.iter().map(|row| code(row).map_or(TextId::NONE, |code| code.path)),
            ),
            CALLABLE => batch.texts(
                column,
                rows.iter().map(|row| {
                    let name = process(row).callables.get(&row.callable);
                    name.copied().unwrap_or(TextId::NONE)
                }),
            ),
            EXCEPTION => batch.texts(column, rows.iter().map(|row| row.exception)),
            ARGUMENTS | RESULT => batch.columns[column] = Column::Lazy,
            _ => {}
        }
    }
}
