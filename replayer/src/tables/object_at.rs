//! `object_at`: the contents of an object at a position.

use super::at::{self, Answer, AtScan};
use crate::state::{ObjectText, State};
use crate::store::{Error, Store};
use crate::tables::Table;
use crate::tables::batch::{Batch, Column};
use crate::tables::plan::{Plan, Request};
use std::rc::Rc;

columns! {
    OBJECT_ID TYPE VALUE RUN_ID OBJECT SEQ
}

pub(crate) struct ObjectAt;

impl Table for ObjectAt {
    const NAME: &'static str = "object_at";
    type Scan = AtScan<ObjectAt>;

    fn plan(_: &Store, request: &mut Request) {
        at::plan(request, Self::ARGUMENTS, 1.0);
    }

    fn scan(store: Rc<Store>, plan: Plan) -> Result<AtScan<ObjectAt>, Error> {
        AtScan::new(store, &plan, ObjectAt)
    }
}

impl Answer for ObjectAt {
    const NAME: &'static str = "object_at";
    const ARGUMENTS: &'static [usize] = &[RUN_ID, OBJECT, SEQ];
    const RUN_ID: usize = RUN_ID;
    const SEQ: usize = SEQ;
    type Row = (i64, ObjectText);

    fn rows(&self, store: &Store, arguments: &[i64]) -> Result<Vec<Self::Row>, Error> {
        let &[run_id, object_id, seq] = arguments else { return Ok(Vec::new()) };
        let Ok(id) = u64::try_from(object_id) else { return Ok(Vec::new()) };
        let found = State::of(store).object_at(run_id, id, seq)?;
        Ok(found.map(|found| (object_id, found)).into_iter().collect())
    }

    fn put(_: &Store, rows: &[Self::Row], batch: &mut Batch) {
        let types = rows.iter().map(|(_, object)| Some(object.r#type.clone()));
        let values = rows.iter().map(|(_, object)| Some(object.value.clone()));
        batch.columns[TYPE] = Column::Owned(types.collect());
        batch.columns[VALUE] = Column::Owned(values.collect());
        batch.ints(OBJECT_ID, rows.iter().map(|(id, _)| *id));
    }
}
