//! Columns of tables as Arrow arrays.

use super::ROWS;
use crate::store::texts::TextId;
use crate::store::{Error, Store};
use crate::tables::Scan;
use crate::tables::batch::{Batch, Column, NULL};
use arrow_array::builder::StringBuilder;
use arrow_array::types::Int32Type;
use arrow_array::{
    Array as _, ArrayRef, DictionaryArray, Int32Array, Int64Array, StringArray,
    TimestampNanosecondArray,
};
use arrow_buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, TimeUnit};
use dashcam_schema::tables::{self, Table, Type};
use dashcam_schema::value::json;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// A column of an export: one that the table declares, or one that is derived from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exported {
    /// The declared column with this index.
    Declared(usize),
    /// The declared column, which holds nanoseconds of wall-clock time since the run began, as a
    /// point in time.
    WallTime(usize),
    /// The declared column, which holds values as `repr()` writes them, as JSON.
    Json(usize),
}

impl Exported {
    /// The index of the declared column that it is made from.
    pub(super) fn source(self) -> usize {
        let (Exported::Declared(at) | Exported::WallTime(at) | Exported::Json(at)) = self;
        at
    }
}

/// The name of the column that holds `wall_ns` as a point in time.
pub(super) const WALL_TIME: &str = "wall_time";
const WALL_NS: &str = "wall_ns";
const JSON: &str = "_json";

/// Columns that hold values as `repr()` writes them.
const VALUES: &[&str] = &["value", "arguments", "result", "key", "cause", "context"];
/// Other texts of tables decoded from chunks that are different in almost every row.
const LONG: &[&str] = &["message"];
/// Points in time, in ISO 8601.
const TIMES: &[&str] = &["started_at", "ended_at"];

/// Whether a column holds values as `repr()` writes them.
pub(super) fn is_value(table: &Table, column: &tables::Column) -> bool {
    table.is_virtual && VALUES.contains(&column.name)
}

/// Whether a text column holds points in time.
pub(super) fn is_time(column: &tables::Column) -> bool {
    column.r#type == Type::Text && TIMES.contains(&column.name)
}

/// All columns of a table, in order: the declared ones, then the ones derived from them.
pub(super) fn all(table: &Table, with_json: bool) -> Vec<Exported> {
    let mut columns: Vec<Exported> = (0..table.columns.len())
        .filter(|at| table.columns[*at].constraint != "HIDDEN")
        .map(Exported::Declared)
        .collect();
    columns.extend(find(table, WALL_TIME));
    if with_json {
        let values = table.columns.iter().enumerate().filter(|(_, c)| is_value(table, c));
        columns.extend(values.map(|(at, _)| Exported::Json(at)));
    }
    columns
}

/// The column with this name.
pub(super) fn find(table: &Table, name: &str) -> Option<Exported> {
    let position = |name: &str| table.columns.iter().position(|column| column.name == name);
    if let Some(at) = position(name) {
        return Some(Exported::Declared(at));
    }
    if name == WALL_TIME && table.is_virtual {
        return position(WALL_NS).map(Exported::WallTime);
    }
    let at = position(name.strip_suffix(JSON)?)?;
    is_value(table, &table.columns[at]).then_some(Exported::Json(at))
}

/// The name and Arrow type of a column.
pub(super) fn field(table: &Table, column: Exported) -> Field {
    let declared = &table.columns[column.source()];
    let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    let (name, r#type) = match column {
        Exported::WallTime(_) => (WALL_TIME.to_owned(), time),
        Exported::Json(_) => (format!("{}{JSON}", declared.name), DataType::Utf8),
        Exported::Declared(_) => {
            let r#type = match declared.r#type {
                Type::Integer => DataType::Int64,
                Type::Blob => DataType::Binary,
                Type::Text if is_time(declared) => time,
                Type::Text if is_dictionary(table, declared) => {
                    DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into())
                }
                Type::Text => DataType::Utf8,
            };
            (declared.name.to_owned(), r#type)
        }
    };
    Field::new(name, r#type, true)
}

/// Whether a text column is exported as a dictionary, which is only so in virtual tables.
fn is_dictionary(table: &Table, column: &tables::Column) -> bool {
    table.is_virtual && !is_value(table, column) && !LONG.contains(&column.name)
}

/// Rows of a scan that are added to arrays.
pub(super) struct Added<'a> {
    pub(super) store: &'a Store,
    pub(super) scan: &'a dyn Scan,
    pub(super) batch: &'a Batch,
    /// The rows of the batch to add; all rows if `None`.
    pub(super) kept: Option<&'a [u32]>,
}

