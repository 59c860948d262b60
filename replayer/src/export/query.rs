//! Reads any table by name, with columns and simple filters.

use super::columns::{self, Added, Builder, Exported};
use super::{Error, ROWS, Sink, condition, statement};
use crate::sql::{Recording, rows_of_run};
use crate::store::{self, Store};
use crate::suggest;
use crate::tables::batch::{Batch, Column, NULL};
use crate::tables::plan::{Constraint, Flags, Op, Plan, Request, Value};
use crate::tables::{
    CCalls, Calls, Events, Exceptions, Mutations, Scan, Table as VirtualTable, Variables,
};
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{Schema, SchemaRef};
use dashcam_schema::tables::{self, Table, Type};
use rusqlite::types::Value as Sql;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// A batch ends at this number of bytes of text, even if it has room for more rows.
const TEXT_BYTES: usize = 16 << 20;

/// A condition on a column's values. NULL passes no filter.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    pub column: String,
    /// Any operator except `Like` and `Glob`.
    pub op: Op,
    /// One value, or any number with [`Op::In`]; integers or texts, like the column.
    pub values: Vec<Value>,
}

/// Some columns and rows of a table.
///
/// Without filters all rows are read: those of the run that the recording is
/// [bound](Recording::bind) to, or of all runs.
pub struct Query<'a> {
    recording: &'a Recording,
    table: &'static Table,
    columns: Vec<Exported>,
    filters: Vec<(usize, Filter)>,
    /// Conditions in SQL.
    conditions: Vec<String>,
    run_id: Option<i64>,
    schema: SchemaRef,
}

/// A scan, and the filters by column that the scan does not test itself.
type Begun<'a> = (Box<dyn Scan>, Vec<&'a (usize, Filter)>);

impl<'a> Query<'a> {
    /// A query for all columns of a table.
    ///
    /// # Errors
    /// If there is no such table, or it cannot be read without arguments.
    pub fn new(recording: &'a Recording, table: &str) -> Result<Query<'a>, Error> {
        let is_public = |table: &&&Table| !table.is_internal;
        let Some(table) = tables::find(table).filter(|table| is_public(&table)) else {
            let names = tables::TABLES.iter().filter(|t| is_public(&t)).map(|t| t.name);
            let hint = suggest::closest(table, names);
            let hint = hint.map_or(String::new(), |name| format!("; did you mean {name}?"));
            return Err(Error::NoTable { name: table.to_owned(), hint });
        };
        if table.has_arguments() {
            return Err(Error::NeedsArguments { name: table.name.to_owned() });
        }
        let columns = columns::all(table, false);
        let schema = schema(table, &columns);
        Ok(Query {
            recording,
            table,
            columns,
            filters: Vec::new(),
            conditions: Vec::new(),
            run_id: None,
            schema,
        })
    }

    /// Selects only these columns, in this order.
    ///
    /// # Errors
    /// If the table has no such column.
    pub fn columns<S: AsRef<str>>(mut self, names: &[S]) -> Result<Query<'a>, Error> {
        let find = |name: &S| {
            let name = name.as_ref();
            columns::find(self.table, name).ok_or_else(|| self.no_column(name))
        };
        self.columns = names.iter().map(find).collect::<Result<_, _>>()?;
        self.schema = schema(self.table, &self.columns);
        Ok(self)
    }

