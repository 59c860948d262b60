//! `mutations`: every change of an object in place.

use super::changes::{self, ChangeScan, Rows};
use super::int;
use crate::sql::batch::{Batch, Column};
use crate::sql::plan::{Plan, Request};
use crate::sql::vtab::Table;
use crate::state::{Mutation, State, Wanted, Where};
use crate::store::{Error, Store};
use dashcam_schema::event::EventKind;
use std::ops::Range;
use std::rc::Rc;

columns! {
    RUN_ID SEQ PROCESS_ID THREAD_ID CALL_ID LINE OBJECT_ID TYPE OPERATION KEY VALUE
}

pub(in crate::sql) struct Mutations;

impl Table for Mutations {
    const NAME: &'static str = "mutations";
    type Scan = ChangeScan<Mutations>;

    fn plan(store: &Store, request: &mut Request) {
        changes::plan::<Mutations>(store, request);
    }

    fn scan(store: Rc<Store>, plan: Plan) -> Result<ChangeScan<Mutations>, Error> {
        Ok(ChangeScan::new(store, plan))
    }
}

impl Rows for Mutations {
    const LINE: usize = LINE;
    const VALUES: &'static [usize] = &[KEY, VALUE];
    const NAME: Option<usize> = None;
    const KINDS: u32 = 1 << EventKind::INSTRUCTION.number()
        | 1 << EventKind::C_RETURN.number()
        | 1 << EventKind::C_RAISE.number();
    type Row = Mutation;

    fn of_chunk(
        state: &State<'_>,
        chunk: usize,
        range: Range<usize>,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<Mutation>, Error> {
        state.mutations(chunk, range, wanted)
    }

    fn at(row: &Mutation) -> Where {
        row.at
    }

    fn put(_: &Store, rows: &[Mutation], batch: &mut Batch) {
        let owned = |of: fn(&Mutation) -> Option<&str>| {
            Column::Owned(rows.iter().map(|row| of(row).map(Box::from)).collect())
        };
        batch.ints(OBJECT_ID, rows.iter().map(|row| int(row.object_id)));
        batch.columns[TYPE] = owned(|row| row.r#type.as_deref());
        batch.columns[OPERATION] = owned(|row| Some(&row.operation));
        batch.columns[KEY] = owned(|row| row.key.as_deref());
        batch.columns[VALUE] = owned(|row| row.value.as_deref());
    }
}