impl Added<'_> {
    pub(super) fn len(&self) -> usize {
        self.kept.map_or(self.batch.rows, <[u32]>::len)
    }

    /// Calls `add` with each row.
    fn rows<E>(&self, mut add: impl FnMut(usize) -> Result<(), E>) -> Result<(), E> {
        match self.kept {
            Some(kept) => kept.iter().try_for_each(|row| add(*row as usize)),
            None => (0..self.batch.rows).try_for_each(add),
        }
    }

    /// Appends the integers of a column.
    fn ints(&self, column: usize, ints: &mut Vec<i64>) {
        match &self.batch.columns[column] {
            Column::Ints(values) => match self.kept {
                None => ints.extend_from_slice(&values[..self.batch.rows]),
                Some(kept) => ints.extend(kept.iter().map(|row| values[*row as usize])),
            },
            Column::Int(value) => ints.extend(std::iter::repeat_n(*value, self.len())),
            // A column of integers has no texts.
            _ => ints.extend(std::iter::repeat_n(NULL, self.len())),
        }
    }

    /// Calls `add` with each text of a column.
    fn texts(&self, column: usize, mut add: impl FnMut(Option<&str>)) -> Result<(), Error> {
        let known = |id| self.store.directory().texts.get(id);
        self.rows(|row| {
            match &self.batch.columns[column] {
                Column::Lazy => add(self.scan.text(row, column)?.as_deref()),
                Column::Owned(texts) => add(texts[row].as_deref()),
                Column::Text(id) => add(known(*id)),
                Column::Texts(ids) => add(known(ids[row])),
                Column::Null | Column::Int(_) | Column::Ints(_) => add(None),
            }
            Ok(())
        })
    }
}

/// Builds the array of one column.
pub(super) struct Builder {
    /// The index of the column in the batch.
    column: usize,
    values: Values,
}

enum Values {
    Ints(Vec<i64>),
    Times(Vec<i64>, Epochs),
    Names(Names),
    Texts(StringBuilder),
    Json(StringBuilder),
}

/// When runs began, in nanoseconds since 1970, and the column that holds the run.
struct Epochs {
    run_id: usize,
    by_run: Rc<BTreeMap<i64, i64>>,
}

impl Builder {
    /// `epochs`: when runs began, in nanoseconds since 1970.
    pub(super) fn new(table: &Table, column: Exported, epochs: Rc<BTreeMap<i64, i64>>) -> Builder {
        let values = match (column, field(table, column).data_type()) {
            (Exported::WallTime(_), _) => {
                let run_id = table.columns.iter().position(|column| column.name == "run_id");
                Values::Times(Vec::new(), Epochs { run_id: run_id.unwrap_or(0), by_run: epochs })
            }
            (Exported::Json(_), _) => Values::Json(StringBuilder::new()),
            (_, DataType::Int64) => Values::Ints(Vec::new()),
            (_, DataType::Dictionary(..)) => Values::Names(Names::default()),
            _ => Values::Texts(StringBuilder::new()),
        };
        Builder { column: column.source(), values }
    }

    /// Adds rows.
    pub(super) fn add(&mut self, added: &Added<'_>) -> Result<(), Error> {
        let column = self.column;
        match &mut self.values {
            Values::Ints(ints) => added.ints(column, ints),
            Values::Times(times, epochs) => {
                let from = times.len();
                added.ints(column, times);
                let mut runs = Vec::new();
                added.ints(epochs.run_id, &mut runs);
                let mut last = (NULL, 0);
                for (time, run) in times[from..].iter_mut().zip(runs) {
                    if last.0 != run {
                        last = (run, epochs.by_run.get(&run).copied().unwrap_or(0));
                    }
                    if *time != NULL {
                        *time = time.saturating_add(last.1);
                    }
                }
            }
            Values::Names(names) => match &added.batch.columns[column] {
                Column::Texts(ids) => match added.kept {
                    None => ids[..added.batch.rows].iter().for_each(|id| names.add(*id)),
                    Some(kept) => kept.iter().for_each(|row| names.add(ids[*row as usize])),
                },
                Column::Text(id) => (0..added.len()).for_each(|_| names.add(*id)),
                _ => added.texts(column, |text| names.add_text(text))?,
            },
            Values::Texts(texts) => added.texts(column, |text| texts.append_option(text))?,
            Values::Json(texts) => added.texts(column, |text| {
                texts.append_option(text.and_then(json::value_json));
            })?,
        }
        Ok(())
    }

