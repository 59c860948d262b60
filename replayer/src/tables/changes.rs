//! The common part of `variables` and `mutations`: rows are made from events, chunk by chunk.

use super::candidates::{self, CodeFilter, CodeTest, Scope};
use super::{int, rowid};
use crate::state::{Detail, State, Wanted, Where};
use crate::store::{Error, Process, Store};
use crate::tables::Scan;
use crate::tables::batch::{Batch, NULL};
use crate::tables::filter::IntSet;
use crate::tables::found::Found;
use crate::tables::plan::{Flags, Op, Plan, Request, Value};
use dashcam_schema::calls::CallId;
use dashcam_schema::chunk::DERIVED_EVENTS_MAX;
use dashcam_schema::tables::Type;
use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;

/// The columns that both tables begin with.
pub(super) const RUN_ID: usize = 0;
pub(super) const SEQ: usize = 1;
pub(super) const PROCESS_ID: usize = 2;
pub(super) const THREAD_ID: usize = 3;
const CALL_ID: usize = 4;

/// Events visited at once: enough to make the cost of a visit negligible, few enough for a query
/// that wants only a few rows.
const EVENTS: usize = 1 << 14;

/// Rows and events that a call is expected to have.
const ROWS_OF_CALL: f64 = 10.0;
const EVENTS_OF_CALL: f64 = 1000.0;
/// Up to this many calls are followed from their beginning to their end. With more, all events are
/// visited.
const CALLS_FOLLOWED: usize = 64;

/// One of the two tables.
pub(crate) trait Rows {
    /// Columns of the line and the object.
    const LINE: usize;
    const OBJECT_ID: usize;
    /// Column with the name of the variable.
    const NAME: Option<usize>;
    /// Kinds of the events that make rows, a bit each.
    const KINDS: u32;
    type Row;

    /// How much has to be known about the rows.
    fn detail(plan: &Plan) -> Detail;

    /// The rows of those events of a chunk that have these indexes.
    fn of_chunk(
        state: &State<'_>,
        chunk: usize,
        range: Range<usize>,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<Self::Row>, Error>;

    fn at(row: &Self::Row) -> Where;

    fn object_id(row: &Self::Row) -> Option<i64>;

    /// The row's number among its event's rows, from 0. `None` if rows that are left out do not
    /// count.
    fn number(row: &Self::Row) -> Option<u32>;

    /// Puts the table's own columns into the batch.
    fn put(store: &Store, rows: &[(u32, Self::Row)], batch: &mut Batch);

    /// A row's text in a column that is [`Column::Lazy`](crate::tables::batch::Column::Lazy).
    fn text<'r>(
        state: &State<'_>,
        row: &'r Self::Row,
        column: usize,
    ) -> Result<Option<Cow<'r, str>>, Error>;
}

/// Takes over the constraints that both tables have in common.
pub(super) fn plan<T: Rows>(store: &Store, request: &mut Request) {
    let directory = store.directory();
    let chunks = store.chunks().iter().filter(|chunk| chunk.kinds & T::KINDS != 0);
    let events: f64 = chunks.map(|chunk| chunk.events as f64).sum();
    let one_of = |n: usize| 1.0 / n.max(1) as f64;
    let total = (events / 20.0).max(1.0);
    request.rows = total;
    request.take(RUN_ID, Type::Integer, one_of(directory.runs.len()), 0.5);
    request.take(SEQ, Type::Integer, 1.0 / total, 0.25);
    let is_of_call = request.constraints.iter().any(|c| c.column == CALL_ID && c.op == Op::Eq);
    // For a given call, only its own events are visited.
    let scanned = match is_of_call {
        true => EVENTS_OF_CALL,
        false => (request.rows * 20.0).max(events.min(DERIVED_EVENTS_MAX as f64)),
    };
    request.take(PROCESS_ID, Type::Integer, one_of(directory.processes.len()), 0.5);
    request.take(THREAD_ID, Type::Integer, one_of(directory.threads.len()), 0.5);
    request.take(CALL_ID, Type::Integer, ROWS_OF_CALL / total.max(ROWS_OF_CALL), 0.25);
    request.take(T::LINE, Type::Integer, 0.001, 0.25);
    request.take(T::OBJECT_ID, Type::Integer, 0.001, 0.25);
    if let Some(name) = T::NAME {
        request.take(name, Type::Text, 0.01, 1.0);
    }
    request.cost = request.rows * 10.0 + scanned * 0.1;
    candidates::take_order(store, request, [RUN_ID, SEQ], false);
}

/// The code object of a call.
#[derive(Clone, Copy)]
enum Code {
    /// Its number.
    Known(u32),
    /// The call began before its process was forked, so no event of the process says.
    Inherited { process_id: i64 },
}

impl Code {
    fn may_be(self, number: u32) -> bool {
        match self {
            Code::Known(code) => code == number,
            Code::Inherited { .. } => true,
        }
    }
}

/// A call that is wanted.
struct Followed {
    call: CallId,
    code: Code,
    /// No later chunk contains a part of it.
    is_over: bool,
}

