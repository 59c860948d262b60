//! Rows counted in groups of equal rows, before SQLite sees any: `grouped_events`,
//! `grouped_variables` and so on.
//!
//! In a query that only counts rows, passing each row to SQLite costs some fifty nanoseconds.
//! [`crate::sql`] turns such queries into queries of these tables. They have one row for all rows
//! that are equal in some columns, and the number of those rows in the last column. The first
//! argument of [`Groups`] holds a bit for each of these columns. A group may come in several parts,
//! each with its own number; the query adds them up.

mod tally;
mod workers;

use crate::store::{Error, Store};
use crate::tables::batch::{Batch, Column, NULL, ROWS};
use crate::tables::candidates::{Chunks, Scope};
use crate::tables::filter::IntSet;
use crate::tables::plan::{Flags, Plan, Request, Value};
use crate::tables::{Scan, Table};
use dashcam_schema::tables;
use std::borrow::Cow;
use std::marker::PhantomData;
use std::rc::Rc;
use tally::Row;
pub(crate) use tally::{Part, Tally};
use workers::Workers;

/// A table whose rows can be counted.
pub(crate) trait Countable: Table {
    /// The name of the table of its groups.
    const GROUPS: &'static str;
    /// Columns that rows can be grouped by: those in which many rows are equal.
    const KEYS: &'static [usize];
    /// Columns of the run and the position, if the rows of a part of a run can be read alone.
    const POSITION: Option<[usize; 2]>;

    /// Counts the rows of whole chunks without making them, where that is possible. Returns plans
    /// for the other rows. Damage is noted.
    fn count(
        store: &Rc<Store>,
        plan: &Plan,
        keys: &[usize],
        tally: &mut Tally,
    ) -> Result<Vec<Plan>, Error> {
        let _ = (store, keys, tally);
        Ok(vec![plan.clone()])
    }
}

/// The groups of a table's rows.
pub(crate) struct Groups<T>(PhantomData<T>);

/// The columns after those of the table itself.
const NAMES: [&str; 3] = ["rows_in_group", "key_columns", "filter_count"];
const COUNT: usize = 0;
const KEYS: usize = 1;
const FILTERS: usize = 2;

/// The call that replaces a table in the FROM of a statement. `keys` has a bit for each column to
/// group by; `filters` is the number of constraints on other columns.
pub(crate) fn call(name: &str, keys: u64, filters: usize) -> String {
    format!("{name}({keys}, {filters})")
}

/// The name of the column that holds the number of rows in a group.
pub(crate) const COUNT_NAME: &str = NAMES[COUNT];

impl<T: Countable> Table for Groups<T> {
    const NAME: &'static str = T::GROUPS;
    type Scan = GroupScan<T>;

    fn columns() -> &'static [tables::Column] {
        T::columns()
    }

    fn width() -> usize {
        T::width() + NAMES.len()
    }

    fn ddl() -> String {
        let column = |column: &tables::Column| format!("{} {}", column.name, column.r#type.sql());
        let columns: Vec<String> = T::columns().iter().map(column).collect();
        let [count, keys, filters] = NAMES;
        format!(
            "CREATE TABLE {} ({}, {count} INTEGER, {keys} HIDDEN, {filters} HIDDEN)",
            T::GROUPS,
            columns.join(", ")
        )
    }

    /// Refuses unless the table takes over every constraint on a column that is not a key: a group
    /// has no value in such a column that SQLite could test.
    fn plan(store: &Store, request: &mut Request) {
        let width = T::width();
        let known = |column| {
            let found = request.constraints.iter().find(|c| c.column == width + column);
            found.and_then(|constraint| constraint.integer)
        };
        let (Some(keys), Some(filters)) = (known(KEYS), known(FILTERS)) else {
            request.is_refused = true;
            return;
        };
        let keys = keys.cast_unsigned();
        // Columns that are tested are read too.
        let tested = request.constraints.iter().filter(|c| c.column < width);
        request.used = tested.fold(keys, |used, constraint| used | 1 << constraint.column);
        request.limit = None;
        request.order_by.clear();
        T::plan(store, request);
        request.flags = Flags::default();
        request.order_consumed = false;
        let others = request.constraints.iter().filter(|c| c.column < width);
        let mut others = others.filter(|c| keys >> c.column & 1 == 0);
        let taken = others.by_ref().take_while(|constraint| constraint.omit).count();
        request.is_refused = others.next().is_some() || taken as i64 != filters;
        for constraint in request.constraints.iter_mut().filter(|c| c.column > width) {
            (constraint.taken, constraint.omit) = (true, true);
        }
        request.rows = request.rows.min(1000.0);
    }

    fn scan(store: Rc<Store>, mut plan: Plan) -> Result<GroupScan<T>, Error> {
        let width = T::width();
        let argument = plan.constraints.iter().find(|(column, ..)| *column == width + KEYS);
        let keys = match argument.and_then(|(.., values)| values.first()) {
            Some(Value::Integer(keys)) => keys.cast_unsigned(),
            _ => 0,
        };
        plan.constraints.retain(|(column, ..)| *column < width);
        let keys: Vec<usize> = (0..width).filter(|column| keys >> column & 1 == 1).collect();
        Ok(GroupScan {
            plan: Some(plan),
            left: Vec::new(),
            rows: None,
            tally: Tally::of::<T>(&keys),
            workers: None,
            store,
            keys,
            groups: Vec::new(),
            given: 0,
            batch: 0,
        })
    }
}

