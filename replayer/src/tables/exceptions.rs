//! `exceptions`: every exception raised in Python code.
//!
//! A row is complete when the call that holds the exception ends. An exception's row changes only
//! at events about exceptions, so chunks without any are skipped, and an exception that is pending
//! at the end of the last chunk that was read does not change any more. Whether an exception is
//! swallowed depends on the next event of a frame: see `fates.rs`.

mod fates;
mod outcome;

use self::fates::Fates;
use self::outcome::Outcome;
use super::candidates::{self, CodeFilter, CodeTest, Scope};
use super::replay::{Listener, replay};
use super::{int, rowid};
use crate::store::texts::TextId;
use crate::store::values::Raised;
use crate::store::{Chunk, ChunkHeader, Code, Error, Process, Store};
use crate::tables::batch::{Batch, Column, NULL};
use crate::tables::filter::{IntSet, TextSet};
use crate::tables::found::Found;
use crate::tables::plan::{Plan, Request};
use crate::tables::{Countable, Scan, Table};
use dashcam_schema::calls::{Calls, Event, Exit, OpenCall, OpenException, Sink, Site};
use dashcam_schema::chunk::DERIVED_EVENTS_MAX;
use dashcam_schema::event::EventKind;
use dashcam_schema::tables::Type;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::rc::Rc;

columns! {
    RUN_ID SEQ PROCESS_ID THREAD_ID CALL_ID TYPE MESSAGE CODE_ID PATH LINE OUTCOME
    SWALLOWED_BY HANDLED_SEQ HANDLED_LINE
    ARGUMENTS CAUSE CONTEXT IS_MINE
}

/// Kinds that begin a row.
const RAISING: u32 = 1 << EventKind::RAISE.number() | 1 << EventKind::RERAISE.number();
/// Kinds that change a row.
const CHANGING: u32 =
    RAISING | 1 << EventKind::EXCEPTION_HANDLED.number() | 1 << EventKind::PY_UNWIND.number();

/// The number of consecutive chunks that are read to find the next event of a frame. C code may
/// call Python for as long as the program runs. After this many chunks it stays unknown which C
/// code swallowed the exception.
const WAIT_CHUNKS_MAX: usize = 8;

pub(crate) struct Exceptions;

impl Table for Exceptions {
    const NAME: &'static str = "exceptions";
    type Scan = ExceptionScan;

    fn plan(store: &Store, request: &mut Request) {
        let directory = store.directory();
        let raising = store.chunks().iter().filter(|chunk| chunk.kinds & RAISING != 0);
        let events: f64 = raising.map(|chunk| chunk.events as f64).sum();
        let one_of = |n: usize| 1.0 / n.max(1) as f64;
        let total = (events / 1000.0).max(1.0);
        request.rows = total;
        request.take(RUN_ID, Type::Integer, one_of(directory.runs.len()), 0.5);
        request.take(SEQ, Type::Integer, 1.0 / total, 0.25);
        request.take(CODE_ID, Type::Integer, one_of(directory.codes.len().max(4)), 0.5);
        request.take(PATH, Type::Text, 0.1, 1.0);
        request.take_patterns(PATH);
        let scanned = (request.rows * 1000.0).max(events.min(DERIVED_EVENTS_MAX as f64));
        request.take(PROCESS_ID, Type::Integer, one_of(directory.processes.len()), 0.5);
        request.take(THREAD_ID, Type::Integer, one_of(directory.threads.len()), 0.5);
        request.take(CALL_ID, Type::Integer, 1.0 / total, 0.25);
        request.take(TYPE, Type::Text, 0.1, 1.0);
        request.cost = request.rows * 2.0 + scanned * 0.1;
    }

    fn scan(store: Rc<Store>, plan: Plan) -> Result<ExceptionScan, Error> {
        let filter = Filter::new(&store, &plan)?;
        let ranges = filter.scope.chunks(&store, filter.seqs.lo, i64::MAX);
        let chunks = ranges.into_iter().flatten();
        Ok(ExceptionScan {
            chunks: chunks.collect(),
            store,
            plan,
            filter,
            done: 0,
            pending: BTreeMap::new(),
            found: Found::default(),
            waited_chunks: 0,
        })
    }
}