pub(crate) struct ChangeScan<T: Rows> {
    store: Rc<Store>,
    plan: Plan,
    scope: Scope,
    seqs: IntSet,
    threads: IntSet,
    calls: IntSet,
    lines: IntSet,
    objects: IntSet,
    codes: CodeFilter<CodeTest>,
    /// The wanted calls of the run that is being read, if there are only a few.
    followed: Option<(i64, Vec<Followed>)>,
    detail: Detail,
    /// The wanted variables; `None` for all.
    names: Option<Vec<String>>,
    chunks: Vec<usize>,
    done: usize,
    /// The chunk of the rows in `found`, and its events that are still to be visited.
    chunk: usize,
    left: Range<usize>,
    found: Found<(u32, T::Row)>,
}

impl<T: Rows> ChangeScan<T> {
    pub(super) fn new(store: Rc<Store>, plan: Plan) -> ChangeScan<T> {
        let lines = IntSet::of(&plan, T::LINE);
        // Code objects that cannot be looked up may have any line.
        let codes = CodeFilter::new(candidates::with_lines(None, &lines), true);
        let scope =
            Scope { runs: IntSet::of(&plan, RUN_ID), processes: IntSet::of(&plan, PROCESS_ID) };
        let seqs = IntSet::of(&plan, SEQ);
        let chunks = scope.chunks(&store, seqs.lo, seqs.hi);
        let mut chunks: Vec<usize> = chunks.into_iter().flatten().collect();
        if plan.flags.has(Flags::DESCENDING) {
            chunks.reverse();
        }
        ChangeScan {
            chunks,
            followed: None,
            detail: T::detail(&plan),
            threads: IntSet::of(&plan, THREAD_ID),
            calls: IntSet::of(&plan, CALL_ID),
            objects: IntSet::of(&plan, T::OBJECT_ID),
            lines,
            codes,
            names: T::NAME.and_then(|column| texts(&plan, column)),
            store,
            plan,
            scope,
            seqs,
            done: 0,
            chunk: 0,
            left: 0..0,
            found: Found::default(),
        }
    }

    /// Begins with a chunk, unless its header shows that nothing in it passes.
    fn begin(&mut self, chunk: usize) -> Result<(), Error> {
        let store = &self.store;
        let header = &store.chunks()[chunk];
        let may_pass = self.scope.has(header)
            && header.kinds & T::KINDS != 0
            && self.seqs.overlaps(header.first_seq, header.last_seq)
            // A call begins before the events in it.
            && header.last_seq >= self.calls.lo
            && self.codes.passes_any(store, header)
            && store.process(header).has_state;
        if !may_pass {
            return Ok(());
        }
        let index =
            |seq: i64| (seq.clamp(header.first_seq, header.last_seq) - header.first_seq) as usize;
        let mut left = index(self.seqs.lo)..index(self.seqs.hi) + 1;
        if let Some(range) = self.of_calls(chunk)? {
            left = left.start.max(range.start)..left.end.min(range.end);
        }
        (self.chunk, self.left) = (chunk, left);
        Ok(())
    }

    /// The range of a chunk's events that holds the wanted calls, if only a few are wanted.
    fn of_calls(&mut self, chunk: usize) -> Result<Option<Range<usize>>, Error> {
        let Some(calls) = self.calls.values.as_ref().filter(|calls| calls.len() <= CALLS_FOLLOWED)
        else {
            return Ok(None);
        };
        let (store, state) = (&self.store, State::of(&self.store));
        let header = &store.chunks()[chunk];
        let run_id = header.run_id;
        if self.followed.as_ref().is_none_or(|(run, _)| *run != run_id) {
            let mut followed = Vec::new();
            for call in calls.iter().filter(|call| **call > 0) {
                let code = match state.code_of_call(run_id, *call)? {
                    Some(code) => Code::Known(code),
                    None => match state.inherited_by(run_id, *call) {
                        Some(process_id) => Code::Inherited { process_id },
                        None => continue,
                    },
                };
                followed.push(Followed { call: call.cast_unsigned(), code, is_over: false });
            }
            self.followed = Some((run_id, followed));
        }
        let Some((_, followed)) = &mut self.followed else { return Ok(None) };
        let is_ascending = !self.plan.flags.has(Flags::DESCENDING);
        let mut range = 0..0;
        for Followed { call, code, is_over } in followed.iter_mut().filter(|of| !of.is_over) {
            let may_be_here = match *code {
                Code::Known(code) => header.has_code([code]),
                Code::Inherited { process_id } => header.process_id == process_id,
            };
            if int(*call) > header.last_seq || !may_be_here {
                continue;
            }
            let Some(found) = state.call_in(chunk, *call)? else { continue };
            let (one, other) = (range.clone(), found.events);
            range = match one.is_empty() {
                true => other,
                false => one.start.min(other.start)..one.end.max(other.end),
            };
            *is_over = found.is_over && is_ascending;
        }
        Ok(Some(range))
    }

