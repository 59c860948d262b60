//! Rows of `calls`, and their columns.

use super::{
    ARGUMENTS, CALL_ID, CALL_LINE, CODE_ID, DEPTH, DURATION_NS, END_NS, END_SEQ, EXCEPTION, EXIT,
    PARENT_CALL_ID, PATH, PROCESS_ID, QUALNAME, RESULT, RUN_ID, SELF_NS, START_NS, START_SEQ,
    THREAD_ID,
};
use crate::store::texts::TextId;
use crate::store::{Code, Error, Process, Store};
use crate::tables::batch::{Batch, Column, NULL};
use crate::tables::int;
use crate::tables::plan::Plan;
use dashcam_schema::calls::{CallId, OpenCall, Site};
use std::borrow::Cow;

/// The texts of the column `exit`.
pub(super) struct Words {
    pub(super) r#return: TextId,
    pub(super) unwind: TextId,
    pub(super) open: TextId,
}

impl Words {
    pub(super) fn new(store: &Store) -> Words {
        let word = |text| store.directory().texts.find(text).unwrap_or(TextId::NONE);
        Words { r#return: word("return"), unwind: word("unwind"), open: word("open") }
    }
}

/// One call.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) process_id: i64,
    pub(super) call_id: CallId,
    pub(super) parent: CallId,
    pub(super) thread: u32,
    pub(super) depth: u32,
    pub(super) code: u32,
    pub(super) called_from: Option<Site>,
    pub(super) start_ns: u64,
    pub(super) self_ns: u64,
    /// The `seq` and time of its end.
    pub(super) end: Option<(u64, u64)>,
    pub(super) exit: TextId,
    exception: TextId,
}

impl Row {
    pub(super) fn new(
        process: &Process,
        call: &OpenCall,
        end: Option<(u64, u64)>,
        exit: TextId,
        exception: TextId,
    ) -> Row {
        Row {
            process_id: process.process_id,
            call_id: call.call_id,
            parent: call.parent,
            thread: call.thread,
            depth: call.depth,
            code: call.code,
            called_from: call.called_from,
            start_ns: call.start_ns,
            self_ns: call.self_ns,
            end,
            exit,
            exception,
        }
    }

    /// The value in a column of integers that needs no directory.
    pub(super) fn number(&self, column: usize) -> Option<i64> {
        match column {
            CALL_ID | START_SEQ => Some(int(self.call_id)),
            DEPTH => Some(self.depth.into()),
            END_SEQ => self.end.map(|(seq, _)| int(seq)),
            START_NS => Some(int(self.start_ns)),
            END_NS => self.end.map(|(_, ns)| int(ns)),
            DURATION_NS => self.end.map(|(_, ns)| int(ns.saturating_sub(self.start_ns))),
            SELF_NS => Some(int(self.self_ns)),
            _ => None,
        }
    }
}

/// Puts the columns that the plan uses into the batch.
pub(super) fn put(store: &Store, plan: &Plan, rows: &[Row], batch: &mut Batch) {
    batch.rows = rows.len();
    let process = |row: &Row| &store.directory().processes[&row.process_id];
    let code = |row: &Row| -> Option<&Code> {
        process(row).codes.get(&row.code).map(|index| &store.directory().codes[*index])
    };
    for column in (0..batch.columns.len()).filter(|column| plan.uses(*column)) {
        let mut ints = |value: &dyn Fn(&Row) -> i64| batch.ints(column, rows.iter().map(value));
        match column {
            RUN_ID => ints(&|row| process(row).run_id),
            CALL_ID | START_SEQ | DEPTH | END_SEQ | START_NS | END_NS | DURATION_NS | SELF_NS => {
                ints(&|row| row.number(column).unwrap_or(NULL));
            }
            PARENT_CALL_ID => ints(&|row| if row.parent == 0 { NULL } else { int(row.parent) }),
            PROCESS_ID => ints(&|row| row.process_id),
            THREAD_ID => {
                ints(&|row| process(row).threads.get(&row.thread).copied().unwrap_or(NULL));
            }
            CODE_ID => ints(&|row| code(row).map_or(NULL, |code| code.code_id)),
            CALL_LINE => ints(&|row| {
                let site = row.called_from;
                site.and_then(|site| store.line(process(row), site)).unwrap_or(NULL)
            }),
            QUALNAME => batch.texts(
                column,
                rows.iter().map(|row| code(row).map_or(TextId::NONE, |code| code.qualname)),
            ),
            PATH => batch.texts(
                column,
                rows.iter().map(|row| code(row).map_or(TextId::NONE, |code| code.path)),
            ),
            EXIT => batch.texts(column, rows.iter().map(|row| row.exit)),
            EXCEPTION => batch.texts(column, rows.iter().map(|row| row.exception)),
            ARGUMENTS | RESULT => batch.columns[column] = Column::Lazy,
            _ => {}
        }
    }
}

/// The arguments or the result of a call. The result is the value of the event that ended it.
pub(super) fn text<'r>(
    store: &Store,
    row: &Row,
    column: usize,
) -> Result<Option<Cow<'r, str>>, Error> {
    let seq = if column == ARGUMENTS { Some(row.call_id) } else { row.end.map(|(seq, _)| seq) };
    let process = &store.directory().processes[&row.process_id];
    let Some(seq) = seq.filter(|_| store.has_values(process)) else { return Ok(None) };
    let text = store.value_text_at(process.run_id, int(seq))?;
    Ok(text.map(Cow::Owned))
}