impl Countable for Exceptions {
    const GROUPS: &'static str = "grouped_exceptions";
    /// An exception that was raised in one part of a run may end in any other.
    const POSITION: Option<[usize; 2]> = None;
    const KEYS: &'static [usize] = &[
        RUN_ID,
        PROCESS_ID,
        THREAD_ID,
        TYPE,
        MESSAGE,
        CODE_ID,
        PATH,
        LINE,
        OUTCOME,
        SWALLOWED_BY,
        HANDLED_LINE,
        ARGUMENTS,
        CAUSE,
        CONTEXT,
        IS_MINE,
    ];
}

struct Filter {
    scope: Scope,
    seqs: IntSet,
    calls: IntSet,
    threads: IntSet,
    types: TextSet,
    codes: CodeFilter<CodeTest>,
}

impl Filter {
    fn new(store: &Store, plan: &Plan) -> Result<Filter, Error> {
        let texts = &store.directory().texts;
        let codes = candidates::codes(store, plan, CODE_ID, &[(PATH, "path", |code| code.path)])?;
        let codes = CodeFilter::new(codes, false);
        Ok(Filter {
            scope: Scope {
                runs: IntSet::of(plan, RUN_ID),
                processes: IntSet::of(plan, PROCESS_ID),
            },
            seqs: IntSet::of(plan, SEQ),
            calls: IntSet::of(plan, CALL_ID),
            threads: IntSet::of(plan, THREAD_ID),
            types: TextSet::of(plan, TYPE, texts),
            codes,
        })
    }

    /// Whether an exception that passes can be raised in a chunk.
    fn may_pass(&self, store: &Store, header: &ChunkHeader) -> bool {
        header.kinds & RAISING != 0
            && self.seqs.overlaps(header.first_seq, header.last_seq)
            && header.last_seq >= self.calls.lo
            && self.codes.passes_any(store, header)
    }

    fn passes(&self, store: &Store, process: &Process, exception: &OpenException) -> bool {
        let thread = || process.threads.get(&exception.thread).copied();
        self.seqs.contains(int(exception.seq))
            && self.calls.contains(int(exception.call_id))
            && (self.threads.is_all() || thread().is_some_and(|id| self.threads.contains(id)))
            && self.codes.passes(store, process, exception.site.code)
    }
}

/// One exception.
struct Row {
    process_id: i64,
    open: OpenException,
    r#type: TextId,
    /// `None` if the chunk in which it was raised cannot be read.
    message: Option<Box<str>>,
    outcome: Outcome,
}

/// The exceptions of a process whose outcome is not known yet.
#[derive(Default)]
struct Pending {
    /// By `seq`.
    rows: FxHashMap<u64, Row>,
    fates: Fates,
    /// The last exception that left the outermost frame of the main thread. Only the last can have
    /// ended the program.
    outermost: Option<Row>,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.outermost.is_none()
    }
}

pub(crate) struct ExceptionScan {
    store: Rc<Store>,
    plan: Plan,
    filter: Filter,
    chunks: Vec<usize>,
    done: usize,
    /// By process.
    pending: BTreeMap<i64, Pending>,
    found: Found<Row>,
    /// Chunks read since the last one with an event about an exception, while a frame is waited
    /// for.
    waited_chunks: usize,
}

