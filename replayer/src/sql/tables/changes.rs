//! What `variables` and `mutations` have in common: a row is made of an event, chunk by chunk.

use super::candidates::Scope;
use super::{int, rowid};
use crate::sql::batch::{Batch, NULL, ROWS};
use crate::sql::filter::IntSet;
use crate::sql::plan::{Op, Plan, Request, Value};
use crate::sql::vtab::Scan;
use crate::state::{State, Wanted, Where};
use crate::store::{Error, Process, Store};
use dashcam_schema::chunk::DERIVED_EVENTS_MAX;
use dashcam_schema::tables::Type;
use std::ops::Range;
use std::rc::Rc;

/// The columns both tables begin with.
pub(super) const RUN_ID: usize = 0;
const SEQ: usize = 1;
const PROCESS_ID: usize = 2;
const THREAD_ID: usize = 3;
const CALL_ID: usize = 4;

/// Events looked at at once: enough to make the cost per time vanish, few enough for a query that
/// wants a few rows.
const EVENTS: usize = 1 << 14;

/// One of the tables.
pub(in crate::sql) trait Rows {
    /// Column of the line.
    const LINE: usize;
    /// Columns for which values have to be written.
    const VALUES: &'static [usize];
    /// Column with the name of the variable.
    const NAME: Option<usize>;
    /// Kinds of the events that make rows, a bit each.
    const KINDS: u32;
    type Row;

    /// Those of a chunk's events with these indexes.
    fn of_chunk(
        state: &State<'_>,
        chunk: usize,
        range: Range<usize>,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<Self::Row>, Error>;

    fn at(row: &Self::Row) -> Where;

    /// Puts the columns of its own into the batch.
    fn put(store: &Store, rows: &[Self::Row], batch: &mut Batch);
}

/// Takes over the constraints that both tables know.
pub(super) fn plan<T: Rows>(store: &Store, request: &mut Request) {
    let directory = store.directory();
    let chunks = store.chunks().iter().filter(|chunk| chunk.kinds & T::KINDS != 0);
    let events: f64 = chunks.map(|chunk| chunk.events as f64).sum();
    let one_of = |n: usize| 1.0 / n.max(1) as f64;
    let total = (events / 20.0).max(1.0);
    request.rows = total;
    request.take(RUN_ID, Type::Integer, one_of(directory.runs.len()), 0.5);
    request.take(SEQ, Type::Integer, 1.0 / total, 0.25);
    let scanned = (request.rows * 20.0).max(events.min(DERIVED_EVENTS_MAX as f64));
    request.take(PROCESS_ID, Type::Integer, one_of(directory.processes.len()), 0.5);
    request.take(THREAD_ID, Type::Integer, one_of(directory.threads.len()), 0.5);
    request.take(CALL_ID, Type::Integer, 10.0 / total.max(10.0), 0.25);
    if let Some(name) = T::NAME {
        request.take(name, Type::Text, 0.01, 1.0);
    }
    request.cost = request.rows * 10.0 + scanned * 0.1;
}

pub(in crate::sql) struct ChangeScan<T: Rows> {
    store: Rc<Store>,
    plan: Plan,
    scope: Scope,
    seqs: IntSet,
    threads: IntSet,
    calls: IntSet,
    /// Variables that are wanted, if not all are.
    names: Option<Vec<String>>,
    chunks: Vec<usize>,
    done: usize,
    /// The chunk `rows` are of, and which of its events are still to be looked at.
    chunk: usize,
    left: Range<usize>,
    rows: Vec<T::Row>,
    given: usize,
    /// Where the last batch begins.
    batch: usize,
}

impl<T: Rows> ChangeScan<T> {
    pub(super) fn new(store: Rc<Store>, plan: Plan) -> ChangeScan<T> {
        let scope =
            Scope { runs: IntSet::of(&plan, RUN_ID), processes: IntSet::of(&plan, PROCESS_ID) };
        let seqs = IntSet::of(&plan, SEQ);
        let chunks = scope.chunks(&store, seqs.lo, seqs.hi);
        ChangeScan {
            chunks: chunks.into_iter().flatten().collect(),
            threads: IntSet::of(&plan, THREAD_ID),
            calls: IntSet::of(&plan, CALL_ID),
            names: T::NAME.and_then(|column| texts(&plan, column)),
            store,
            plan,
            scope,
            seqs,
            done: 0,
            chunk: 0,
            left: 0..0,
            rows: Vec::new(),
            given: 0,
            batch: 0,
        }
    }

