//! Tables that answer a question about a run: `callers_of('parse')`, `call_tree(1, 200)`.
//!
//! To SQLite, arguments are hidden columns that have to equal something. A question about a
//! position has the run as its first argument, because positions are numbered by run. Other
//! questions have `run_id` as a column, and answer for every wanted run.

use crate::store::texts::TextId;
use crate::store::{Code, Error, Process, Store};
use crate::tables::batch::{Batch, Column, NULL, ROWS};
use crate::tables::filter::IntSet;
use crate::tables::plan::{Op, Plan, Request, Value};
use crate::tables::{Scan, Table};
use dashcam_schema::tables::{self, Type};
use rustc_hash::FxHashSet;
use std::marker::PhantomData;
use std::rc::Rc;

/// Higher than the cost of any real plan: SQLite takes it only if there is no other.
const IMPOSSIBLE: f64 = 1e30;

/// The value in one column of one row.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Id(TextId),
    Text(Box<str>),
}

impl Cell {
    pub(super) fn text(text: Option<impl Into<Box<str>>>) -> Cell {
        text.map_or(Cell::Null, |text| Cell::Text(text.into()))
    }

    pub(super) fn int(number: Option<i64>) -> Cell {
        number.map_or(Cell::Null, Cell::Int)
    }

    pub(super) fn count(number: u64) -> Cell {
        Cell::Int(super::int(number))
    }
}

/// Rows. Their cells are the columns that are neither `run_id` nor arguments.
pub(crate) type Answer = Vec<Vec<Cell>>;

/// A table with arguments.
pub(crate) trait Question: 'static {
    const NAME: &'static str;
    /// Column of the run.
    const RUN_ID: usize;
    /// Columns of the arguments, in order. Contains [`Self::RUN_ID`] if the question is about a
    /// position.
    const ARGUMENTS: &'static [usize];
    /// Rows an answer is expected to have.
    const ROWS: f64;
    /// The cost of an answer, in rows of an ordinary table.
    const COST: f64;

    /// The rows for these arguments, without `run_id`.
    fn answer(store: &Rc<Store>, run_id: i64, arguments: &[Value]) -> Result<Answer, Error>;
}

/// One set of arguments.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    pub(super) run_id: i64,
    pub(super) arguments: Vec<Value>,
}

/// Takes over the constraints on the run and the arguments. Returns whether every argument is
/// given.
pub(super) fn take_arguments(
    request: &mut Request,
    table: &str,
    run_id: usize,
    arguments: &[usize],
) -> bool {
    request.take(run_id, Type::Integer, 1.0, 1.0);
    for argument in arguments.iter().filter(|argument| **argument != run_id) {
        request.take(*argument, type_of(table, *argument), 1.0, 1.0);
    }
    arguments.iter().all(|argument| {
        let mut taken = request.constraints.iter().filter(|c| c.taken && c.column == *argument);
        taken.any(|c| matches!(c.op, Op::Eq | Op::In))
    })
}

