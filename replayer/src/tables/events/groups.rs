//! `… GROUP BY kind`, `thread_id` or `code_id`: counts the events of all chunks, then returns rows
//! to SQLite in order.
//!
//! Otherwise SQLite would put every row into a sorter, at some hundred nanoseconds each.

use super::columns::Reader;
use super::select::Selection;
use super::{CODE_ID, GROUPS, KIND, PROCESS_ID, RUN_ID, Rows};
use crate::store::Error;
use crate::store::texts::TextId;
use crate::tables::batch::{Batch, Column, NULL};
use crate::tables::plan::Flags;
use dashcam_schema::event::EventKind;
use std::collections::BTreeMap;

/// The value that the events of a group share.
#[derive(Clone, Copy)]
enum Key {
    Kind(TextId),
    Id(i64),
}

/// A number of events that share a value.
struct Group {
    key: Key,
    run_id: i64,
    process_id: i64,
    events: usize,
}

pub(crate) struct Grouped {
    rows: Rows,
    /// `None` before the first batch; afterwards the groups that are left, the next at the end.
    groups: Option<Vec<Group>>,
}

impl Grouped {
    pub(super) fn new(rows: Rows) -> Grouped {
        Grouped { rows, groups: None }
    }

    fn column(&self) -> usize {
        let is_it = |(_, group): &&(usize, Flags)| self.rows.plan.flags.has(*group);
        GROUPS.iter().find(is_it).map_or(KIND, |(column, _)| *column)
    }

    fn count(&mut self) -> Result<Vec<Group>, Error> {
        let store = self.rows.store.clone();
        let column = self.column();
        // Sorted as in SQLite: names bytewise, NULL first.
        type Place<'a> = (Option<&'a str>, i64, i64, i64);
        let mut counts: BTreeMap<Place<'_>, (Key, usize)> = BTreeMap::new();
        while let Some((mut reader, selection)) = self.rows.advance()? {
            let found = match column {
                KIND => kinds(&mut reader, &selection),
                column => ids(&mut reader, &selection, column == CODE_ID),
            };
            let found = match found {
                Ok(found) => found,
                Err(error) => {
                    store.note(reader.index(), error)?;
                    continue;
                }
            };
            let header = reader.header();
            for (key, events) in found.into_iter().filter(|(_, events)| *events > 0) {
                let (name, id) = match key {
                    Key::Kind(kind) => (store.directory().texts.get(kind), 0),
                    Key::Id(id) => (None, id),
                };
                let of = (name, id, header.run_id, header.process_id);
                counts.entry(of).or_insert((key, 0)).1 += events;
            }
        }
        let groups = counts.into_iter().map(|((.., run_id, process_id), (key, events))| Group {
            key,
            run_id,
            process_id,
            events,
        });
        let mut groups: Vec<Group> = groups.collect();
        if !self.rows.plan.flags.has(Flags::DESCENDING) {
            groups.reverse();
        }
        Ok(groups)
    }

    pub(super) fn fill(&mut self, batch: &mut Batch) -> Result<(), Error> {
        if self.groups.is_none() {
            self.groups = Some(self.count()?);
        }
        let column = self.column();
        if let Some(group) = self.groups.as_mut().and_then(Vec::pop) {
            batch.rows = group.events;
            batch.columns[RUN_ID] = Column::Int(group.run_id);
            batch.columns[PROCESS_ID] = Column::Int(group.process_id);
            batch.columns[column] = match group.key {
                Key::Kind(kind) => Column::Text(kind),
                Key::Id(NULL) => Column::Null,
                Key::Id(id) => Column::Int(id),
            };
        }
        Ok(())
    }
}

/// Counts the selected events of a chunk by kind.
fn kinds(reader: &mut Reader, selection: &Selection) -> Result<Vec<(Key, usize)>, Error> {
    let chunk = reader.load()?.clone();
    let kinds = chunk.kinds()?;
    let mut counts = [0usize; EventKind::LIMIT as usize];
    for range in selection.ranges() {
        for kind in &kinds[range.start as usize..range.end as usize] {
            counts[usize::from(*kind)] += 1;
        }
    }
    let names = reader.store().process(reader.header()).kinds;
    Ok(names.into_iter().map(Key::Kind).zip(counts).collect())
}

/// Counts the selected events of a chunk by thread or code object.
fn ids(
    reader: &mut Reader,
    selection: &Selection,
    of_codes: bool,
) -> Result<Vec<(Key, usize)>, Error> {
    let chunk = reader.load()?.clone();
    let contexts = chunk.contexts()?;
    let ids = reader.ids(of_codes);
    let mut counts = vec![0usize; ids.len()];
    for range in selection.ranges() {
        for context in &contexts[range.start as usize..range.end as usize] {
            counts[*context as usize] += 1;
        }
    }
    Ok(ids.iter().map(|id| Key::Id(*id)).zip(counts).collect())
}
