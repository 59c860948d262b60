//! `calls`: every call of a Python function.
//!
//! A row is produced at the event that ends its call. Each chunk begins with the stacks at its
//! beginning, so it can be read without the chunks before it. A call that is open at the end of a
//! chunk that was read is *pending*: it may end in a later chunk. Calls that never end come last,
//! as `open`.

pub(super) mod edges;
mod filter;
mod index;
mod rows;
pub(super) mod tree;

pub(crate) use edges::{CalleesOf, CallersOf};
pub(crate) use tree::CallTree;

use crate::store::texts::TextId;
use crate::store::{Error, Process, Recorded, Store};
use crate::tables::batch::{Batch, ROWS};
use crate::tables::filter::IntSet;
use crate::tables::found::Found;
use crate::tables::plan::{Constraint, Flags, Op, Plan, Request, Top};
use crate::tables::replay::{calls_after, last_of, replay_recorded};
use crate::tables::{Countable, Scan, Table};
use crate::tables::{int, rowid};
use dashcam_schema::calls::{self, CallId, Exit, OpenCall, OpenException, Sink};
use dashcam_schema::chunk::DERIVED_EVENTS_MAX;
use dashcam_schema::tables::Type;
use filter::Filter;
use rows::{Row, Words};
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

columns! {
    RUN_ID CALL_ID PARENT_CALL_ID PROCESS_ID THREAD_ID DEPTH CODE_ID QUALNAME PATH CALL_LINE
    START_SEQ END_SEQ START_NS END_NS DURATION_NS SELF_NS EXIT ARGUMENTS RESULT EXCEPTION
}

/// The largest LIMIT for which rows are sorted here.
const TOP_MAX: u64 = 100_000;

pub(crate) struct Calls;

impl Table for Calls {
    const NAME: &'static str = "calls";
    type Scan = CallScan;

    fn plan(store: &Store, request: &mut Request) {
        let directory = store.directory();
        let events: f64 = store.chunks().iter().map(|chunk| chunk.events as f64).sum();
        let one_of = |n: usize| 1.0 / n.max(1) as f64;
        // There are some thirty events to a call, and each costs a fraction of a row.
        let total = (events / 32.0).max(1.0);
        let names = one_of(directory.codes.len().max(4));
        request.rows = total;
        request.take(RUN_ID, Type::Integer, one_of(directory.runs.len()), 0.5);
        request.take(CALL_ID, Type::Integer, 1.0 / total, 0.25);
        request.take(START_SEQ, Type::Integer, 1.0 / total, 0.25);
        request.take(END_SEQ, Type::Integer, 1.0 / total, 0.25);
        request.take(START_NS, Type::Integer, 1.0 / total, 0.25);
        request.take(END_NS, Type::Integer, 1.0 / total, 0.25);
        request.take(CODE_ID, Type::Integer, names, 0.5);
        request.take(QUALNAME, Type::Text, names, 1.0);
        request.take(PATH, Type::Text, 0.1, 1.0);
        request.take_patterns(QUALNAME);
        request.take_patterns(PATH);
        let scanned = (request.rows * 32.0).max(events.min(DERIVED_EVENTS_MAX as f64));
        request.take(PROCESS_ID, Type::Integer, one_of(directory.processes.len()), 0.5);
        request.take(THREAD_ID, Type::Integer, one_of(directory.threads.len()), 0.5);
        request.take(PARENT_CALL_ID, Type::Integer, 10.0 / total.max(10.0), 0.25);
        request.take(DEPTH, Type::Integer, 0.1, 0.5);
        request.cost = request.rows * 2.0 + scanned * 0.1;
        // After the first few such look-ups, calls are found in memory.
        let is_looked_up = |c: &Constraint| {
            c.op == Op::Eq && [CALL_ID, PARENT_CALL_ID, START_SEQ].contains(&c.column)
        };
        if total < index::CALLS_MAX as f64 && request.constraints.iter().any(is_looked_up) {
            request.cost = request.rows * 2.0 + 50.0;
        }
        let sortable = [CALL_ID, START_SEQ, END_SEQ, START_NS, END_NS, DURATION_NS, SELF_NS, DEPTH];
        request.take_top(&sortable, TOP_MAX);
    }