    /// Selects all columns, including values as JSON.
    pub(super) fn with_json(mut self) -> Query<'a> {
        self.columns = columns::all(self.table, true);
        self.schema = schema(self.table, &self.columns);
        self
    }

    /// Selects only rows that pass this filter, in addition to earlier ones.
    ///
    /// # Errors
    /// If the table has no such column, or the column holds another type.
    pub fn filter(mut self, filter: Filter) -> Result<Query<'a>, Error> {
        let column = self.filtered(&filter)?;
        self.filters.push((column, filter));
        Ok(self)
    }

    /// The column of a filter, if it can be filtered this way.
    fn filtered(&self, filter: &Filter) -> Result<usize, Error> {
        let Some(column) = columns::find(self.table, &filter.column) else {
            return Err(self.no_column(&filter.column));
        };
        let declared = &self.table.columns[column.source()];
        let not_filtered = |instead| {
            let column = filter.column.clone();
            Error::NotFiltered { table: self.table.name, column, instead }
        };
        if matches!(filter.op, Op::Like | Op::Glob) {
            return Err(not_filtered(" patterns; filter the batches"));
        }
        match column {
            Exported::WallTime(_) => return Err(not_filtered("; filter by wall_ns")),
            Exported::Json(_) => return Err(not_filtered("; filter by the value it is made of")),
            Exported::Declared(_) if declared.r#type == Type::Blob => return Err(not_filtered("")),
            Exported::Declared(_) => {}
        }
        let holds = if declared.r#type == Type::Integer { "integers" } else { "text" };
        let wrong = filter.values.iter().find_map(|value| match (value, declared.r#type) {
            (Value::Integer(_), Type::Integer) | (Value::Text(_), Type::Text) => None,
            (Value::Integer(_), _) => Some("an integer"),
            (Value::Text(_), _) => Some("text"),
            (Value::Null, _) => Some("NULL"),
            (Value::Real(_), _) => Some("a real number"),
            (Value::Blob, _) => Some("a blob"),
        });
        if let Some(found) = wrong {
            let (table, column) = (self.table.name, declared.name);
            return Err(Error::Compared { table, column, holds, found });
        }
        Ok(column.source())
    }

    /// Selects only rows for which an SQL condition holds. A condition that consists only of
    /// filters joined by `AND` is read as filters, which is several times as fast.
    ///
    /// # Errors
    /// If it is such a filter and names a column that the table does not have. Other errors in it
    /// are reported when rows are [read](Query::read).
    pub fn condition(mut self, sql: &str) -> Result<Query<'a>, Error> {
        let filters = condition::parse(sql).unwrap_or_default();
        let is_filtered = |filter: &Filter| self.filtered(filter).map(|_| ());
        let checked = filters.iter().try_for_each(is_filtered);
        match checked {
            Ok(()) if !filters.is_empty() => filters.into_iter().try_fold(self, Query::filter),
            Err(error @ (Error::NoColumn { .. } | Error::NotFiltered { .. })) => Err(error),
            // SQLite converts values that are compared with a value of another type.
            _ => {
                self.conditions.push(sql.to_owned());
                Ok(self)
            }
        }
    }

    /// Selects only rows of this run.
    #[must_use]
    pub fn run(mut self, run_id: i64) -> Query<'a> {
        self.run_id = Some(run_id);
        self
    }

    /// The names and types of the columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Reads the rows, in batches of at most [`ROWS`](super::ROWS); one empty batch if there are
    /// none.
    ///
    /// # Errors
    /// If the recording cannot be read, and the errors of `sink`. A damaged chunk is not an error:
    /// it is left out and [noted](Store::damage).
    pub fn read(&self, sink: Sink<'_>) -> Result<(), Error> {
        if !self.conditions.is_empty() {
            return self.read_by_sql(sink);
        }
        let store = self.recording.store();
        let (mut scan, tested) = match self.table.name {
            Events::NAME => self.begin::<Events>(store)?,
            Calls::NAME => self.begin::<Calls>(store)?,
            CCalls::NAME => self.begin::<CCalls>(store)?,
            Exceptions::NAME => self.begin::<Exceptions>(store)?,
            Variables::NAME => self.begin::<Variables>(store)?,
            Mutations::NAME => self.begin::<Mutations>(store)?,
            _ => return self.read_by_sql(sink),
        };
        self.read_scan(&mut *scan, &tested, sink)
    }

    /// Begins a scan. Returns it with the filters that it does not test itself.
    fn begin<T: VirtualTable>(&self, store: &Rc<Store>) -> Result<Begun<'_>, Error> {
        let run = self.run_id.or(store.bound_to());
        let run = run.zip(self.table.columns.iter().position(|column| column.name == "run_id"));
        let run = run.map(|(run, column)| (column, Op::Eq, vec![Value::Integer(run)]));
        let filters = self.filters.iter().map(|(c, f)| (*c, f.op, f.values.clone()));
        let all: Vec<_> = filters.chain(run).collect();
        let constraint = |(column, op, _): &(usize, Op, Vec<Value>)| Constraint {
            column: *column,
            op: *op,
            is_text: self.table.columns[*column].r#type == Type::Text,
            is_binary: true,
            integer: None,
            taken: false,
            omit: false,
        };
        let mut used = self.columns.iter().fold(0_u64, |used, column| used | 1 << column.source());
        let mut request = Request {
            constraints: all.iter().map(constraint).collect(),
            order_by: Vec::new(),
            used,
            limit: None,
            flags: Flags::default(),
            top: None,
            order_consumed: false,
            is_refused: false,
            cost: 0.0,
            rows: 0.0,
        };
        T::plan(store, &mut request);
        let left = self.filters.iter().zip(&request.constraints).filter(|(_, c)| !c.omit);
        let tested: Vec<_> = left.map(|(filter, _)| filter).collect();
        if self.columns.iter().any(|column| matches!(column, Exported::WallTime(_))) {
            used |=
                self.table.columns.iter().position(|c| c.name == "run_id").map_or(0, |at| 1 << at);
        }
        used = tested.iter().fold(used, |used, (column, _)| used | 1 << column);
        let taken = all.into_iter().zip(&request.constraints).filter(|(_, c)| c.taken);
        let constraints = taken.map(|(constraint, _)| constraint).collect();
        let plan = Plan { used, flags: request.flags, top: None, constraints };
        Ok((Box::new(T::scan(store.clone(), plan)?), tested))
    }

    fn read_scan(
        &self,
        scan: &mut dyn Scan,
        tested: &[&(usize, Filter)],
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        let store = self.recording.store();
        let epochs = Rc::new(epochs(self.recording)?);
        let new = |column: &Exported| Builder::new(self.table, *column, epochs.clone());
        let mut builders: Vec<Builder> = self.columns.iter().map(new).collect();
        let mut batch = Batch::default();
        let (mut rows, mut has_given) = (0, false);
        loop {
            batch.reset(self.table.columns.len());
            scan.fill(&mut batch)?;
            if batch.rows == 0 {
                break;
            }
            let kept = kept(store, scan, &batch, tested)?;
            let added = Added { store, scan, batch: &batch, kept: kept.as_deref() };
            for builder in &mut builders {
                builder.add(&added)?;
            }
            rows += added.len();
            let bytes: usize = builders.iter().map(Builder::text_bytes).sum();
            if rows + crate::tables::batch::ROWS > ROWS || bytes > TEXT_BYTES {
                self.give(&mut builders, &mut rows, sink)?;
                has_given = true;
            }
        }
        if rows > 0 || !has_given { self.give(&mut builders, &mut rows, sink) } else { Ok(()) }
    }

    /// Passes the collected rows to the sink.
    fn give(
        &self,
        builders: &mut [Builder],
        rows: &mut usize,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        let store = self.recording.store();
        let arrays = builders.iter_mut().map(|builder| builder.finish(store));
        let arrays: Vec<_> = arrays.collect::<Result<_, _>>().map_err(Error::Arrow)?;
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(rows)));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options);
        let batch = batch.map_err(Error::Arrow)?;
        // If no single rows are read, a table may return all of them in one batch.
        for from in (0..batch.num_rows().max(1)).step_by(ROWS) {
            sink(batch.slice(from, ROWS.min(batch.num_rows() - from)))?;
        }
        Ok(())
    }

    fn read_by_sql(&self, sink: Sink<'_>) -> Result<(), Error> {
        let table = self.table.name;
        let columns = self.columns.iter().map(|column| {
            let declared = &self.table.columns[column.source()];
            let name = declared.name;
            match column {
                Exported::WallTime(_) => format!(
                    "(SELECT {} FROM main.runs WHERE runs.run_id = {table}.run_id) + {name}",
                    nanoseconds("started_at")
                ),
                Exported::Json(_) => format!("value_json({name})"),
                Exported::Declared(_) if columns::is_time(declared) => nanoseconds(name),
                Exported::Declared(_) => name.to_owned(),
            }
        });
        let columns: Vec<String> = columns.collect();
        // The parenthesis is on a line of its own, because the condition may end in a comment.
        let mut conditions: Vec<String> =
            self.conditions.iter().map(|condition| format!("({condition}\n)")).collect();
        let mut parameters = Vec::new();
        if let Some(run) = self.run_id
            && let Some(rows) = rows_of_run(self.table, run)
        {
            conditions.push(rows);
        }
        for (column, filter) in &self.filters {
            let op = match filter.op {
                Op::Eq => "=",
                Op::Lt => "<",
                Op::Le => "<=",
                Op::Gt => ">",
                Op::Ge => ">=",
                Op::In => "IN",
                Op::Like => "LIKE",
                Op::Glob => "GLOB",
            };
            let marks = vec!["?"; filter.values.len()].join(", ");
            conditions.push(format!("{} {op} ({marks})", self.table.columns[*column].name));
            parameters.extend(filter.values.iter().map(|value| match value {
                Value::Integer(value) => Sql::Integer(*value),
                Value::Text(text) => Sql::Text(text.clone()),
                Value::Real(value) => Sql::Real(*value),
                Value::Null | Value::Blob => Sql::Null,
            }));
        }
        let mut sql = format!("SELECT {} FROM {table}", columns.join(", "));
        if !conditions.is_empty() {
            sql.push_str(&format!(" WHERE {}", conditions.join(" AND ")));
        }
        statement::read_typed(self.recording, &sql, parameters, &self.schema, sink)
    }

    fn no_column(&self, name: &str) -> Error {
        let all = columns::all(self.table, true);
        let names: Vec<String> =
            all.iter().map(|column| columns::field(self.table, *column).name().clone()).collect();
        let hint = suggest::closest(name, names.iter().map(|name| &**name));
        let hint = hint.map_or(String::new(), |name| format!(" (did you mean {name}?)"));
        let table = self.table.name;
        Error::NoColumn { table, name: name.to_owned(), hint, columns: names.join(", ") }
    }
}

