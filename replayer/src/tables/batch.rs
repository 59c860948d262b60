//! Batches of rows for SQLite, stored by column.

use crate::store::texts::TextId;

/// Rows per batch: enough to make the cost of a batch negligible, few enough for the vectors to
/// stay in the nearest caches.
pub const ROWS: usize = 2048;

/// NULL in [`Column::Ints`]. None of our columns holds this number otherwise.
pub const NULL: i64 = i64::MIN;

/// One column's values in a batch.
#[derive(Default)]
pub enum Column {
    /// NULL in every row. Also used for columns that are not read.
    #[default]
    Null,
    /// The same integer in every row.
    Int(i64),
    Ints(Vec<i64>),
    /// The same text in every row.
    Text(TextId),
    Texts(Vec<TextId>),
    /// Texts that [`Scan::text`](super::Scan::text) makes when they are read.
    Lazy,
    /// Texts that are not in the directory.
    Owned(Vec<Option<Box<str>>>),
}

/// Some rows.
#[derive(Default)]
pub struct Batch {
    pub rows: usize,
    pub columns: Vec<Column>,
}

impl Batch {
    /// Removes the rows and makes room for this many columns, keeping vectors for reuse.
    pub fn reset(&mut self, columns: usize) {
        self.rows = 0;
        self.columns.resize_with(columns, Column::default);
    }

    /// Fills a column with integers.
    pub fn ints(&mut self, column: usize, values: impl Iterator<Item = i64>) {
        match &mut self.columns[column] {
            Column::Ints(ints) => {
                ints.clear();
                ints.extend(values);
            }
            other => *other = Column::Ints(values.collect()),
        }
    }

    /// Fills a column with texts.
    pub fn texts(&mut self, column: usize, values: impl Iterator<Item = TextId>) {
        match &mut self.columns[column] {
            Column::Texts(texts) => {
                texts.clear();
                texts.extend(values);
            }
            other => *other = Column::Texts(values.collect()),
        }
    }
}
