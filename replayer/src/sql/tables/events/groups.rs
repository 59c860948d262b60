//! `… GROUP BY kind`: counts each chunk's kinds, then gives SQLite rows sorted by kind.
//!
//! SQLite would put every row into a sorter otherwise, at some hundred nanoseconds each.

use super::{KIND, PROCESS_ID, RUN_ID, Rows};
use crate::sql::batch::{Batch, Column};
use crate::sql::plan::Flags;
use crate::store::Error;
use crate::store::texts::TextId;
use dashcam_schema::event::EventKind;
use std::collections::BTreeMap;

/// So many events of one kind.
struct Group {
    kind: TextId,
    run_id: i64,
    process_id: i64,
    events: usize,
}

pub(in crate::sql) struct ByKind {
    rows: Rows,
    /// `None` before the first batch; afterwards what is left, the next group at the end.
    groups: Option<Vec<Group>>,
}

impl ByKind {
    pub(super) fn new(rows: Rows) -> ByKind {
        ByKind { rows, groups: None }
    }

    fn count(&mut self) -> Result<Vec<Group>, Error> {
        let store = self.rows.store.clone();
        // Sorted by name as SQLite sorts texts: bytewise, NULL first.
        let mut counts: BTreeMap<(Option<&str>, i64, i64), (TextId, usize)> = BTreeMap::new();
        while let Some((mut reader, selection)) = self.rows.advance()? {
            let mut by_number = [0usize; EventKind::LIMIT as usize];
            let index = reader.index();
            let chunk = reader.load()?.clone();
            let kinds = match chunk.kinds() {
                Ok(kinds) => kinds,
                Err(error) => {
                    store.note(index, error)?;
                    continue;
                }
            };
            for range in selection.ranges() {
                for kind in &kinds[range.start as usize..range.end as usize] {
                    by_number[usize::from(*kind)] += 1;
                }
            }
            let header = reader.header();
            let names = store.process(header).kinds;
            for (kind, events) in names.into_iter().zip(by_number).filter(|(_, n)| *n > 0) {
                let name = store.directory().texts.get(kind);
                let key = (name, header.run_id, header.process_id);
                counts.entry(key).or_insert((kind, 0)).1 += events;
            }
        }
        let groups = counts.into_iter().map(|((_, run_id, process_id), (kind, events))| Group {
            kind,
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
        if let Some(group) = self.groups.as_mut().and_then(Vec::pop) {
            batch.rows = group.events;
            batch.columns[RUN_ID] = Column::Int(group.run_id);
            batch.columns[PROCESS_ID] = Column::Int(group.process_id);
            batch.columns[KIND] = Column::Text(group.kind);
        }
        Ok(())
    }
}