fn schema(table: &Table, columns: &[Exported]) -> SchemaRef {
    let fields: Vec<_> = columns.iter().map(|column| columns::field(table, *column)).collect();
    Arc::new(Schema::new(fields))
}

/// The SQL that converts a column with a point in time to nanoseconds since 1970. The recorder
/// writes milliseconds.
fn nanoseconds(column: &str) -> String {
    format!("CAST(round(unixepoch({column}, 'subsec') * 1000) AS INTEGER) * 1000000")
}

/// When runs began, in nanoseconds since 1970.
fn epochs(recording: &Recording) -> Result<BTreeMap<i64, i64>, Error> {
    let sql = format!("SELECT run_id, {} FROM main.runs", nanoseconds("started_at"));
    let rows = recording.connection().prepare(&sql).and_then(|mut rows| {
        rows.query_map([], |row| Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?.unwrap_or(0))))?
            .collect()
    });
    rows.map_err(|error| store::Error::from_sqlite(recording.store().path(), &error).into())
}

/// The rows of a batch that pass the filters; `None` if there are no filters.
fn kept(
    store: &Store,
    scan: &dyn Scan,
    batch: &Batch,
    filters: &[&(usize, Filter)],
) -> Result<Option<Vec<u32>>, store::Error> {
    if filters.is_empty() {
        return Ok(None);
    }
    let mut kept: Vec<u32> = (0..batch.rows as u32).collect();
    for (column, filter) in filters {
        let mut failed = None;
        kept.retain(|row| {
            value(store, scan, batch, *row as usize, *column)
                .map(|value| passes(filter, &value))
                .unwrap_or_else(|error| {
                    failed = Some(error);
                    false
                })
        });
        if let Some(error) = failed {
            return Err(error);
        }
    }
    Ok(Some(kept))
}