    fn scan(store: Rc<Store>, plan: Plan) -> Result<CallScan, Error> {
        let mut scan = CallScan::over(store, plan)?;
        if let Some(rows) = index::look_up(&scan.store, &scan.filter)? {
            scan.found.rows = rows;
            scan.chunks.clear();
        }
        Ok(scan)
    }
}

impl Countable for Calls {
    const GROUPS: &'static str = "grouped_calls";
    /// A call that began in one part of a run may end in any other.
    const POSITION: Option<[usize; 2]> = None;
    const KEYS: &'static [usize] = &[
        RUN_ID,
        PARENT_CALL_ID,
        PROCESS_ID,
        THREAD_ID,
        DEPTH,
        CODE_ID,
        QUALNAME,
        PATH,
        CALL_LINE,
        EXIT,
        ARGUMENTS,
        RESULT,
        EXCEPTION,
    ];
}

/// Calls of one process that are open at the end of its last chunk that was read.
#[derive(Default)]
struct Pending {
    calls: FxHashMap<CallId, OpenCall>,
    /// Numbers of their code objects: only a chunk that has one of these can end one of the calls.
    codes: Vec<u32>,
    /// A later chunk could not be read, so calls may be open that are not in `calls`.
    gap: bool,
    /// The last chunk that was read.
    chunk: usize,
}

pub(crate) struct CallScan {
    store: Rc<Store>,
    plan: Plan,
    filter: Filter,
    words: Words,
    chunks: Vec<usize>,
    done: usize,
    /// By process.
    pending: BTreeMap<i64, Pending>,
    found: Found<Row>,
}

impl Scan for CallScan {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Error> {
        // Rows that were looked up are not in that order either.
        if let Some(top) = self.plan.top.take() {
            self.sort(top)?;
        }
        while self.found.is_over() {
            if !self.more()? {
                return Ok(());
            }
        }
        rows::put(&self.store, &self.plan, self.found.next(), batch);
        Ok(())
    }

    fn rowid(&self, row: usize) -> i64 {
        self.found.row(row).map_or(0, |row| {
            let run_id = self.store.directory().run_of(row.process_id).unwrap_or(0);
            rowid(run_id, int(row.call_id))
        })
    }

    fn text(&self, row: usize, column: usize) -> Result<Option<Cow<'_, str>>, Error> {
        let Some(row) = self.found.row(row) else { return Ok(None) };
        rows::text(&self.store, row, column)
    }
}

impl CallScan {
    fn over(store: Rc<Store>, plan: Plan) -> Result<CallScan, Error> {
        let filter = Filter::new(&store, &plan)?;
        let ranges = filter.scope.chunks(&store, filter.starts.lo, filter.ends.hi);
        Ok(CallScan {
            words: Words::new(&store),
            chunks: ranges.into_iter().flatten().collect(),
            store,
            plan,
            filter,
            done: 0,
            pending: BTreeMap::new(),
            found: Found::default(),
        })
    }

    /// Reads all calls. Leaves those that come first in `found`, in order.
    fn sort(&mut self, top: Top) -> Result<(), Error> {
        let is_descending = self.plan.flags.has(Flags::DESCENDING);
        let keep = usize::try_from(top.rows).unwrap_or(usize::MAX);
        let mut first: Vec<Row> = std::mem::take(&mut self.found.rows);
        let compare = |one: &Row, other: &Row| {
            let order = one.number(top.column).cmp(&other.number(top.column));
            if is_descending { order.reverse() } else { order }
        };
        // Equal rows keep their order.
        let settle = |rows: &mut Vec<Row>| {
            rows.sort_by(compare);
            rows.truncate(keep);
        };
        // The last of the first rows so far. Rows that come after it need not be sorted.
        let mut worst: Option<Row> = None;
        while self.more()? {
            if let Some(worst) = &worst {
                self.found.rows.retain(|row| compare(row, worst).is_lt());
            }
            first.append(&mut self.found.rows);
            if first.len() / 2 > keep.max(ROWS) {
                settle(&mut first);
                worst = first.last().cloned();
            }
        }
        settle(&mut first);
        self.found.rows = first;
        Ok(())
    }

