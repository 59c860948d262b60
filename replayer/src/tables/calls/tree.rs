//! `call_tree`: a call and all calls that were made within it.

use super::rows::{self, Row};
use super::{CALL_ID as CALLS_CALL_ID, CallScan, RUN_ID as CALLS_RUN_ID};
use crate::store::{Error, Store};
use crate::tables::batch::{Batch, Column, ROWS};
use crate::tables::int;
use crate::tables::plan::{Op, Plan, Request, Value};
use crate::tables::question::{asked, code, take_arguments};
use crate::tables::{Scan, Table};
use std::borrow::Cow;
use std::rc::Rc;

columns! {
    LEVEL CALL_ID PARENT_CALL_ID THREAD_ID QUALNAME PATH CALL_LINE START_SEQ END_SEQ START_NS DURATION_NS
    SELF_NS EXIT ARGUMENTS RESULT EXCEPTION TREE RUN_ID CALL
}

const NAME: &str = "call_tree";
const COLUMNS_OF_ARGUMENTS: &[usize] = &[RUN_ID, CALL];

/// The largest number of calls in a tree, at some hundred bytes each.
const CALLS_MAX: usize = 3_500_000;

/// The columns, and their numbers in `calls`.
const OF_CALLS: [(usize, usize); 15] = [
    (CALL_ID, super::CALL_ID),
    (PARENT_CALL_ID, super::PARENT_CALL_ID),
    (THREAD_ID, super::THREAD_ID),
    (QUALNAME, super::QUALNAME),
    (PATH, super::PATH),
    (CALL_LINE, super::CALL_LINE),
    (START_SEQ, super::START_SEQ),
    (END_SEQ, super::END_SEQ),
    (START_NS, super::START_NS),
    (DURATION_NS, super::DURATION_NS),
    (SELF_NS, super::SELF_NS),
    (EXIT, super::EXIT),
    (ARGUMENTS, super::ARGUMENTS),
    (RESULT, super::RESULT),
    (EXCEPTION, super::EXCEPTION),
];

pub(crate) struct CallTree;

impl Table for CallTree {
    const NAME: &'static str = NAME;
    type Scan = TreeScan;

    fn plan(_: &Store, request: &mut Request) {
        request.rows = 100.0;
        let is_complete = take_arguments(request, NAME, RUN_ID, COLUMNS_OF_ARGUMENTS);
        request.cost = if is_complete { 1e4 } else { 1e30 };
        // Each call comes after its caller.
        if let [(CALL_ID | START_SEQ, false)] = request.order_by[..]
            && request.is_fixed(RUN_ID)
            && request.is_fixed(CALL)
        {
            request.order_consumed = true;
        }
    }

    fn scan(store: Rc<Store>, plan: Plan) -> Result<TreeScan, Error> {
        let mut left = Vec::new();
        for asked in asked(&store, &plan, NAME, RUN_ID, COLUMNS_OF_ARGUMENTS)? {
            if let Some(Value::Integer(call)) = asked.arguments.first() {
                left.push((asked.run_id, *call));
            }
        }
        left.reverse();
        let inner = OF_CALLS.iter().filter(|(outer, _)| plan.uses(*outer));
        let used = inner.fold(0, |used, (_, inner)| used | 1 << inner);
        Ok(TreeScan {
            store,
            plan: Plan { used, ..Plan::default() },
            left,
            asked: (0, 0),
            rows: Vec::new(),
            levels: Vec::new(),
            given: 0,
            batch: 0,
        })
    }
}

pub(crate) struct TreeScan {
    store: Rc<Store>,
    /// The used columns of `calls`.
    plan: Plan,
    /// Runs and calls that are left, the last first.
    left: Vec<(i64, i64)>,
    asked: (i64, i64),
    /// Calls, each after its caller, and their levels.
    rows: Vec<Row>,
    levels: Vec<u32>,
    given: usize,
    batch: usize,
}