impl Scan for ExceptionScan {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Error> {
        while self.found.is_over() {
            self.store.progress(self.done, self.chunks.len());
            if let Some(&index) = self.chunks.get(self.done) {
                self.done += 1;
                self.visit(index)?;
            } else if let Some((_, pending)) = self.pending.pop_first() {
                self.found.rows = self.settled(pending);
                self.found.rows.retain(|row| self.filter.types.contains(row.r#type));
                self.found.rows.sort_unstable_by_key(|row| row.open.seq);
            } else {
                return Ok(());
            }
        }
        put(&self.store, &self.plan, self.found.next(), batch)
    }

    fn rowid(&self, row: usize) -> i64 {
        self.found.row(row).map_or(0, |row| {
            let run_id = self.store.directory().run_of(row.process_id).unwrap_or(0);
            rowid(run_id, int(row.open.seq))
        })
    }
}

impl ExceptionScan {
    fn visit(&mut self, index: usize) -> Result<(), Error> {
        let store = self.store.clone();
        let header = &store.chunks()[index];
        let pending = self.pending.get(&header.process_id);
        let is_pending = pending.is_some_and(|p| !p.is_empty());
        let awaits = pending.is_some_and(|p| p.fates.awaits_any(&header.threads));
        if awaits && header.kinds & CHANGING == 0 {
            self.waited_chunks += 1;
        } else {
            self.waited_chunks = 0;
        }
        if !self.filter.scope.has(header)
            || header.kinds & CHANGING == 0 && (!awaits || self.waited_chunks > WAIT_CHUNKS_MAX)
            || !is_pending && !self.filter.may_pass(&store, header)
        {
            if let Some(pending) = self.pending.get_mut(&header.process_id) {
                pending.fates.pass_over(&header.threads);
            }
            return Ok(());
        }
        let pending = self.pending.entry(header.process_id).or_default();
        let (filter, mut rows) = (&self.filter, std::mem::take(&mut self.found.rows));
        let read = store.chunk(index).and_then(|chunk| {
            let process = store.process(header);
            let mut collect = Collect {
                store: &store,
                process,
                chunk: &chunk,
                filter,
                pending,
                rows: &mut rows,
                event: None,
                failed: None,
            };
            let calls = replay(header, &chunk, &mut collect)?;
            collect.keep(&calls);
            collect.failed.map_or(Ok(()), Err)
        });
        rows.retain(|row| filter.types.contains(row.r#type));
        self.found.rows = rows;
        let Err(error) = read else { return Ok(()) };
        // What became of the exceptions that were not handled yet may be in this chunk.
        self.pending.remove(&header.process_id);
        store.note(index, error)
    }
}

impl ExceptionScan {
    /// The rows of a process after its last chunk was read.
    fn settled(&self, mut pending: Pending) -> Vec<Row> {
        let mut rows: Vec<Row> = pending.rows.into_values().collect();
        let directory = self.store.directory();
        for row in &mut rows {
            let process = &directory.processes[&row.process_id];
            let type_name = directory.texts.get(row.r#type).unwrap_or_default();
            row.outcome = match pending.fates.known(row.open.seq) {
                _ if row.open.handled.is_some() => {
                    outcome::handled(directory, process, &row.open, type_name)
                }
                Some(by) => outcome::swallowed(directory, process, type_name, by),
                None => Outcome::InFlight,
            };
        }
        rows.extend(pending.outermost.take().map(|mut row| {
            let process = &directory.processes[&row.process_id];
            row.outcome = outcome::last(
                process,
                row.outcome,
                directory.texts.get(row.r#type).unwrap_or_default(),
            );
            row
        }));
        rows
    }
}

/// Collects the rows of a chunk.
struct Collect<'a> {
    store: &'a Store,
    process: &'a Process,
    chunk: &'a Chunk,
    filter: &'a Filter,
    pending: &'a mut Pending,
    rows: &'a mut Vec<Row>,
    /// The event that is being applied.
    event: Option<Event>,
    failed: Option<Error>,
}

impl Collect<'_> {
    /// Adds the exceptions that are open at the chunk's end to the pending rows.
    fn keep(&mut self, calls: &Calls) {
        let open = calls.all().flat_map(|call| &call.exceptions);
        for exception in open {
            if self.filter.passes(self.store, self.process, exception) {
                let row = self.row(exception);
                self.pending.rows.insert(exception.seq, row);
            }
        }
    }

    /// The type and message come from the chunk in which it was raised: later chunks need not have
    /// them.
    fn row(&mut self, open: &OpenException) -> Row {
        let (process_id, open) = (self.process.process_id, open.clone());
        if let Some(before) = self.pending.rows.remove(&open.seq) {
            return Row { open, ..before };
        }
        let entry = self.chunk.exception(open.exception).ok().flatten();
        let name = entry.and_then(|e| self.process.exception_types.get(&e.exception_type));
        Row {
            process_id,
            open,
            r#type: name.copied().unwrap_or(TextId::NONE),
            message: entry.map(|entry| entry.message.as_str().into()),
            outcome: Outcome::InFlight,
        }
    }
}

impl Listener for Collect<'_> {
    fn wants_all(&self, thread: u32) -> bool {
        self.pending.fates.awaits(thread)
    }

    fn before(&mut self, calls: &Calls, event: &Event, index: usize) {
        let (chunk, process, failed) = (self.chunk, self.process, &mut self.failed);
        self.pending.fates.before(calls, event, || {
            let callables = chunk.callables().map_err(|error| *failed = Some(error)).ok()?;
            let number = callables.get(index).filter(|_| event.kind.has_callable())?;
            process.callables.get(number).copied()
        });
        self.event = Some(*event);
    }

    fn after(&mut self, calls: &Calls, event: &Event) {
        let left = match event.kind {
            EventKind::RAISE | EventKind::RERAISE => None,
            EventKind::PY_UNWIND => Some(event.code),
            _ => return,
        };
        let Some((thread, top)) = calls.thread().zip(calls.innermost()) else { return };
        let is_it = |e: &&OpenException| e.exception == event.exception && e.handled.is_none();
        if let Some(open) = top.exceptions.iter().rfind(is_it)
            && self.filter.passes(self.store, self.process, open)
        {
            let exception = (open.seq, open.exception);
            self.pending.fates.arrived(thread, exception, top.call_id, left);
        }
    }
}

impl Sink for Collect<'_> {
    fn call(&mut self, _: &OpenCall, _: u64, _: u64, _: Exit) {}

