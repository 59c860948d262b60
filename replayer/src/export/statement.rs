//! Reads the rows of SQL statements as Arrow columns.

use super::{Error, ROWS, Sink};
use crate::sql::{Recording, explain_any};
use crate::store;
use arrow_array::builder::{
    ArrayBuilder, BinaryBuilder, Float64Builder, Int64Builder, NullBuilder, StringBuilder,
    StringDictionaryBuilder, TimestampNanosecondBuilder,
};
use arrow_array::types::Int32Type;
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Rows, Statement};
use std::sync::Arc;

/// A batch ends at this number of bytes of text and blobs.
const BYTES: usize = 16 << 20;

/// Reads the rows of an SQL statement, in batches; one empty batch if there are none. `bind` sets
/// the statement's parameters.
///
/// The type of a column is the type of its values in the first batch. Integers among real numbers
/// become real numbers.
///
/// # Errors
/// If the statement does not return rows, if a column has values of several types, and the errors
/// of `sink`.
pub fn read_statement(
    recording: &Recording,
    sql: &str,
    bind: impl FnOnce(&mut Statement<'_>) -> Result<(), Error>,
    sink: Sink<'_>,
) -> Result<(), Error> {
    let failed = |error| failed(recording, &error);
    let mut statement = recording.connection().prepare(sql).map_err(failed)?;
    if statement.column_count() == 0 {
        let path = recording.store().path().display();
        return Err(Error::Sql { message: format!("{path}: the statement does not return rows") });
    }
    let names: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    bind(&mut statement)?;
    let mut rows = statement.raw_query();
    let mut types: Vec<Option<DataType>> = vec![None; names.len()];
    let mut first: Vec<Vec<Value>> = Vec::new();
    let mut bytes = 0;
    while first.len() < ROWS && bytes <= BYTES {
        let Some(row) = rows.next().map_err(failed)? else { break };
        let mut values = Vec::with_capacity(names.len());
        for (at, known) in types.iter_mut().enumerate() {
            let value = row.get_ref(at).map_err(failed)?;
            *known = both(known.take(), value).map_err(|(a, b)| mixed(&names[at], &a, &b))?;
            bytes += length(value);
            values.push(owned(value));
        }
        first.push(values);
    }
    let fields = names.into_iter().zip(types);
    let fields =
        fields.map(|(name, r#type)| Field::new(name, r#type.unwrap_or(DataType::Null), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let mut building = Building::new(schema);
    for values in first {
        building.add(values.len(), |at| Ok(ValueRef::from(&values[at])))?;
    }
    building.give(sink)?;
    building.add_all(rows, failed, sink)
}

/// The type of a column that had values of type `known` and now gets another value.
fn both(
    known: Option<DataType>,
    value: ValueRef<'_>,
) -> Result<Option<DataType>, (DataType, DataType)> {
    let found = match value {
        ValueRef::Null => return Ok(known),
        ValueRef::Integer(_) => DataType::Int64,
        ValueRef::Real(_) => DataType::Float64,
        ValueRef::Text(_) => DataType::Utf8,
        ValueRef::Blob(_) => DataType::Binary,
    };
    match (known, found) {
        (None, found) => Ok(Some(found)),
        (Some(known), found) if known == found => Ok(Some(found)),
        (Some(DataType::Int64), DataType::Float64) | (Some(DataType::Float64), DataType::Int64) => {
            Ok(Some(DataType::Float64))
        }
        (Some(known), found) => Err((known, found)),
    }
}

/// Reads the rows of a statement into columns of the types in `schema`; one empty batch if there
/// are none.
pub(super) fn read_typed(
    recording: &Recording,
    sql: &str,
    parameters: Vec<Value>,
    schema: &SchemaRef,
    sink: Sink<'_>,
) -> Result<(), Error> {
    let failed = |error| failed(recording, &error);
    let mut statement = recording.connection().prepare(sql).map_err(failed)?;
    let rows = statement.query(rusqlite::params_from_iter(parameters)).map_err(failed)?;
    Building::new(schema.clone()).add_all(rows, failed, sink)
}

/// A batch that is being built.
struct Building {
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
    has_given: bool,
}

impl Building {
    fn new(schema: SchemaRef) -> Building {
        let columns = schema.fields().iter().map(|field| Column::new(field)).collect();
        Building { schema, columns, rows: 0, bytes: 0, has_given: false }
    }

    fn add<'v>(
        &mut self,
        width: usize,
        value: impl Fn(usize) -> Result<ValueRef<'v>, Error>,
    ) -> Result<(), Error> {
        for at in 0..width {
            let value = value(at)?;
            self.bytes += length(value);
            self.columns[at].add(value).map_err(|found| {
                let field = self.schema.field(at);
                mixed(field.name(), field.data_type(), &found)
            })?;
        }
        self.rows += 1;
        Ok(())
    }

    fn add_all(
        mut self,
        mut rows: Rows<'_>,
        failed: impl Fn(rusqlite::Error) -> Error,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        while let Some(row) = rows.next().map_err(&failed)? {
            self.add(self.columns.len(), |at| row.get_ref(at).map_err(&failed))?;
            if self.rows == ROWS || self.bytes > BYTES {
                self.give(sink)?;
            }
        }
        if self.rows > 0 || !self.has_given { self.give(sink) } else { Ok(()) }
    }

    fn give(&mut self, sink: Sink<'_>) -> Result<(), Error> {
        let arrays = self.columns.iter_mut().map(|column| column.builder().finish()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options);
        (self.rows, self.bytes, self.has_given) = (0, 0, true);
        sink(batch.map_err(Error::Arrow)?)
    }
}

/// A value that outlives its row. Text that is not UTF-8 is replaced, as in batches.
fn owned(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Integer(value),
        ValueRef::Real(value) => Value::Real(value),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

fn length(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Text(data) | ValueRef::Blob(data) => data.len(),
        _ => 0,
    }
}

fn failed(recording: &Recording, error: &rusqlite::Error) -> Error {
    let path = recording.store().path();
    match store::Error::from_sqlite(path, error) {
        store::Error::Sqlite { path, .. } => Error::Sql { message: explain_any(&path, error) },
        other => other.into(),
    }
}

fn mixed(column: &str, one: &DataType, other: &DataType) -> Error {
    let name = |r#type: &DataType| match r#type {
        DataType::Int64 => "integers",
        DataType::Float64 => "real numbers",
        DataType::Binary => "blobs",
        DataType::Timestamp(..) => "points in time",
        DataType::Null => "NULL only at its beginning",
        _ => "text",
    };
    Error::Mixed { column: column.to_owned(), one: name(one), other: name(other) }
}

enum Column {
    Null(NullBuilder),
    Integers(Int64Builder),
    Reals(Float64Builder),
    Times(TimestampNanosecondBuilder),
    Texts(StringBuilder),
    Names(StringDictionaryBuilder<Int32Type>),
    Blobs(BinaryBuilder),
}

impl Column {
    fn new(field: &Field) -> Column {
        match field.data_type() {
            DataType::Null => Column::Null(NullBuilder::new()),
            DataType::Int64 => Column::Integers(Int64Builder::new()),
            DataType::Float64 => Column::Reals(Float64Builder::new()),
            DataType::Binary => Column::Blobs(BinaryBuilder::new()),
            DataType::Timestamp(..) => {
                Column::Times(TimestampNanosecondBuilder::new().with_timezone("UTC"))
            }
            DataType::Dictionary(..) => Column::Names(StringDictionaryBuilder::new()),
            _ => Column::Texts(StringBuilder::new()),
        }
    }

    /// Adds a value. If it has another type than the column, returns that type.
    fn add(&mut self, value: ValueRef<'_>) -> Result<(), DataType> {
        match (self, value) {
            (Column::Null(builder), ValueRef::Null) => builder.append_null(),
            (Column::Integers(builder), ValueRef::Null) => builder.append_null(),
            (Column::Reals(builder), ValueRef::Null) => builder.append_null(),
            (Column::Times(builder), ValueRef::Null) => builder.append_null(),
            (Column::Texts(builder), ValueRef::Null) => builder.append_null(),
            (Column::Blobs(builder), ValueRef::Null) => builder.append_null(),
            (Column::Names(builder), ValueRef::Null) => builder.append_null(),
            (Column::Integers(builder), ValueRef::Integer(value)) => builder.append_value(value),
            (Column::Times(builder), ValueRef::Integer(value)) => builder.append_value(value),
            (Column::Reals(builder), ValueRef::Real(value)) => builder.append_value(value),
            (Column::Reals(builder), ValueRef::Integer(value)) => {
                builder.append_value(value as f64)
            }
            (Column::Texts(builder), ValueRef::Text(text)) => {
                builder.append_value(String::from_utf8_lossy(text));
            }
            (Column::Names(builder), ValueRef::Text(text)) => {
                builder.append_value(String::from_utf8_lossy(text));
            }
            (Column::Blobs(builder), ValueRef::Blob(bytes)) => builder.append_value(bytes),
            (_, ValueRef::Integer(_)) => return Err(DataType::Int64),
            (_, ValueRef::Real(_)) => return Err(DataType::Float64),
            (_, ValueRef::Text(_)) => return Err(DataType::Utf8),
            (_, ValueRef::Blob(_)) => return Err(DataType::Binary),
        }
        Ok(())
    }

    fn builder(&mut self) -> &mut dyn ArrayBuilder {
        match self {
            Column::Null(builder) => builder,
            Column::Integers(builder) => builder,
            Column::Reals(builder) => builder,
            Column::Times(builder) => builder,
            Column::Texts(builder) => builder,
            Column::Names(builder) => builder,
            Column::Blobs(builder) => builder,
        }
    }
}