pub(crate) struct GroupScan<T: Countable> {
    store: Rc<Store>,
    /// The columns that rows are grouped by.
    keys: Vec<usize>,
    /// The rows to count; `None` once counting has begun.
    plan: Option<Plan>,
    /// Plans of the rows to count one by one, the next at the end; and the scan of the current one.
    left: Vec<Plan>,
    rows: Option<T::Scan>,
    /// The threads that count instead.
    workers: Option<Workers>,
    tally: Tally,
    /// The counted groups, and how many of them were handed out.
    groups: Vec<(Row, u64)>,
    given: usize,
    /// Where the last batch begins.
    batch: usize,
}

/// Chunks that a thread reads one after another. Most of what it has found out about one of them
/// helps with the next.
const CHUNKS: usize = 16;

/// Splits the plans into parts for several threads, the first at the end. Empty if there is only
/// one thread.
fn parts(store: &Store, plans: &[Plan], columns: [usize; 2]) -> Vec<Plan> {
    if Workers::threads() == 1 {
        return Vec::new();
    }
    let mut parts = Vec::new();
    for plan in plans.iter().rev() {
        let [runs, seqs] = columns.map(|column| IntSet::of(plan, column));
        let scope = Scope { runs, processes: IntSet::ALL };
        for chunks in scope.chunks(store, seqs.lo, seqs.hi) {
            let chunks: Vec<usize> = chunks.collect();
            for chunks in chunks.chunks(CHUNKS) {
                let mut part = Chunks::new(plan, columns);
                chunks.iter().for_each(|chunk| part.add(store, *chunk));
                parts.extend(part.plans);
            }
        }
    }
    parts.reverse();
    parts
}

impl<T: Countable> GroupScan<T> {
    /// Counts the remaining rows, but stops once the tally is large.
    fn count(&mut self) -> Result<(), Error> {
        let mut batch = Batch::default();
        if let Some(plan) = self.plan.take() {
            self.left = T::count(&self.store, &plan, &self.keys, &mut self.tally)?;
            self.left.reverse();
            let parts = T::POSITION.map(|columns| parts(&self.store, &self.left, columns));
            if let Some(parts) = parts.filter(|parts| parts.len() > 1) {
                self.left.clear();
                self.workers = Some(Workers::start::<T>(&self.store, parts, &self.keys));
            }
        }
        while let Some(workers) = &mut self.workers {
            match workers.next(&self.store)? {
                Some(tally) => self.tally.merge(tally),
                None => {
                    self.left = workers.left();
                    self.workers = None;
                }
            }
            if self.tally.is_large() {
                return Ok(());
            }
        }
        loop {
            let Some(rows) = &mut self.rows else {
                let Some(plan) = self.left.pop() else { break };
                self.rows = Some(T::scan(self.store.clone(), plan)?);
                continue;
            };
            batch.reset(T::width());
            rows.fill(&mut batch)?;
            if batch.rows == 0 {
                self.rows = None;
                continue;
            }
            self.tally.add_batch(&self.store, rows, &batch, &self.keys)?;
            if self.tally.is_large() {
                break;
            }
        }
        Ok(())
    }
}

impl<T: Countable> Scan for GroupScan<T> {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Error> {
        if self.given == self.groups.len() {
            self.tally.clear();
            self.count()?;
            self.groups = self.tally.take();
            self.given = 0;
        }
        let end = self.groups.len().min(self.given + ROWS);
        let groups = &self.groups[self.given..end];
        batch.rows = groups.len();
        for column in 0..T::width() {
            let is_number = T::columns()[column].r#type == tables::Type::Integer;
            match self.keys.iter().position(|key| *key == column) {
                Some(part) if is_number => {
                    batch.ints(column, groups.iter().map(|(row, _)| row[part]));
                }
                // Also for columns that are not keys: reading one is an error.
                _ => batch.columns[column] = Column::Lazy,
            }
        }
        batch.ints(T::width() + COUNT, groups.iter().map(|(_, count)| *count as i64));
        self.batch = self.given;
        self.given = end;
        Ok(())
    }

    /// A group has no row whose id it could use. No statement that reads groups has an OR over
    /// them.
    fn rowid(&self, row: usize) -> i64 {
        (self.batch + row) as i64
    }

    fn text(&self, row: usize, column: usize) -> Result<Option<Cow<'_, str>>, Error> {
        let Some(part) = self.keys.iter().position(|key| *key == column) else {
            let name = T::columns().get(column).map_or("a hidden column", |column| column.name);
            let message = format!("bug in dashcam: {} is not grouped by {name}", T::GROUPS);
            return Err(Error::Sqlite { path: self.store.path().to_owned(), message });
        };
        let text = self.groups.get(self.batch + row).map(|(row, _)| row[part]);
        Ok(text
            .filter(|text| *text != NULL)
            .and_then(|text| self.tally.text(text))
            .map(Cow::Borrowed))
    }
}