    /// The memory that its texts use, in bytes.
    pub(super) fn text_bytes(&self) -> usize {
        match &self.values {
            Values::Texts(texts) | Values::Json(texts) => texts.values_slice().len(),
            _ => 0,
        }
    }

    /// Returns the array of the values added since the last call.
    pub(super) fn finish(&mut self, store: &Store) -> Result<ArrayRef, ArrowError> {
        Ok(match &mut self.values {
            Values::Ints(ints) => {
                let (values, nulls) = nullable(std::mem::replace(ints, Vec::with_capacity(ROWS)));
                Arc::new(Int64Array::try_new(values, nulls)?)
            }
            Values::Times(times, _) => {
                let (values, nulls) = nullable(std::mem::replace(times, Vec::with_capacity(ROWS)));
                Arc::new(TimestampNanosecondArray::try_new(values, nulls)?.with_timezone("UTC"))
            }
            Values::Names(names) => names.finish(store)?,
            Values::Texts(texts) | Values::Json(texts) => Arc::new(texts.finish()),
        })
    }
}

/// Returns values, and which of them are not NULL.
fn nullable(values: Vec<i64>) -> (ScalarBuffer<i64>, Option<NullBuffer>) {
    let is_set = |row: usize| values[row] != NULL;
    let nulls = values
        .contains(&NULL)
        .then(|| NullBuffer::new(BooleanBuffer::collect_bool(values.len(), is_set)));
    (values.into(), nulls)
}

/// Builds a dictionary. Names are found by their number in the recording, or by their text.
#[derive(Default)]
pub(super) struct Names {
    keys: Vec<i32>,
    has_null: bool,
    /// The key of each text, by its number in the recording; or [`NO_KEY`].
    by_id: Vec<i32>,
    by_text: FxHashMap<Box<str>, i32>,
    names: Vec<Name>,
    /// The dictionary of the last array.
    dictionary: Option<ArrayRef>,
}

enum Name {
    Id(TextId),
    Text(Box<str>),
}

/// The key of NULL while a dictionary is built.
const NO_KEY: i32 = -1;

impl Names {
    fn add(&mut self, id: TextId) {
        let at = id.index();
        let key = match self.by_id.get(at) {
            Some(&key) if key != NO_KEY => key,
            _ => self.define(id),
        };
        self.keys.push(key);
    }

    #[cold]
    fn define(&mut self, id: TextId) -> i32 {
        if id == TextId::NONE {
            self.has_null = true;
            return NO_KEY;
        }
        if self.by_id.len() <= id.index() {
            self.by_id.resize(id.index() + 1, NO_KEY);
        }
        let key = self.names.len() as i32;
        self.by_id[id.index()] = key;
        self.names.push(Name::Id(id));
        key
    }

    fn add_text(&mut self, text: Option<&str>) {
        let key = match text {
            None => {
                self.has_null = true;
                NO_KEY
            }
            Some(text) => match self.by_text.get(text) {
                Some(key) => *key,
                None => {
                    let key = self.names.len() as i32;
                    self.by_text.insert(text.into(), key);
                    self.names.push(Name::Text(text.into()));
                    key
                }
            },
        };
        self.keys.push(key);
    }

    /// Returns the array. Names are kept, so that the next array's dictionary begins with this
    /// one's.
    fn finish(&mut self, store: &Store) -> Result<ArrayRef, ArrowError> {
        let keys = std::mem::replace(&mut self.keys, Vec::with_capacity(ROWS));
        let nulls = std::mem::take(&mut self.has_null).then(|| {
            NullBuffer::new(BooleanBuffer::collect_bool(keys.len(), |row| keys[row] != NO_KEY))
        });
        let keys = Int32Array::try_new(keys.into(), nulls)?;
        let texts = &store.directory().texts;
        let names = match self.dictionary.take().filter(|known| known.len() == self.names.len()) {
            Some(known) => known,
            None => {
                let text = |name: &Name| match name {
                    Name::Id(id) => texts.get(*id).unwrap_or_default().to_owned(),
                    Name::Text(text) => text.to_string(),
                };
                Arc::new(StringArray::from_iter_values(self.names.iter().map(text)))
            }
        };
        self.dictionary = Some(names.clone());
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, names)?))
    }
}
