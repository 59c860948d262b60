//! Tables that show a part of another table, with names instead of numbers: `events_between` and
//! `values_of`. Rows are passed on as they come, without limit.

use super::question::{Asked, asked, put_asked, take_arguments};
use crate::store::texts::TextId;
use crate::store::{Error, Store};
use crate::tables::batch::{Batch, Column, NULL};
use crate::tables::plan::{Op, Plan, Request, Value};
use crate::tables::{Scan, Table};
use std::borrow::Cow;
use std::marker::PhantomData;
use std::rc::Rc;

/// A table that passes on rows of another table.
pub(crate) trait Named: 'static {
    const NAME: &'static str;
    type Inner: Table;
    const RUN_ID: usize;
    const ARGUMENTS: &'static [usize];
    /// Columns that are passed on, and their numbers in the other table.
    const COLUMNS: &'static [(usize, usize)];
    /// Columns of the other table that have to be read for [`Self::put`].
    const READ: u64;
    /// Number of the column with the position, here and in the other table.
    const SEQ: (usize, usize);

    /// The constraints on the other table that the arguments stand for.
    fn constraints(arguments: &[Value]) -> Vec<(usize, Op, Vec<Value>)>;

    /// Adds the table's own columns, as far as the plan uses them; `rows` is from the other table.
    fn put(
        store: &Store,
        plan: &Plan,
        run_id: i64,
        rows: &Batch,
        batch: &mut Batch,
    ) -> Result<(), Error>;
}

/// A [`Named`] as a [`Table`].
pub(crate) struct NamedTable<N>(PhantomData<N>);

impl<N: Named> Table for NamedTable<N> {
    const NAME: &'static str = N::NAME;
    type Scan = NamedScan<N>;

    fn plan(_: &Store, request: &mut Request) {
        request.rows = 1e4;
        let is_complete = take_arguments(request, N::NAME, N::RUN_ID, N::ARGUMENTS);
        request.cost = if is_complete { 1e5 } else { 1e30 };
        let is_fixed = |column: &usize| request.is_fixed(*column);
        let has_one_answer = N::ARGUMENTS.iter().all(is_fixed) && request.is_fixed(N::RUN_ID);
        // Rows come in the order of events.
        if let [(column, false)] = request.order_by[..]
            && column == N::SEQ.0
            && has_one_answer
        {
            request.order_consumed = true;
        }
    }

    fn scan(store: Rc<Store>, plan: Plan) -> Result<NamedScan<N>, Error> {
        let mut left = asked(&store, &plan, N::NAME, N::RUN_ID, N::ARGUMENTS)?;
        left.reverse();
        let inner = N::COLUMNS.iter().filter(|(outer, _)| plan.uses(*outer));
        let used = inner.fold(N::READ, |used, (_, inner)| used | 1 << inner);
        Ok(NamedScan { store, plan, used, left, current: None, rows: Batch::default() })
    }
}

pub(crate) struct NamedScan<N: Named> {
    store: Rc<Store>,
    plan: Plan,
    /// Columns of the other table that are read.
    used: u64,
    /// The questions that are left, the last first.
    left: Vec<Asked>,
    current: Option<(Asked, <N::Inner as Table>::Scan)>,
    rows: Batch,
}

impl<N: Named> Scan for NamedScan<N> {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Error> {
        let columns = dashcam_schema::tables::find(N::Inner::NAME).map_or(0, |t| t.columns.len());
        loop {
            if let Some((asked, scan)) = &mut self.current {
                self.rows.reset(columns);
                scan.fill(&mut self.rows)?;
                if self.rows.rows > 0 {
                    batch.rows = self.rows.rows;
                    put_asked(asked, N::RUN_ID, N::ARGUMENTS, batch);
                    N::put(&self.store, &self.plan, asked.run_id, &self.rows, batch)?;
                    for (outer, inner) in N::COLUMNS {
                        batch.columns[*outer] = std::mem::take(&mut self.rows.columns[*inner]);
                    }
                    return Ok(());
                }
            }
            let Some(asked) = self.left.pop() else {
                self.current = None;
                return Ok(());
            };
            let mut constraints = N::constraints(&asked.arguments);
            // `run_id` is the first column of every table.
            constraints.push((0, Op::Eq, vec![Value::Integer(asked.run_id)]));
            let plan = Plan { used: self.used, constraints, ..Plan::default() };
            let scan = N::Inner::scan(self.store.clone(), plan)?;
            self.current = Some((asked, scan));
        }
    }

    fn rowid(&self, row: usize) -> i64 {
        self.current.as_ref().map_or(0, |(_, scan)| scan.rowid(row))
    }

    fn text(&self, row: usize, column: usize) -> Result<Option<Cow<'_, str>>, Error> {
        let inner = N::COLUMNS.iter().find(|(outer, _)| *outer == column);
        match (&self.current, inner) {
            (Some((_, scan)), Some((_, inner))) => scan.text(row, *inner),
            _ => Ok(None),
        }
    }
}

/// `events_between(run_id, first_seq, last_seq)`.
pub(crate) struct EventsBetween;

pub(super) mod between {
    columns! {
        SEQ TIME_NS THREAD_ID KIND CODE_ID QUALNAME PATH LINE SOURCE CALLABLE EXCEPTION VALUE RUN_ID FIRST_SEQ LAST_SEQ
    }
    use super::super::events;
    pub(super) const OF_EVENTS: &[(usize, usize)] = &[
        (SEQ, events::SEQ),
        (TIME_NS, events::TIME_NS),
        (THREAD_ID, events::THREAD_ID),
        (KIND, events::KIND),
        (CODE_ID, events::CODE_ID),
        (LINE, events::LINE),
        (CALLABLE, events::CALLABLE),
        (EXCEPTION, events::EXCEPTION),
        (VALUE, events::VALUE),
    ];
    pub(super) const ARGUMENTS: &[usize] = &[RUN_ID, FIRST_SEQ, LAST_SEQ];
    pub(super) const OWN: [usize; 4] = [RUN_ID, QUALNAME, PATH, SOURCE];
    pub(super) const AT: usize = SEQ;
}

