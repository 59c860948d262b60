//! Rows of a recording as batches of columns.
//!
//! A [`Table`] takes over constraints in `plan`, and in `scan` produces the rows that pass them as
//! [`Batch`](batch::Batch)es. SQLite's virtual tables ([`crate::sql`]) are made of these. A table's
//! columns are those that `dashcam_schema::tables` declares.

/// Numbers the columns of a table in the order given, which must be that of the declaration.
macro_rules! columns {
    ($($name:ident)*) => {
        columns!(@number 0; $($name)*);
        #[cfg(test)]
        pub(crate) const COLUMNS: &[&str] = &[$(stringify!($name)),*];
    };
    (@number $n:expr; $name:ident $($rest:ident)*) => {
        // Columns that are always NULL are never mentioned.
        #[allow(dead_code)]
        pub(super) const $name: usize = $n;
        columns!(@number $n + 1; $($rest)*);
    };
    (@number $n:expr;) => {};
}

mod at;
pub mod batch;
mod c_calls;
mod calls;
mod candidates;
mod changes;
mod events;
mod exception_chain;
mod exceptions;
mod filter;
mod found;
mod groups;
mod lines;
mod locals_at;
mod mutations;
mod named;
mod object_at;
pub mod plan;
mod question;
mod replay;
mod stack_at;
mod timeline;
mod variables;

pub(crate) use c_calls::CCalls;
pub(crate) use calls::{CallTree, CalleesOf, CallersOf, Calls};
pub(crate) use events::Events;
pub(crate) use exception_chain::ExceptionChain;
pub(crate) use exceptions::Exceptions;
pub(crate) use groups::{COUNT_NAME, Countable, Groups, call};
pub(crate) use lines::{ExecutableLines, Lines};
pub(crate) use locals_at::LocalsAt;
pub(crate) use mutations::Mutations;
pub(crate) use named::{EventsBetween, NamedTable, ValuesOf};
pub(crate) use object_at::ObjectAt;
pub(crate) use question::Questions;
pub(crate) use stack_at::StackAt;
pub(crate) use timeline::Timeline;
pub(crate) use variables::Variables;

use crate::store::{Error, Store};
use batch::Batch;
use dashcam_schema::tables::{self, Column};
use plan::{Plan, Request};
use std::borrow::Cow;
use std::rc::Rc;

/// A virtual table. Its columns are those [`dashcam_schema::tables::TABLES`] declares.
pub trait Table: 'static {
    const NAME: &'static str;
    type Scan: Scan;

    /// The columns as declared; empty if the table has no declaration.
    fn columns() -> &'static [Column] {
        tables::find(Self::NAME).map_or(&[], |table| table.columns)
    }

    /// The number of columns in a batch.
    fn width() -> usize {
        Self::columns().len()
    }

    /// The statement that declares the columns to SQLite.
    fn ddl() -> String {
        tables::find(Self::NAME).map(tables::Table::ddl).unwrap_or_default()
    }

    /// Takes over the constraints that the table can test, and estimates the cost of a scan. Must
    /// not use the connection: it is busy preparing the statement.
    fn plan(store: &Store, request: &mut Request);

    /// Begins a scan.
    fn scan(store: Rc<Store>, plan: Plan) -> Result<Self::Scan, Error>;
}

/// A scan in progress.
pub trait Scan {
    /// Puts the next rows into `batch`, which was reset. No rows means the end.
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Error>;

    /// Returns the id of a row of the last batch. A row must have the same id in every scan: SQLite
    /// uses it to find the rows that both sides of an OR have in common.
    fn rowid(&self, row: usize) -> i64;

    /// The text of a row of the last batch, in a column that is [`Column::Lazy`] there.
    fn text(&self, row: usize, column: usize) -> Result<Option<Cow<'_, str>>, Error> {
        let _ = (row, column);
        Ok(None)
    }
}

/// A table whose rows can be counted without SQLite.
pub(crate) struct CountableTable {
    pub(crate) name: &'static str,
    /// The name of the table of its groups.
    pub(crate) groups: &'static str,
    /// Columns that rows can be grouped by.
    pub(crate) keys: &'static [usize],
}

const fn countable<T: Countable>() -> CountableTable {
    CountableTable { name: T::NAME, groups: T::GROUPS, keys: T::KEYS }
}

pub(crate) const COUNTABLE: [CountableTable; 5] = [
    countable::<Events>(),
    countable::<Calls>(),
    countable::<Exceptions>(),
    countable::<Variables>(),
    countable::<Mutations>(),
];

/// A row's id, made of its run and its number in the run.
fn rowid(run_id: i64, seq: i64) -> i64 {
    run_id.wrapping_shl(44) ^ seq
}

/// Converts for SQL, whose integers end at `i64::MAX`.
fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    /// The numbers used in the code are the positions in the declaration.
    #[test]
    fn columns_are_in_the_order_of_the_declaration() {
        for (table, columns) in [
            ("events", super::events::COLUMNS),
            ("calls", super::calls::COLUMNS),
            ("c_calls", super::c_calls::COLUMNS),
            ("exceptions", super::exceptions::COLUMNS),
            ("variables", super::variables::COLUMNS),
            ("mutations", super::mutations::COLUMNS),
            ("stack_at", super::stack_at::COLUMNS),
            ("locals_at", super::locals_at::COLUMNS),
            ("object_at", super::object_at::COLUMNS),
            ("call_tree", super::calls::tree::COLUMNS),
            ("callers_of", super::calls::edges::COLUMNS),
            ("callees_of", super::calls::edges::COLUMNS),
            ("lines", super::lines::COLUMNS),
            ("executable_lines", super::lines::executable_columns::COLUMNS),
            ("values_of", super::named::values::COLUMNS),
            ("events_between", super::named::between::COLUMNS),
            ("exception_chain", super::exception_chain::COLUMNS),
            ("timeline", super::timeline::COLUMNS),
        ] {
            let declared = dashcam_schema::tables::find(table).expect(table).columns;
            let declared: Vec<_> = declared.iter().map(|c| c.name.to_uppercase()).collect();
            assert_eq!(columns, declared, "{table}");
        }
    }
}
