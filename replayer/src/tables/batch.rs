//! Rows on their way to SQLite, a column at a time.

use crate::store::texts::TextId;

/// Rows handed over at once: enough to make the cost per batch vanish, few enough for the
/// vectors to stay in the nearest caches.
pub const ROWS: usize = 2048;

/// In [`Column::Ints`], NULL. No column of ours holds this number otherwise.
pub const NULL: i64 = i64::MIN;

/// One column's values in a batch.
#[derive(Default)]
pub enum Column {
    /// NULL in every row; also what nobody asked for.
    #[default]
    Null,
    /// The same in every row.
    Int(i64),
    Ints(Vec<i64>),
    /// The same in every row.
    Text(TextId),
    Texts(Vec<TextId>),
    /// Texts that are made when they are asked for, by [`Scan::text`](super::Scan::text).
    Lazy,
    /// Texts the directory does not have.
    Owned(Vec<Option<Box<str>>>),
}

/// Some rows.
#[derive(Default)]
pub struct Batch {
    pub rows: usize,
    pub columns: Vec<Column>,
}

impl Batch {
    /// Forgets the rows and makes room for this many columns, keeping vectors for reuse.
    pub fn reset(&mut self, columns: usize) {
        self.rows = 0;
        self.columns.resize_with(columns, Column::default);
    }

    /// Makes a column of integers.
    pub fn ints(&mut self, column: usize, values: impl Iterator<Item = i64>) {
        match &mut self.columns[column] {
            Column::Ints(ints) => {
                ints.clear();
                ints.extend(values);
            }
            other => *other = Column::Ints(values.collect()),
        }
    }

    /// Makes a column of texts.
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