/// Every set of arguments that the plan asks for.
pub(super) fn asked(
    store: &Store,
    plan: &Plan,
    table: &str,
    run_id: usize,
    arguments: &[usize],
) -> Result<Vec<Asked>, Error> {
    let missing = || Error::Sqlite {
        path: store.path().to_owned(),
        message: format!("{table} needs its arguments: {}", usage(table, run_id, arguments)),
    };
    let runs = IntSet::of(plan, run_id);
    let known = &store.directory().runs;
    let is_argument = arguments.contains(&run_id);
    let mut found: Vec<Asked> = match &runs.values {
        Some(values) if is_argument => {
            if let Some(unknown) = values.iter().find(|run| !known.contains(run)) {
                let last = known.last();
                let last = last.map_or(String::new(), |last| format!("; the last is {last}"));
                let what = format!("{table}: no run {unknown}{last}");
                return Err(Error::NotThere { what });
            }
            values.iter().map(|run| Asked { run_id: *run, arguments: Vec::new() }).collect()
        }
        None if is_argument => return Err(missing()),
        _ => {
            let wanted = known.iter().filter(|run| runs.contains(**run));
            wanted.map(|run| Asked { run_id: *run, arguments: Vec::new() }).collect()
        }
    };
    for argument in arguments.iter().filter(|argument| **argument != run_id) {
        let values = match type_of(table, *argument) {
            Type::Integer => {
                let values = IntSet::of(plan, *argument).values.ok_or_else(missing)?;
                values.into_iter().map(Value::Integer).collect()
            }
            _ => values(plan, *argument).ok_or_else(missing)?,
        };
        let with = |asked: &Asked, value: &Value| {
            let mut asked = asked.clone();
            asked.arguments.push(value.clone());
            asked
        };
        found = found
            .iter()
            .flat_map(|asked| values.iter().map(move |value| with(asked, value)))
            .collect();
    }
    Ok(found)
}

/// For example `callers_of(function)`.
fn usage(table: &str, run_id: usize, arguments: &[usize]) -> String {
    let columns = tables::find(table).map_or(&[][..], |table| table.columns);
    let name = |at: &usize| columns.get(*at).map_or("?", |column| column.name);
    let mut names: Vec<&str> = arguments.iter().map(name).collect();
    if let Some(at) = arguments.iter().position(|argument| *argument == run_id) {
        names[at] = "run_id";
    }
    format!("{table}({})", names.join(", "))
}

