//! `events`: every event, in order.

mod columns;
mod count;
mod groups;
mod select;

use super::candidates::{self, Scope};
use super::rowid;
use crate::store::{Error, Store};
use crate::tables::batch::{Batch, ROWS};
use crate::tables::filter::IntSet;
use crate::tables::groups::Tally;
use crate::tables::plan::{Flags, Plan, Request};
use crate::tables::{Countable, Scan, Table};
use columns::Reader;
use dashcam_schema::chunk::DERIVED_EVENTS_MAX;
use dashcam_schema::tables::Type;
use groups::Grouped;
use select::{Filter, Selection};
use std::ops::Range;
use std::rc::Rc;

columns! {
    RUN_ID SEQ PROCESS_ID THREAD_ID TIME_NS KIND CODE_ID OFFSET LINE TARGET_OFFSET TARGET_LINE
    CALLABLE EXCEPTION VALUE WALL_NS
}

pub(crate) struct Events;

impl Table for Events {
    const NAME: &'static str = "events";
    type Scan = EventScan;

    fn plan(store: &Store, request: &mut Request) {
        let directory = store.directory();
        let total: f64 = store.chunks().iter().map(|chunk| chunk.events as f64).sum();
        let one_of = |n: usize| 1.0 / n.max(1) as f64;
        request.rows = total;
        request.take(RUN_ID, Type::Integer, one_of(directory.runs.len()), 0.5);
        request.take(SEQ, Type::Integer, 1.0 / total.max(1.0), 0.25);
        request.take(TIME_NS, Type::Integer, 100.0 / total.max(100.0), 0.25);
        // The other constraints are tested event by event, at a small part of the cost of a row.
        let scanned = request.rows.max(total.min(DERIVED_EVENTS_MAX as f64));
        request.take(PROCESS_ID, Type::Integer, one_of(directory.processes.len()), 0.5);
        request.take(THREAD_ID, Type::Integer, one_of(directory.threads.len()), 0.5);
        request.take(CODE_ID, Type::Integer, one_of(directory.codes.len().max(4)), 0.5);
        request.take(LINE, Type::Integer, 0.001, 0.25);
        request.take(KIND, Type::Text, 0.1, 1.0);
        request.take(CALLABLE, Type::Text, 0.01, 1.0);
        request.take(EXCEPTION, Type::Text, 0.001, 1.0);
        request.cost = request.rows + scanned * 0.02;
        order(store, request);
    }

    fn scan(store: Rc<Store>, plan: Plan) -> Result<EventScan, Error> {
        let scan = Rows::new(store, plan);
        Ok(if scan.plan.flags.has(Flags::GROUPED) {
            EventScan::Grouped(Grouped::new(scan))
        } else {
            EventScan::Rows(scan)
        })
    }
}

impl Countable for Events {
    const GROUPS: &'static str = "grouped_events";
    const POSITION: Option<[usize; 2]> = Some([RUN_ID, SEQ]);
    const KEYS: &'static [usize] = &[
        RUN_ID,
        PROCESS_ID,
        THREAD_ID,
        KIND,
        CODE_ID,
        OFFSET,
        LINE,
        TARGET_OFFSET,
        TARGET_LINE,
        CALLABLE,
        EXCEPTION,
        VALUE,
    ];

    fn count(
        store: &Rc<Store>,
        plan: &Plan,
        keys: &[usize],
        tally: &mut Tally,
    ) -> Result<Vec<Plan>, Error> {
        count::count(store, plan, keys, tally)
    }
}

/// The columns that rows can be grouped by.
const GROUPS: [(usize, Flags); 3] =
    [(KIND, Flags::BY_KIND), (THREAD_ID, Flags::BY_THREAD), (CODE_ID, Flags::BY_CODE)];

/// Takes over orders by position, and by the columns that rows can be grouped by.
fn order(store: &Store, request: &mut Request) {
    candidates::take_order(store, request, [RUN_ID, SEQ], true);
    if let [(column, descending)] = request.order_by[..]
        && let Some((_, group)) = GROUPS.iter().find(|(of, _)| *of == column)
        && request.used & !(1 << RUN_ID | 1 << PROCESS_ID | 1 << column) == 0
    {
        // Counting is enough to produce the rows, and saves SQLite from sorting them all.
        request.flags = Flags(group.0 | if descending { Flags::DESCENDING.0 } else { 0 });
        request.order_consumed = true;
    }
}

