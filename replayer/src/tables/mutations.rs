//! `mutations`: every in-place change of an object.

use super::changes::{self, ChangeScan, Rows};
use super::int;
use crate::state::{Detail, Mutation, State, Wanted, Where};
use crate::store::{Error, Store};
use crate::tables::batch::{Batch, Column};
use crate::tables::plan::{Plan, Request};
use crate::tables::{Countable, Table};
use dashcam_schema::event::EventKind;
use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;

columns! {
    RUN_ID SEQ PROCESS_ID THREAD_ID CALL_ID LINE OBJECT_ID TYPE OPERATION KEY VALUE
}

pub(crate) struct Mutations;

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

impl Countable for Mutations {
    const GROUPS: &'static str = "grouped_mutations";
    const POSITION: Option<[usize; 2]> = Some([RUN_ID, SEQ]);
    const KEYS: &'static [usize] =
        &[RUN_ID, PROCESS_ID, THREAD_ID, LINE, OBJECT_ID, TYPE, OPERATION, KEY, VALUE];
}

impl Rows for Mutations {
    const LINE: usize = LINE;
    const OBJECT_ID: usize = OBJECT_ID;
    const NAME: Option<usize> = None;
    const KINDS: u32 = 1 << EventKind::INSTRUCTION.number()
        | 1 << EventKind::C_RETURN.number()
        | 1 << EventKind::C_RAISE.number();
    type Row = Mutation;

    fn detail(plan: &Plan) -> Detail {
        if plan.uses(KEY) || plan.uses(VALUE) {
            Detail::Texts
        } else if plan.uses(TYPE) {
            Detail::Values
        } else {
            Detail::Places
        }
    }

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

    fn object_id(row: &Mutation) -> Option<i64> {
        Some(int(row.object_id))
    }

    fn number(_: &Mutation) -> Option<u32> {
        None
    }

    fn put(_: &Store, _: &[(u32, Mutation)], batch: &mut Batch) {
        for column in [TYPE, OPERATION, KEY, VALUE] {
            batch.columns[column] = Column::Lazy;
        }
    }

    fn text<'r>(
        _: &State<'_>,
        row: &'r Mutation,
        column: usize,
    ) -> Result<Option<Cow<'r, str>>, Error> {
        let text = match column {
            TYPE => row.r#type.as_deref(),
            OPERATION => Some(&*row.operation),
            KEY => row.key.as_deref(),
            VALUE => row.value.as_deref(),
            _ => None,
        };
        Ok(text.map(Cow::Borrowed))
    }
}