fn type_of(table: &str, column: usize) -> Type {
    let columns = tables::find(table).map_or(&[][..], |table| table.columns);
    columns.get(column).map_or(Type::Text, |column| column.r#type)
}

/// The values of a text column that pass constraints; `None` for all.
fn values(plan: &Plan, column: usize) -> Option<Vec<Value>> {
    let is_set = |op: &Op| matches!(op, Op::Eq | Op::In);
    let constraints = plan.constraints.iter().filter(|(c, op, _)| *c == column && is_set(op));
    let mut set: Option<Vec<Value>> = None;
    for (.., values) in constraints {
        let mut values = values.clone();
        values.retain(|value| {
            *value != Value::Null && set.as_ref().is_none_or(|set| set.contains(value))
        });
        set = Some(values);
    }
    set
}

/// A [`Question`] as a [`Table`].
pub(crate) struct Questions<Q>(PhantomData<Q>);

impl<Q: Question> Table for Questions<Q> {
    const NAME: &'static str = Q::NAME;
    type Scan = QuestionScan<Q>;

    fn plan(_: &Store, request: &mut Request) {
        request.rows = Q::ROWS;
        let is_complete = take_arguments(request, Q::NAME, Q::RUN_ID, Q::ARGUMENTS);
        request.cost = if is_complete { Q::COST } else { IMPOSSIBLE };
    }

    fn scan(store: Rc<Store>, plan: Plan) -> Result<QuestionScan<Q>, Error> {
        let mut left = asked(&store, &plan, Q::NAME, Q::RUN_ID, Q::ARGUMENTS)?;
        left.reverse();
        Ok(QuestionScan {
            store,
            left,
            current: None,
            rows: Vec::new(),
            given: 0,
            batch: 0,
            before: 0,
            of: PhantomData,
        })
    }
}

pub(crate) struct QuestionScan<Q> {
    store: Rc<Store>,
    /// The questions that are left, the last first.
    left: Vec<Asked>,
    current: Option<Asked>,
    rows: Answer,
    given: usize,
    /// Where the last batch begins.
    batch: usize,
    /// The number of rows of the previous answers.
    before: usize,
    of: PhantomData<Q>,
}

impl<Q: Question> Scan for QuestionScan<Q> {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Error> {
        while self.given == self.rows.len() {
            self.before += self.given;
            (self.rows, self.given) = (Vec::new(), 0);
            let Some(asked) = self.left.pop() else { return Ok(()) };
            self.rows = Q::answer(&self.store, asked.run_id, &asked.arguments)?;
            self.current = Some(asked);
        }
        let Some(asked) = &self.current else { return Ok(()) };
        let end = self.rows.len().min(self.given + ROWS);
        let rows = &self.rows[self.given..end];
        (self.batch, self.given) = (self.given, end);
        batch.rows = rows.len();
        put_asked(asked, Q::RUN_ID, Q::ARGUMENTS, batch);
        let columns = (0..batch.columns.len())
            .filter(|column| *column != Q::RUN_ID && !Q::ARGUMENTS.contains(column));
        let texts = &self.store.directory().texts;
        for (cell, column) in columns.enumerate().collect::<Vec<_>>() {
            let cells = || rows.iter().map(|row| row.get(cell).unwrap_or(&Cell::Null));
            match type_of(Q::NAME, column) {
                Type::Integer => batch.ints(
                    column,
                    cells().map(|cell| if let Cell::Int(number) = cell { *number } else { NULL }),
                ),
                _ => {
                    let texts = cells().map(|cell| match cell {
                        Cell::Text(text) => Some(text.clone()),
                        Cell::Id(id) => texts.get(*id).map(Into::into),
                        Cell::Int(number) => Some(number.to_string().into()),
                        Cell::Null => None,
                    });
                    batch.columns[column] = Column::Owned(texts.collect());
                }
            }
        }
        Ok(())
    }

    /// Rows come in the same order every time.
    fn rowid(&self, row: usize) -> i64 {
        (self.before + self.batch + row) as i64
    }
}

/// Puts the run and the arguments into a batch, whose number of rows is set.
pub(super) fn put_asked(asked: &Asked, run_id: usize, arguments: &[usize], batch: &mut Batch) {
    batch.columns[run_id] = Column::Int(asked.run_id);
    let others = arguments.iter().filter(|argument| **argument != run_id);
    for (column, value) in others.zip(&asked.arguments) {
        batch.columns[*column] = match value {
            Value::Integer(number) => Column::Int(*number),
            Value::Text(text) => Column::Owned(vec![Some(text.as_str().into()); batch.rows]),
            _ => Column::Null,
        };
    }
}

/// An integer argument.
pub(super) fn integer(arguments: &[Value], at: usize) -> i64 {
    match arguments.get(at) {
        Some(Value::Integer(number)) => *number,
        _ => NULL,
    }
}

/// Ids of the code objects of a run that a name refers to: a qualified name, the end of one
/// (`total` for `Order.total`), or a `code_id`.
pub(super) fn functions(store: &Store, run_id: i64, named: Option<&Value>) -> FxHashSet<i64> {
    let is_meant = |code: &Code| match named {
        Some(Value::Integer(id)) => code.code_id == *id,
        Some(Value::Text(name)) => {
            let qualname = store.directory().texts.get(code.qualname).unwrap_or_default();
            let before = qualname.strip_suffix(name.as_str());
            !name.is_empty() && before.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        }
        _ => false,
    };
    codes_of(store, run_id).filter(|code| is_meant(code)).map(|code| code.code_id).collect()
}

/// The processes of a run.
pub(super) fn processes(store: &Store, run_id: i64) -> impl Iterator<Item = &Process> {
    store.directory().processes.values().filter(move |process| process.run_id == run_id)
}

/// The code objects of a run.
pub(super) fn codes_of(store: &Store, run_id: i64) -> impl Iterator<Item = &Code> {
    let codes = processes(store, run_id).flat_map(|process| process.codes.values());
    codes.map(|index| &store.directory().codes[*index])
}

/// The code object that has this number in a process.
pub(super) fn code<'a>(store: &'a Store, process: &Process, number: u32) -> Option<&'a Code> {
    process.codes.get(&number).map(|index| &store.directory().codes[*index])
}