pub(crate) enum EventScan {
    Rows(Rows),
    Grouped(Grouped),
}

impl Scan for EventScan {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Error> {
        match self {
            EventScan::Rows(rows) => rows.fill(batch),
            EventScan::Grouped(groups) => groups.fill(batch),
        }
    }

    fn rowid(&self, row: usize) -> i64 {
        match self {
            EventScan::Rows(rows) => rows.rowid(row),
            // A grouped scan is never part of an OR, and it only knows groups.
            EventScan::Grouped(_) => 0,
        }
    }
}

/// Reads the rows chunk by chunk: in each, the events that the filter selects.
pub(crate) struct Rows {
    store: Rc<Store>,
    plan: Plan,
    filter: Filter,
    /// Indexes of the chunks to read, in the order of the scan.
    chunks: Vec<usize>,
    /// How many of them were read.
    done: usize,
    current: Option<(Reader, Selection)>,
    /// The events of the last batch; if it is empty, their ranges are in `all`.
    indexes: Vec<u32>,
    all: Vec<Range<u32>>,
}

impl Rows {
    fn new(store: Rc<Store>, plan: Plan) -> Rows {
        let filter = Filter::new(&store, &plan);
        let ranges = filter.scope.chunks(&store, filter.seqs.lo, filter.seqs.hi);
        let mut chunks: Vec<usize> = ranges.into_iter().flatten().collect();
        if plan.flags.has(Flags::DESCENDING) && !plan.flags.has(Flags::GROUPED) {
            chunks.reverse();
        }
        Rows {
            store,
            plan,
            filter,
            chunks,
            done: 0,
            current: None,
            indexes: Vec::new(),
            all: Vec::new(),
        }
    }

    /// Finds the next chunk with events that pass; `None` at the end.
    fn advance(&mut self) -> Result<Option<(Reader, Selection)>, Error> {
        while let Some(&index) = self.chunks.get(self.done) {
            self.store.progress(self.done, self.chunks.len());
            self.done += 1;
            if !self.filter.may_pass(&self.store, index) {
                continue;
            }
            let mut reader = Reader::new(self.store.clone(), index);
            let selected = self.filter.select(&mut reader).and_then(|rows| {
                if rows.is_empty() { Ok(rows) } else { reader.prepare(&self.plan).map(|()| rows) }
            });
            match selected {
                Ok(rows) if rows.is_empty() => {}
                Ok(rows) => return Ok(Some((reader, rows))),
                Err(error) => self.store.note(index, error)?,
            }
        }
        self.store.progress(self.done, self.chunks.len());
        Ok(None)
    }

    fn rowid(&self, row: usize) -> i64 {
        let Some((reader, _)) = &self.current else { return 0 };
        let mut all = self.all.iter().cloned().flatten();
        let index = self.indexes.get(row).copied().or_else(|| all.nth(row)).unwrap_or(0);
        rowid(reader.header().run_id, reader.header().first_seq + i64::from(index))
    }

    fn fill(&mut self, batch: &mut Batch) -> Result<(), Error> {
        if self.current.as_ref().is_none_or(|(_, rows)| rows.is_empty()) {
            self.current = self.advance()?;
        }
        let Some((reader, rows)) = &mut self.current else { return Ok(()) };
        if reader.chunk().is_none() && self.plan.used & !(1 << RUN_ID | 1 << PROCESS_ID) == 0 {
            // No single events are needed: SQLite can count them all at once.
            self.indexes.clear();
            self.all = rows.ranges().to_vec();
            batch.rows = rows.take_all();
            return reader.read(&self.plan, &[], batch);
        }
        rows.take(ROWS, self.plan.flags.has(Flags::DESCENDING), &mut self.indexes);
        batch.rows = self.indexes.len();
        reader.read(&self.plan, &self.indexes, batch)
    }
}

/// The part of [`Filter`] that every table has.
fn scope(plan: &Plan) -> Scope {
    Scope { runs: IntSet::of(plan, RUN_ID), processes: IntSet::of(plan, PROCESS_ID) }
}