    fn exception(&mut self, exception: &OpenException) {
        if !self.filter.passes(self.store, self.process, exception) {
            return;
        }
        let directory = self.store.directory();
        let mut row = self.row(exception);
        let type_name = directory.texts.get(row.r#type).unwrap_or_default();
        let by = self.pending.fates.settle(exception.seq);
        let code = |number: u32| self.process.codes.get(&number).map(|i| &directory.codes[*i]);
        // An exception that leaves a frame is held by the frame below it, if there is one.
        let unwound = self.event.filter(|event| {
            event.kind == EventKind::PY_UNWIND && event.exception == exception.exception
        });
        row.outcome = match unwound {
            _ if exception.handled.is_some() => {
                outcome::handled(directory, self.process, exception, type_name)
            }
            Some(_) if self.process.main_thread.is_some_and(|main| main != exception.thread) => {
                Outcome::Thread
            }
            Some(event) => {
                let is_main = code(event.code)
                    .is_some_and(|code| code.is_module || outcome::is_runpy(directory, code));
                let ended = self.pending.outermost.as_ref();
                if !is_main && ended.is_some_and(|row| row.outcome == Outcome::Program) {
                    // sys.excepthook and atexit functions run after the program has ended.
                    row.outcome = outcome::at_exit();
                    self.rows.push(row);
                    return;
                }
                let outcome = if is_main { Outcome::Program } else { Outcome::InFlight };
                let before = self.pending.outermost.replace(Row { outcome, ..row });
                self.rows.extend(before.map(|row| Row { outcome: outcome::elsewhere(), ..row }));
                return;
            }
            None => match by {
                Some(by) => outcome::swallowed(directory, self.process, type_name, by),
                None => Outcome::InFlight,
            },
        };
        self.rows.push(row);
    }

    fn desync(&mut self, _: u64, _: u64) {}
}

fn put(store: &Store, plan: &Plan, rows: &[Row], batch: &mut Batch) -> Result<(), Error> {
    batch.rows = rows.len();
    let process = |row: &Row| &store.directory().processes[&row.process_id];
    let code = |row: &Row| -> Option<&Code> {
        let index = process(row).codes.get(&row.open.site.code)?;
        Some(&store.directory().codes[*index])
    };
    let line = |row: &Row, site: Site| store.line(process(row), site).unwrap_or(NULL);
    let handler_line = |row: &Row, site: Site| {
        let code = process(row).codes.get(&site.code).map(|i| &store.directory().codes[*i]);
        let lines = code.and_then(|code| store.lines(code));
        lines.and_then(|lines| lines.line_from(site.place)).map_or(NULL, i64::from)
    };
    for column in (0..batch.columns.len()).filter(|column| plan.uses(*column)) {
        let mut ints = |value: &dyn Fn(&Row) -> i64| batch.ints(column, rows.iter().map(value));
        match column {
            RUN_ID => ints(&|row| process(row).run_id),
            SEQ => ints(&|row| int(row.open.seq)),
            PROCESS_ID => ints(&|row| row.process_id),
            THREAD_ID => {
                ints(&|row| process(row).threads.get(&row.open.thread).copied().unwrap_or(NULL));
            }
            CALL_ID => ints(&|row| int(row.open.call_id)),
            TYPE => batch.texts(column, rows.iter().map(|row| row.r#type)),
            MESSAGE => {
                let messages = rows.iter().map(|row| row.message.clone());
                batch.columns[column] = Column::Owned(messages.collect());
            }
            CODE_ID => ints(&|row| code(row).map_or(NULL, |code| code.code_id)),
            PATH => {
                let path = |row| code(row).map_or(TextId::NONE, |code| code.path);
                batch.texts(column, rows.iter().map(path));
            }
            LINE => ints(&|row| line(row, row.open.site)),
            OUTCOME => {
                let outcomes = rows.iter().map(|row| Some(row.outcome.name().into()));
                batch.columns[column] = Column::Owned(outcomes.collect());
            }
            SWALLOWED_BY => {
                let by = rows.iter().map(|row| row.outcome.by().map(Into::into));
                batch.columns[column] = Column::Owned(by.collect());
            }
            HANDLED_SEQ => ints(&|row| row.open.handled.map_or(NULL, |(seq, _)| int(seq))),
            HANDLED_LINE => {
                ints(&|row| row.open.handled.map_or(NULL, |(_, site)| handler_line(row, site)));
            }
            IS_MINE => ints(&|row| {
                let codes = &process(row).codes;
                let is_mine = |number: u32| {
                    let code = codes.get(&number).map(|index| &store.directory().codes[*index]);
                    code.is_some_and(|code| store.is_mine(code))
                };
                let handled = row.open.handled.is_some_and(|(_, site)| is_mine(site.code));
                i64::from(handled || is_mine(row.open.site.code))
            }),
            ARGUMENTS => batch.columns[column] = parts(store, rows, |raised| raised.arguments)?,
            CAUSE => batch.columns[column] = parts(store, rows, |raised| raised.cause)?,
            CONTEXT => batch.columns[column] = parts(store, rows, |raised| raised.context)?,
            _ => {}
        }
    }
    Ok(())
}

/// A part of each exception that was captured with its value.
fn parts(store: &Store, rows: &[Row], part: fn(Raised) -> Option<String>) -> Result<Column, Error> {
    let text = |row: &Row| {
        let process = &store.directory().processes[&row.process_id];
        let raised = match store.has_values(process) {
            true => store.raised_at(process.run_id, int(row.open.seq))?,
            false => None,
        };
        Ok(raised.and_then(part).map(String::into_boxed_str))
    };
    rows.iter().map(text).collect::<Result<_, Error>>().map(Column::Owned)
}
