//! `locals_at`: the variables of the frames on the stack at a position.

use super::at::{self, Answer, AtScan};
use super::int;
use crate::state::{State, Variable};
use crate::store::texts::TextId;
use crate::store::{Error, Store};
use crate::tables::Table;
use crate::tables::batch::{Batch, Column, NULL};
use crate::tables::filter::IntSet;
use crate::tables::plan::{Plan, Request};
use dashcam_schema::tables::Type;
use std::rc::Rc;

columns! {
    DEPTH SCOPE NAME VALUE OBJECT_ID RUN_ID SEQ FRAME
}

pub(crate) struct LocalsAt {
    depths: IntSet,
}

impl Table for LocalsAt {
    const NAME: &'static str = "locals_at";
    type Scan = AtScan<LocalsAt>;

    fn plan(_: &Store, request: &mut Request) {
        at::plan(request, Self::ARGUMENTS, 50.0);
        request.take(DEPTH, Type::Integer, 0.1, 0.5);
        request.take(FRAME, Type::Integer, 0.1, 0.5);
    }

    fn scan(store: Rc<Store>, plan: Plan) -> Result<AtScan<LocalsAt>, Error> {
        // The argument has the same value as the column.
        let depths = IntSet::of_either(&plan, DEPTH, FRAME);
        AtScan::new(store, &plan, LocalsAt { depths })
    }
}

impl Answer for LocalsAt {
    const NAME: &'static str = "locals_at";
    const ARGUMENTS: &'static [usize] = &[RUN_ID, SEQ];
    const RUN_ID: usize = RUN_ID;
    const SEQ: usize = SEQ;
    type Row = Variable;

    fn rows(&self, store: &Store, arguments: &[i64]) -> Result<Vec<Variable>, Error> {
        let &[run_id, seq] = arguments else { return Ok(Vec::new()) };
        let only = match self.depths.values.as_deref() {
            Some(&[depth]) => match usize::try_from(depth) {
                Ok(depth) => Some(depth),
                Err(_) => return Ok(Vec::new()),
            },
            _ => None,
        };
        let mut found = State::of(store).locals_at(run_id, seq, only)?;
        found.retain(|variable| self.depths.contains(variable.depth as i64));
        Ok(found)
    }

    fn put(store: &Store, rows: &[Variable], batch: &mut Batch) {
        let scope = |row: &Variable| store.directory().texts.find(row.scope);
        let depth = |row: &Variable| row.depth as i64;
        batch.ints(DEPTH, rows.iter().map(depth));
        batch.ints(FRAME, rows.iter().map(depth));
        batch.texts(SCOPE, rows.iter().map(|row| scope(row).unwrap_or(TextId::NONE)));
        batch.columns[NAME] =
            Column::Owned(rows.iter().map(|row| Some(row.name.clone())).collect());
        batch.columns[VALUE] =
            Column::Owned(rows.iter().map(|row| Some(row.value.clone())).collect());
        batch.ints(OBJECT_ID, rows.iter().map(|row| row.object_id.map_or(NULL, int)));
    }
}
