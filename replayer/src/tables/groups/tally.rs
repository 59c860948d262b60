//! Counts rows with equal values.

use crate::store::texts::TextId;
use crate::store::{Error, Store};
use crate::tables::batch::{Batch, Column, NULL};
use crate::tables::{Scan, Table};
use dashcam_schema::tables::Type;
use rustc_hash::FxHashMap;
use std::cmp::Ordering;
use std::sync::Arc;

/// The values that the rows of a group share, one per column: an integer, the number of a text in
/// the tally, or NULL.
pub(super) type Row = Box<[i64]>;

/// The memory at which a tally is emptied.
const BYTES_MAX: usize = 64 << 20;

/// A value in a column.
pub(crate) enum Part<'a> {
    /// A number, or NULL.
    Number(i64),
    Text(TextId),
    Other(&'a str),
}

pub(crate) struct Tally {
    /// For each column, whether it holds texts.
    is_text: Vec<bool>,
    counts: FxHashMap<Row, u64>,
    texts: Vec<Arc<str>>,
    numbers: FxHashMap<Arc<str>, i64>,
    /// The numbers of the directory's texts.
    of_directory: FxHashMap<TextId, i64>,
    /// The row that was counted last, and how often in succession.
    last: Vec<i64>,
    pending: u64,
    bytes: usize,
    /// The row that is being counted.
    row: Vec<i64>,
}

impl Tally {
    /// A tally of rows with these columns of a table.
    pub(super) fn of<T: Table>(columns: &[usize]) -> Tally {
        let is_text = |column: &usize| T::columns()[*column].r#type == Type::Text;
        Tally::new(columns.iter().map(is_text).collect())
    }

    fn new(is_text: Vec<bool>) -> Tally {
        let columns = is_text.len();
        Tally {
            is_text,
            counts: FxHashMap::default(),
            texts: Vec::new(),
            numbers: FxHashMap::default(),
            of_directory: FxHashMap::default(),
            last: vec![0; columns],
            pending: 0,
            bytes: 0,
            row: vec![0; columns],
        }
    }

    /// Removes all counts and texts.
    pub(super) fn clear(&mut self) {
        *self = Tally::new(std::mem::take(&mut self.is_text));
    }

    /// Whether it uses as much memory as it may.
    pub(super) fn is_large(&self) -> bool {
        self.bytes > BYTES_MAX
    }

    /// The text with this number.
    pub(super) fn text(&self, number: i64) -> Option<&str> {
        self.texts.get(usize::try_from(number).ok()?).map(|text| &**text)
    }

    fn number(&mut self, text: &str) -> i64 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.texts.len() as i64;
        let kept: Arc<str> = text.into();
        self.bytes += text.len() + 80;
        self.texts.push(kept.clone());
        self.numbers.insert(kept, number);
        number
    }

    fn number_of(&mut self, store: &Store, id: TextId) -> i64 {
        if let Some(number) = self.of_directory.get(&id) {
            return *number;
        }
        let text = store.directory().texts.get(id);
        let number = text.map_or(NULL, |text| self.number(text));
        self.of_directory.insert(id, number);
        number
    }

    /// Counts `self.row` `times` times.
    fn add(&mut self, times: u64) {
        if self.row == self.last {
            self.pending += times;
            return;
        }
        self.settle();
        self.last.clone_from(&self.row);
        self.pending = times;
    }

    fn settle(&mut self) {
        let times = std::mem::take(&mut self.pending);
        if times == 0 {
            return;
        }
        match self.counts.get_mut(&self.last[..]) {
            Some(count) => *count += times,
            None => {
                self.bytes += self.last.len() * 8 + 40;
                self.counts.insert(self.last.as_slice().into(), times);
            }
        }
    }

    /// Counts the rows of a batch by these columns.
    pub(super) fn add_batch(
        &mut self,
        store: &Store,
        scan: &impl Scan,
        batch: &Batch,
        keys: &[usize],
    ) -> Result<(), Error> {
        let varies = |column: &usize| {
            !matches!(batch.columns[*column], Column::Null | Column::Int(_) | Column::Text(_))
        };
        let is_varied = keys.iter().any(varies);
        let rows = if is_varied { batch.rows } else { 1 };
        for row in 0..rows {
            for (part, column) in keys.iter().enumerate() {
                self.row[part] = match &batch.columns[*column] {
                    Column::Null => NULL,
                    Column::Int(value) => *value,
                    Column::Ints(values) => values[row],
                    Column::Text(id) => self.number_of(store, *id),
                    Column::Texts(ids) => self.number_of(store, ids[row]),
                    Column::Owned(texts) => {
                        texts[row].as_deref().map_or(NULL, |text| self.number(text))
                    }
                    Column::Lazy => match scan.text(row, *column)? {
                        Some(text) => self.number(&text),
                        None => NULL,
                    },
                };
            }
            self.add(if is_varied { 1 } else { batch.rows as u64 });
        }
        Ok(())
    }

    /// Counts a row of these parts `times` times.
    pub(crate) fn add_parts<'a>(
        &mut self,
        store: &Store,
        parts: impl Iterator<Item = Part<'a>>,
        times: u64,
    ) {
        for (at, part) in parts.enumerate() {
            self.row[at] = match part {
                Part::Number(number) => number,
                Part::Text(id) => self.number_of(store, id),
                Part::Other(text) => self.number(text),
            };
        }
        self.add(times);
    }

    /// Adds the counts of another tally of the same columns.
    pub(super) fn merge(&mut self, mut other: Tally) {
        let groups = other.drain();
        for (row, times) in groups {
            for (at, part) in row.iter().enumerate() {
                self.row[at] = match other.text(*part).filter(|_| self.is_text[at]) {
                    Some(text) => self.number(text),
                    None => *part,
                };
            }
            self.add(times);
        }
    }

    fn drain(&mut self) -> Vec<(Row, u64)> {
        self.settle();
        std::mem::take(&mut self.counts).into_iter().collect()
    }

    /// Takes the groups, sorted as SQLite sorts. The texts stay.
    pub(super) fn take(&mut self) -> Vec<(Row, u64)> {
        let mut groups = self.drain();
        // NULL is not the number of any text, and it comes first.
        let order = |at: usize, one: i64, other: i64| match self.is_text[at] {
            true => self.text(one).cmp(&self.text(other)),
            false => one.cmp(&other),
        };
        groups.sort_unstable_by(|(one, _), (other, _)| {
            let parts = one.iter().zip(other).enumerate();
            let mut orders = parts.map(|(at, (one, other))| order(at, *one, *other));
            orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        });
        groups
    }
}