    /// Reads one more chunk, or after the last the calls that are still open, and adds to `found`.
    /// Returns false at the end.
    fn more(&mut self) -> Result<bool, Error> {
        self.store.progress(self.done, self.chunks.len());
        if let Some(&index) = self.chunks.get(self.done) {
            self.done += 1;
            self.visit(index)?;
        } else if let Some((process_id, pending)) = self.pending.pop_first() {
            self.finish(process_id, pending)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Reads a chunk, unless its header shows that no wanted call ends or begins there.
    fn visit(&mut self, index: usize) -> Result<(), Error> {
        let store = self.store.clone();
        let header = &store.chunks()[index];
        let process = store.process(header);
        let pending = self.pending.get(&header.process_id);
        let ends_something =
            pending.is_some_and(|p| p.gap || header.has_code(p.codes.iter().copied()));
        if !self.filter.may_pass(&store, index, ends_something) {
            return Ok(());
        }
        let pending = self.pending.entry(header.process_id).or_default();
        let mut rows = std::mem::take(&mut self.found.rows);
        let read = store.recorded(index).and_then(|recorded| {
            let mut collect = Collect {
                store: &store,
                process,
                recorded: &recorded,
                filter: &self.filter,
                words: &self.words,
                pending: &mut *pending,
                rows: &mut rows,
            };
            let calls = replay_recorded(header, &recorded, &mut collect)?;
            collect.keep(&calls);
            Ok(())
        });
        self.found.rows = rows;
        pending.chunk = index;
        pending.gap = false;
        match read {
            Ok(()) => Ok(()),
            Err(error) => {
                // A part of the chunk's rows would be worse than nothing.
                self.found.rows.clear();
                pending.gap = true;
                store.note(index, error)
            }
        }
    }

    /// Adds the calls of a process that never ended. Time of calls on a stack was counted until the
    /// process ended, so the last chunk has their `self_ns`.
    fn finish(&mut self, process_id: i64, mut pending: Pending) -> Result<(), Error> {
        if pending.calls.is_empty() || self.filter.has_end() {
            return Ok(());
        }
        let store = self.store.clone();
        let Some(last) = last_of(&store, process_id) else { return Ok(()) };
        let header = &store.chunks()[last];
        if last != pending.chunk
            && let Some(calls) = calls_after(&store, last)?
        {
            for call in calls.stacks().flat_map(|stack| stack.calls) {
                if let Some(known) = pending.calls.get_mut(&call.call_id) {
                    known.self_ns = call.self_ns;
                }
            }
        }
        let process = store.process(header);
        let open = |call: &OpenCall| Row::new(process, call, None, self.words.open, TextId::NONE);
        self.found.rows.extend(pending.calls.values().map(open));
        self.found.rows.sort_unstable_by_key(|row| row.call_id);
        Ok(())
    }
}

/// Collects the rows of a chunk.
struct Collect<'a> {
    store: &'a Store,
    process: &'a Process,
    recorded: &'a Recorded<'a>,
    filter: &'a Filter,
    words: &'a Words,
    pending: &'a mut Pending,
    rows: &'a mut Vec<Row>,
}

impl Collect<'_> {
    /// Adds the calls that are open at the chunk's end to the pending ones.
    fn keep(&mut self, calls: &calls::Calls) {
        for call in calls.all() {
            if self.filter.passes(self.store, self.process, call) {
                self.pending.calls.insert(call.call_id, call.clone());
            }
        }
        let codes = self.pending.calls.values().map(|call| call.code);
        self.pending.codes = codes.collect();
        self.pending.codes.sort_unstable();
        self.pending.codes.dedup();
    }
}

impl Sink for Collect<'_> {
    fn call(&mut self, call: &OpenCall, end_seq: u64, end_ns: u64, exit: Exit) {
        self.pending.calls.remove(&call.call_id);
        let (end, exit, exception) = match exit {
            Exit::Return => (Some((end_seq, end_ns)), self.words.r#return, TextId::NONE),
            Exit::Unwind(exception) => {
                let r#type = self.recorded.exception_type(self.process, exception);
                (Some((end_seq, end_ns)), self.words.unwind, r#type)
            }
            Exit::Open => (None, self.words.open, TextId::NONE),
        };
        if self.filter.passes(self.store, self.process, call) && self.filter.ends_pass(end) {
            self.rows.push(Row::new(self.process, call, end, exit, exception));
        }
    }

    fn exception(&mut self, _: &OpenException) {}

    fn desync(&mut self, _: u64, _: u64) {}
}

/// The calls that pass by their beginning. `call_id` and `start_seq` are the same number.
fn starts(plan: &Plan) -> IntSet {
    IntSet::of_either(plan, CALL_ID, START_SEQ)
}