/// The value of a row of a batch in a column.
enum Found<'a> {
    Null,
    Integer(i64),
    Text(Cow<'a, str>),
}

fn value<'a>(
    store: &'a Store,
    scan: &'a dyn Scan,
    batch: &'a Batch,
    row: usize,
    column: usize,
) -> Result<Found<'a>, store::Error> {
    let known = |id| store.directory().texts.get(id).map(Cow::Borrowed);
    let text = match &batch.columns[column] {
        Column::Null => None,
        Column::Int(value) => return Ok(Found::Integer(*value)),
        Column::Ints(values) => {
            return Ok(match values[row] {
                NULL => Found::Null,
                value => Found::Integer(value),
            });
        }
        Column::Text(id) => known(*id),
        Column::Texts(ids) => known(ids[row]),
        Column::Lazy => scan.text(row, column)?,
        Column::Owned(texts) => texts[row].as_deref().map(Cow::Borrowed),
    };
    Ok(text.map_or(Found::Null, Found::Text))
}

/// Whether a value passes a filter. Texts compare bytewise, as in SQL.
fn passes(filter: &Filter, found: &Found<'_>) -> bool {
    let order = |value: &Value| match (found, value) {
        (Found::Integer(found), Value::Integer(value)) => Some(found.cmp(value)),
        (Found::Text(found), Value::Text(value)) => Some(found.as_bytes().cmp(value.as_bytes())),
        _ => None,
    };
    filter.values.iter().filter_map(order).any(|order| match filter.op {
        Op::Eq | Op::In => order.is_eq(),
        Op::Lt => order.is_lt(),
        Op::Le => order.is_le(),
        Op::Gt => order.is_gt(),
        Op::Ge => order.is_ge(),
        Op::Like | Op::Glob => false,
    })
}