impl Named for EventsBetween {
    const NAME: &'static str = "events_between";
    type Inner = super::Events;
    const RUN_ID: usize = between::OWN[0];
    const ARGUMENTS: &'static [usize] = between::ARGUMENTS;
    const COLUMNS: &'static [(usize, usize)] = between::OF_EVENTS;
    const READ: u64 = 1 << super::events::CODE_ID | 1 << super::events::LINE;
    const SEQ: (usize, usize) = (between::AT, super::events::SEQ);

    fn constraints(arguments: &[Value]) -> Vec<(usize, Op, Vec<Value>)> {
        let seq = super::events::SEQ;
        let bound = |op, at: usize| (seq, op, arguments.get(at..=at).unwrap_or_default().to_vec());
        vec![bound(Op::Ge, 0), bound(Op::Le, 1)]
    }

    fn put(
        store: &Store,
        plan: &Plan,
        _: i64,
        rows: &Batch,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let [_, qualname, path, source] = between::OWN;
        if ![qualname, path, source].iter().any(|column| plan.uses(*column)) {
            return Ok(());
        }
        let ints = |column: usize, row: usize| match &rows.columns[column] {
            Column::Ints(ints) => ints.get(row).copied().unwrap_or(NULL),
            Column::Int(value) => *value,
            _ => NULL,
        };
        let directory = store.directory();
        let codes: Vec<_> =
            (0..rows.rows).map(|row| directory.code(ints(super::events::CODE_ID, row))).collect();
        batch.texts(qualname, codes.iter().map(|code| code.map_or(TextId::NONE, |c| c.qualname)));
        batch.texts(path, codes.iter().map(|code| code.map_or(TextId::NONE, |c| c.path)));
        if !plan.uses(source) {
            return Ok(());
        }
        let mut texts = Vec::with_capacity(rows.rows);
        for (row, code) in codes.iter().enumerate() {
            let file = code.map(|code| store.source_of(code.code_id)).transpose()?.flatten();
            let line = usize::try_from(ints(super::events::LINE, row)).ok();
            let text = file.as_ref().zip(line).and_then(|(file, line)| file.line(line));
            texts.push(text.map(|text| text.trim().into()));
        }
        batch.columns[source] = Column::Owned(texts);
        Ok(())
    }
}

/// `values_of(name)`.
pub(crate) struct ValuesOf;

pub(super) mod values {
    columns! {
        RUN_ID SEQ TIME_NS THREAD_ID CALL_ID QUALNAME PATH SCOPE LINE VALUE OBJECT_ID NAME
    }
    use super::super::variables;
    pub(super) const OF_VARIABLES: &[(usize, usize)] = &[
        (SEQ, variables::SEQ),
        (THREAD_ID, variables::THREAD_ID),
        (CALL_ID, variables::CALL_ID),
        (SCOPE, variables::SCOPE),
        (LINE, variables::LINE),
        (VALUE, variables::VALUE),
        (OBJECT_ID, variables::OBJECT_ID),
    ];
    pub(super) const ARGUMENTS: &[usize] = &[NAME];
    pub(super) const OWN: [usize; 4] = [RUN_ID, TIME_NS, QUALNAME, PATH];
    pub(super) const AT: usize = SEQ;
}

impl Named for ValuesOf {
    const NAME: &'static str = "values_of";
    type Inner = super::Variables;
    const RUN_ID: usize = values::OWN[0];
    const ARGUMENTS: &'static [usize] = values::ARGUMENTS;
    const COLUMNS: &'static [(usize, usize)] = values::OF_VARIABLES;
    const READ: u64 = 1 << super::variables::SEQ;
    const SEQ: (usize, usize) = (values::AT, super::variables::SEQ);

    fn constraints(arguments: &[Value]) -> Vec<(usize, Op, Vec<Value>)> {
        vec![(super::variables::NAME, Op::Eq, arguments.to_vec())]
    }

    fn put(
        store: &Store,
        plan: &Plan,
        run_id: i64,
        rows: &Batch,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let [_, time_ns, qualname, path] = values::OWN;
        if ![time_ns, qualname, path].iter().any(|column| plan.uses(*column)) {
            return Ok(());
        }
        let Column::Ints(seqs) = &rows.columns[super::variables::SEQ] else { return Ok(()) };
        let (mut times, mut names, mut paths) = (Vec::new(), Vec::new(), Vec::new());
        for seq in seqs {
            let (mut time, mut name, mut file) = (NULL, TextId::NONE, TextId::NONE);
            // The chunk was read for this row, so it exists.
            if let Some((chunk, index)) = store.locate(run_id, *seq) {
                let process = store.process(&store.chunks()[chunk]);
                let chunk = store.chunk(chunk)?;
                time = chunk.times()?.get(index).map_or(NULL, |time| super::int(*time));
                let context = chunk.contexts()?.get(index).map(|at| *at as usize);
                let context = context.and_then(|at| chunk.runs().ok()?.contexts.get(at).copied());
                let code = context.and_then(|of| super::question::code(store, process, of.code));
                if let Some(code) = code {
                    (name, file) = (code.qualname, code.path);
                }
            }
            times.push(time);
            names.push(name);
            paths.push(file);
        }
        batch.columns[time_ns] = Column::Ints(times);
        batch.columns[qualname] = Column::Texts(names);
        batch.columns[path] = Column::Texts(paths);
        Ok(())
    }
}
