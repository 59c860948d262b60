//! `variables`: every binding of a variable.

mod count;

use super::changes::{self, ChangeScan, Rows};
use super::int;
use crate::state::{Binding, Detail, State, Wanted, Where};
use crate::store::texts::TextId;
use crate::store::{Error, Store};
use crate::tables::batch::{Batch, Column};
use crate::tables::groups::Tally;
use crate::tables::plan::{Plan, Request};
use crate::tables::{Countable, Table};
use dashcam_schema::event::EventKind;
use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;

columns! {
    RUN_ID SEQ PROCESS_ID THREAD_ID CALL_ID SCOPE NAME LINE VALUE OBJECT_ID
}

pub(crate) struct Variables;

impl Table for Variables {
    const NAME: &'static str = "variables";
    type Scan = ChangeScan<Variables>;

    fn plan(store: &Store, request: &mut Request) {
        changes::plan::<Variables>(store, request);
    }

    fn scan(store: Rc<Store>, plan: Plan) -> Result<ChangeScan<Variables>, Error> {
        Ok(ChangeScan::new(store, plan))
    }
}

impl Countable for Variables {
    const GROUPS: &'static str = "grouped_variables";
    const POSITION: Option<[usize; 2]> = Some([RUN_ID, SEQ]);
    const KEYS: &'static [usize] =
        &[RUN_ID, PROCESS_ID, THREAD_ID, SCOPE, NAME, LINE, VALUE, OBJECT_ID];

    fn count(
        store: &Rc<Store>,
        plan: &Plan,
        keys: &[usize],
        tally: &mut Tally,
    ) -> Result<Vec<Plan>, Error> {
        count::count(store, plan, keys, tally)
    }
}

impl Rows for Variables {
    const LINE: usize = LINE;
    const OBJECT_ID: usize = OBJECT_ID;
    const NAME: Option<usize> = Some(NAME);
    const KINDS: u32 = 1 << EventKind::INSTRUCTION.number() | 1 << EventKind::PY_START.number();
    type Row = Binding;

    fn detail(plan: &Plan) -> Detail {
        let is_used = [VALUE, OBJECT_ID].iter().any(|column| plan.uses(*column));
        if is_used { Detail::Values } else { Detail::Places }
    }

    fn of_chunk(
        state: &State<'_>,
        chunk: usize,
        range: Range<usize>,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<Binding>, Error> {
        state.bindings(chunk, range, wanted)
    }

    fn at(row: &Binding) -> Where {
        row.at
    }

    fn object_id(row: &Binding) -> Option<i64> {
        row.object_id.map(int)
    }

    fn number(row: &Binding) -> Option<u32> {
        Some(row.number)
    }

    fn put(store: &Store, rows: &[(u32, Binding)], batch: &mut Batch) {
        let scope = |row: &Binding| store.directory().texts.find(row.scope);
        batch.texts(SCOPE, rows.iter().map(|(_, row)| scope(row).unwrap_or(TextId::NONE)));
        batch.columns[NAME] = Column::Lazy;
        batch.columns[VALUE] = Column::Lazy;
    }

    fn text<'r>(
        state: &State<'_>,
        row: &'r Binding,
        column: usize,
    ) -> Result<Option<Cow<'r, str>>, Error> {
        match (column, &row.content) {
            (NAME, _) => Ok(Some(Cow::Borrowed(&row.name))),
            (VALUE, Some(content)) => Ok(state.write_content(content)?.map(owned)),
            (VALUE, None) => Ok(row.value.as_deref().map(Cow::Borrowed)),
            _ => Ok(None),
        }
    }
}

fn owned(text: Box<str>) -> Cow<'static, str> {
    Cow::Owned(text.into())
}