    /// Goes on to a chunk, if its header does not tell that nothing in it passes.
    fn begin(&mut self, chunk: usize) -> Result<(), Error> {
        let (store, state) = (&self.store, State::of(&self.store));
        let header = &store.chunks()[chunk];
        let may_pass = self.scope.has(header)
            && header.kinds & T::KINDS != 0
            && self.seqs.overlaps(header.first_seq, header.last_seq)
            // A call is never after what happens in it.
            && header.last_seq >= self.calls.lo
            && state.is_there(header.run_id)?;
        if may_pass {
            let index = |seq: i64| {
                (seq.clamp(header.first_seq, header.last_seq) - header.first_seq) as usize
            };
            (self.chunk, self.left) = (chunk, index(self.seqs.lo)..index(self.seqs.hi) + 1);
        }
        Ok(())
    }

    /// Looks at some more events.
    fn visit(&mut self) -> Result<(), Error> {
        let (store, state) = (&self.store, State::of(&self.store));
        let process = store.process(&store.chunks()[self.chunk]);
        let end = self.left.end.min(self.left.start + EVENTS);
        let range = self.left.start..end;
        self.left.start = end;
        let event = |seq, thread| {
            self.seqs.contains(seq)
                && (self.threads.is_all()
                    || thread_id(process, thread).is_some_and(|id| self.threads.contains(id)))
        };
        let name = |name: &str| {
            self.names.as_ref().is_none_or(|names| names.iter().any(|wanted| wanted == name))
        };
        let values = T::VALUES.iter().any(|column| self.plan.uses(*column));
        let wanted = Wanted { event: &event, name: &name, values, skips_unknown: true };
        let mut rows = T::of_chunk(&state, self.chunk, range, &wanted)?;
        if !self.calls.is_all() {
            let call_id = |row: &T::Row| T::at(row).call_id;
            rows.retain(|row| call_id(row) != 0 && self.calls.contains(int(call_id(row))));
        }
        self.rows = rows;
        Ok(())
    }
}

impl<T: Rows> Scan for ChangeScan<T> {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Error> {
        while self.given == self.rows.len() {
            self.rows.clear();
            self.given = 0;
            if !self.left.is_empty() {
                self.visit()?;
                continue;
            }
            self.store.progress(self.done, self.chunks.len());
            let Some(&chunk) = self.chunks.get(self.done) else { return Ok(()) };
            self.done += 1;
            self.begin(chunk)?;
        }
        let end = self.rows.len().min(self.given + ROWS);
        let rows = &self.rows[self.given..end];
        let process = self.store.process(&self.store.chunks()[self.chunk]);
        batch.rows = rows.len();
        let wheres = || rows.iter().map(T::at);
        batch.ints(RUN_ID, wheres().map(|_| process.run_id));
        batch.ints(SEQ, wheres().map(|at| at.seq));
        batch.ints(PROCESS_ID, wheres().map(|_| process.process_id));
        batch.ints(THREAD_ID, wheres().map(|at| thread_id(process, at.thread).unwrap_or(NULL)));
        let call_id = |at: Where| if at.call_id == 0 { NULL } else { int(at.call_id) };
        batch.ints(CALL_ID, wheres().map(call_id));
        batch.ints(T::LINE, wheres().map(|at| at.line.unwrap_or(NULL)));
        T::put(&self.store, rows, batch);
        self.batch = self.given;
        self.given = end;
        Ok(())
    }

    /// By the event and the number among its rows: it may have several.
    fn rowid(&self, row: usize) -> i64 {
        let at = self.batch + row;
        let seq = T::at(&self.rows[at]).seq;
        let first = self.rows[..at].iter().rposition(|row| T::at(row).seq != seq);
        let within = at - first.map_or(0, |first| first + 1);
        let run_id = self.store.chunks()[self.chunk].run_id;
        rowid(run_id, seq).wrapping_shl(12) ^ within as i64
    }
}

fn thread_id(process: &Process, thread: u32) -> Option<i64> {
    process.threads.get(&thread).copied()
}

/// The texts that constraints leave of a column; `None` for all.
fn texts(plan: &Plan, column: usize) -> Option<Vec<String>> {
    let is_set = |op: &Op| matches!(op, Op::Eq | Op::In);
    let constraints = plan.constraints.iter().filter(|(c, op, _)| *c == column && is_set(op));
    let mut set: Option<Vec<String>> = None;
    for (.., values) in constraints {
        let mut texts = Vec::new();
        for value in values {
            match value {
                Value::Text(text) => texts.push(text.clone()),
                Value::Null => {}
                // SQLite converts the others, and tests them itself.
                _ => return None,
            }
        }
        texts.retain(|text| set.as_ref().is_none_or(|set| set.contains(text)));
        set = Some(texts);
    }
    set
}