impl Scan for TreeScan {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Error> {
        while self.given == self.rows.len() {
            (self.rows, self.levels, self.given) = (Vec::new(), Vec::new(), 0);
            let Some(asked) = self.left.pop() else { return Ok(()) };
            (self.rows, self.levels) = tree(&self.store, asked)?;
            self.asked = asked;
        }
        let end = self.rows.len().min(self.given + ROWS);
        let rows = &self.rows[self.given..end];
        let mut calls = Batch::default();
        calls.reset(super::EXCEPTION + 1);
        rows::put(&self.store, &self.plan, rows, &mut calls);
        for (outer, inner) in OF_CALLS {
            batch.columns[outer] = std::mem::take(&mut calls.columns[inner]);
        }
        batch.rows = rows.len();
        batch.ints(LEVEL, self.levels[self.given..end].iter().map(|level| i64::from(*level)));
        batch.columns[TREE] = Column::Lazy;
        batch.columns[RUN_ID] = Column::Int(self.asked.0);
        batch.columns[CALL] = Column::Int(self.asked.1);
        self.batch = self.given;
        self.given = end;
        Ok(())
    }

    fn rowid(&self, row: usize) -> i64 {
        let (run_id, call) = self.asked;
        let inner = self.rows.get(self.batch + row).map_or(0, |row| int(row.call_id));
        super::rowid(run_id, call).wrapping_shl(20) ^ inner
    }

    fn text(&self, row: usize, column: usize) -> Result<Option<Cow<'_, str>>, Error> {
        let at = self.batch + row;
        let Some((row, level)) = self.rows.get(at).zip(self.levels.get(at)) else {
            return Ok(None);
        };
        let of_calls = OF_CALLS.iter().find(|(outer, _)| *outer == column);
        match of_calls {
            Some((_, inner)) => rows::text(&self.store, row, *inner),
            None => {
                let directory = self.store.directory();
                let code = code(&self.store, &directory.processes[&row.process_id], row.code);
                let name = code.and_then(|code| directory.texts.get(code.qualname));
                let indent = "  ".repeat((*level).min(1000) as usize);
                Ok(Some(Cow::Owned(indent + name.unwrap_or("?"))))
            }
        }
    }
}

fn tree(store: &Rc<Store>, (run_id, call): (i64, i64)) -> Result<(Vec<Row>, Vec<u32>), Error> {
    let not_there = |what: String| Error::NotThere { what };
    let of_run = (CALLS_RUN_ID, Op::Eq, vec![Value::Integer(run_id)]);
    let plan =
        |constraint| Plan { constraints: vec![of_run.clone(), constraint], ..Plan::default() };
    let only = plan((CALLS_CALL_ID, Op::Eq, vec![Value::Integer(call)]));
    let mut scan = CallScan::over(store.clone(), only)?;
    while scan.found.rows.is_empty() && scan.more()? {}
    let Some(root) = scan.found.rows.pop() else {
        let what = format!(
            "{NAME}: no call {call} in run {run_id}; call_id is the seq of the event that began it"
        );
        return Err(not_there(what));
    };
    let mut within = plan((CALLS_CALL_ID, Op::Gt, vec![Value::Integer(call)]));
    if let Some((end, _)) = root.end {
        within.constraints.push((CALLS_CALL_ID, Op::Lt, vec![Value::Integer(int(end))]));
    }
    let process = root.process_id;
    within.constraints.push((super::PROCESS_ID, Op::Eq, vec![Value::Integer(process)]));
    let mut scan = CallScan::over(store.clone(), within)?;
    let mut rows = vec![root];
    while scan.more()? {
        rows.append(&mut scan.found.rows);
        if rows.len() > CALLS_MAX {
            let what = format!(
                "{NAME}: more than {CALLS_MAX} calls were made while call {call} ran; \
                 take a call further in, or select from calls by start_seq"
            );
            return Err(not_there(what));
        }
    }
    // A call has a larger id than its caller.
    rows.sort_unstable_by_key(|row| row.call_id);
    let root = rows[0].call_id;
    let mut kept = 0;
    let mut levels: Vec<u32> = Vec::with_capacity(rows.len());
    for at in 0..rows.len() {
        let level = match rows[at].call_id == root {
            true => Some(0),
            // Earlier calls that are in the tree are sorted.
            false => {
                let caller = rows[..kept].binary_search_by_key(&rows[at].parent, |row| row.call_id);
                caller.ok().map(|caller| levels[caller] + 1)
            }
        };
        if let Some(level) = level {
            levels.push(level);
            rows.swap(kept, at);
            kept += 1;
        }
    }
    rows.truncate(kept);
    Ok((rows, levels))
}