    /// Visits the next events.
    fn visit(&mut self) -> Result<(), Error> {
        let (store, state) = (&self.store, State::of(&self.store));
        let process = store.process(&store.chunks()[self.chunk]);
        let is_descending = self.plan.flags.has(Flags::DESCENDING);
        let range = if is_descending {
            let from = self.left.start.max(self.left.end.saturating_sub(EVENTS));
            let range = from..self.left.end;
            self.left.end = from;
            range
        } else {
            let to = self.left.end.min(self.left.start + EVENTS);
            let range = self.left.start..to;
            self.left.start = to;
            range
        };
        let event = |seq, thread| {
            self.seqs.contains(seq)
                && (self.threads.is_all()
                    || thread_id(process, thread).is_some_and(|id| self.threads.contains(id)))
        };
        let name = |name: &str| {
            self.names.as_ref().is_none_or(|names| names.iter().any(|wanted| wanted == name))
        };
        // The place of a binding is known even where its value is not. Such a binding is no row.
        let detail = match self.detail {
            Detail::Places if !state.is_known(self.chunk)? => Detail::Values,
            detail => detail,
        };
        let is_call = |call: CallId| call != 0 && self.calls.contains(int(call));
        let is_code = |code: u32| {
            let followed = self.followed.as_ref();
            self.codes.passes(store, process, code)
                && followed.is_none_or(|(_, calls)| calls.iter().any(|of| of.code.may_be(code)))
        };
        let is_line = |line: i64| self.lines.contains(line);
        let wanted = Wanted {
            event: &event,
            name: &name,
            calls: if self.calls.is_all() { None } else { Some(&is_call) },
            codes: Some(&is_code),
            lines: if self.lines.is_all() { None } else { Some(&is_line) },
            detail,
            skips_unknown: true,
        };
        let rows = T::of_chunk(&state, self.chunk, range, &wanted)?;
        let (mut seq, mut before) = (0, 0);
        let numbered = rows.into_iter().map(|row| {
            before = if T::at(&row).seq == seq { before + 1 } else { 0 };
            seq = T::at(&row).seq;
            (T::number(&row).unwrap_or(before), row)
        });
        let is_object =
            |row: &T::Row| T::object_id(row).is_some_and(|id| self.objects.contains(id));
        let mut rows: Vec<_> =
            numbered.filter(|(_, row)| self.objects.is_all() || is_object(row)).collect();
        if is_descending {
            rows.reverse();
        }
        self.found.rows = rows;
        Ok(())
    }
}

impl<T: Rows> Scan for ChangeScan<T> {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Error> {
        while self.found.is_over() {
            if !self.left.is_empty() {
                self.visit()?;
                continue;
            }
            self.store.progress(self.done, self.chunks.len());
            let Some(&chunk) = self.chunks.get(self.done) else { return Ok(()) };
            self.done += 1;
            self.begin(chunk)?;
        }
        let rows = self.found.next();
        let process = self.store.process(&self.store.chunks()[self.chunk]);
        batch.rows = rows.len();
        let wheres = || rows.iter().map(|(_, row)| T::at(row));
        batch.ints(RUN_ID, wheres().map(|_| process.run_id));
        batch.ints(SEQ, wheres().map(|at| at.seq));
        batch.ints(PROCESS_ID, wheres().map(|_| process.process_id));
        batch.ints(THREAD_ID, wheres().map(|at| thread_id(process, at.thread).unwrap_or(NULL)));
        let call_id = |at: Where| if at.call_id == 0 { NULL } else { int(at.call_id) };
        batch.ints(CALL_ID, wheres().map(call_id));
        batch.ints(T::LINE, wheres().map(|at| at.line.unwrap_or(NULL)));
        batch.ints(T::OBJECT_ID, rows.iter().map(|(_, row)| T::object_id(row).unwrap_or(NULL)));
        T::put(&self.store, rows, batch);
        Ok(())
    }

    /// Made of the event and the row's number among the rows of the event.
    fn rowid(&self, row: usize) -> i64 {
        let run_id = self.store.chunks()[self.chunk].run_id;
        self.found.row(row).map_or(0, |(number, row)| {
            rowid(run_id, T::at(row).seq).wrapping_shl(12) ^ i64::from(*number)
        })
    }

    fn text(&self, row: usize, column: usize) -> Result<Option<Cow<'_, str>>, Error> {
        let Some((_, row)) = self.found.row(row) else { return Ok(None) };
        T::text(&State::of(&self.store), row, column)
    }
}

fn thread_id(process: &Process, thread: u32) -> Option<i64> {
    process.threads.get(&thread).copied()
}

/// The texts of a column that pass constraints; `None` for all.
pub(super) fn texts(plan: &Plan, column: usize) -> Option<Vec<String>> {
    let is_set = |op: &Op| matches!(op, Op::Eq | Op::In);
    let constraints = plan.constraints.iter().filter(|(c, op, _)| *c == column && is_set(op));
    let mut set: Option<Vec<String>> = None;
    for (.., values) in constraints {
        let mut texts = Vec::new();
        for value in values {
            match value {
                Value::Text(text) => texts.push(text.clone()),
                Value::Null => {}
                // SQLite converts other values, and tests them itself.
                _ => return None,
            }
        }
        texts.retain(|text| set.as_ref().is_none_or(|set| set.contains(text)));
        set = Some(texts);
    }
    set
}
