//! `stack_at`: the frames on the stack at a position.

use super::at::{self, Answer, AtScan};
use super::int;
use crate::state::{StackFrame, State};
use crate::store::texts::TextId;
use crate::store::{Code, Error, Store};
use crate::tables::Table;
use crate::tables::batch::{Batch, NULL};
use crate::tables::plan::{Plan, Request};
use std::rc::Rc;

columns! {
    DEPTH CALL_ID CODE_ID QUALNAME PATH LINE RUN_ID SEQ
}

pub(crate) struct StackAt;

impl Table for StackAt {
    const NAME: &'static str = "stack_at";
    type Scan = AtScan<StackAt>;

    fn plan(_: &Store, request: &mut Request) {
        at::plan(request, Self::ARGUMENTS, 10.0);
    }

    fn scan(store: Rc<Store>, plan: Plan) -> Result<AtScan<StackAt>, Error> {
        AtScan::new(store, &plan, StackAt)
    }
}

impl Answer for StackAt {
    const NAME: &'static str = "stack_at";
    const ARGUMENTS: &'static [usize] = &[RUN_ID, SEQ];
    const RUN_ID: usize = RUN_ID;
    const SEQ: usize = SEQ;
    type Row = StackFrame;

    fn rows(&self, store: &Store, arguments: &[i64]) -> Result<Vec<StackFrame>, Error> {
        let &[run_id, seq] = arguments else { return Ok(Vec::new()) };
        State::of(store).stack_at(run_id, seq)
    }

    fn put(store: &Store, rows: &[StackFrame], batch: &mut Batch) {
        let code = |row: &StackFrame| -> Option<&Code> {
            let process = store.directory().processes.get(&row.process_id)?;
            store.directory().codes.get(*process.codes.get(&row.code)?)
        };
        let text = |of: fn(&Code) -> TextId| {
            rows.iter().map(move |row| code(row).map_or(TextId::NONE, of))
        };
        batch.ints(DEPTH, 0..rows.len() as i64);
        batch.ints(CALL_ID, rows.iter().map(|row| int(row.call_id)));
        batch.ints(CODE_ID, rows.iter().map(|row| code(row).map_or(NULL, |code| code.code_id)));
        batch.texts(QUALNAME, text(|code| code.qualname));
        batch.texts(PATH, text(|code| code.path));
        batch.ints(LINE, rows.iter().map(|row| row.line.unwrap_or(NULL)));
    }
}
