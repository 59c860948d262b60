//! `callers_of` and `callees_of`: the callers of a function, and the functions that it calls.

use super::rows::Row;
use super::{CODE_ID, CallScan, RUN_ID as CALLS_RUN_ID};
use crate::store::texts::TextId;
use crate::store::{Error, Store};
use crate::tables::plan::{Op, Plan, Value};
use crate::tables::question::{Answer, Cell, Question, code, functions};
use rustc_hash::FxHashMap;
use std::rc::Rc;

columns! {
    RUN_ID CALLER_ID CALLER CALLER_PATH LINE CALLEE_ID CALLEE CALLEE_PATH CALLS FAILED TOTAL_NS SELF_NS FUNCTION
}

/// The callers of a function.
pub(crate) struct CallersOf;

impl Question for CallersOf {
    const NAME: &'static str = "callers_of";
    const RUN_ID: usize = RUN_ID;
    const ARGUMENTS: &'static [usize] = &[FUNCTION];
    const ROWS: f64 = 10.0;
    const COST: f64 = 1e6;

    fn answer(store: &Rc<Store>, run_id: i64, arguments: &[Value]) -> Result<Answer, Error> {
        let wanted = functions(store, run_id, arguments.first());
        if wanted.is_empty() {
            return Ok(Answer::new());
        }
        let ids = wanted.into_iter().map(Value::Integer).collect();
        edges(store, run_id, vec![(CODE_ID, Op::In, ids)], |_, _| true)
    }
}

/// The functions that a function calls.
pub(crate) struct CalleesOf;

impl Question for CalleesOf {
    const NAME: &'static str = "callees_of";
    const RUN_ID: usize = RUN_ID;
    const ARGUMENTS: &'static [usize] = &[FUNCTION];
    const ROWS: f64 = 10.0;
    const COST: f64 = 1e6;

    fn answer(store: &Rc<Store>, run_id: i64, arguments: &[Value]) -> Result<Answer, Error> {
        let wanted = functions(store, run_id, arguments.first());
        if wanted.is_empty() {
            return Ok(Answer::new());
        }
        edges(store, run_id, Vec::new(), |store, row| {
            let process = &store.directory().processes[&row.process_id];
            let caller = row.called_from.and_then(|site| code(store, process, site.code));
            caller.is_some_and(|code| wanted.contains(&code.code_id))
        })
    }
}

/// Calls from one line to one function.
#[derive(Default)]
struct Edge {
    calls: u64,
    failed: u64,
    total_ns: u64,
    self_ns: u64,
}

/// A process, the number of the caller's code object and the line of the call, and the number of
/// the called code object.
type Ends = (i64, Option<(u32, Option<i64>)>, u32);

fn edges(
    store: &Rc<Store>,
    run_id: i64,
    mut constraints: Vec<(usize, Op, Vec<Value>)>,
    is_wanted: impl Fn(&Store, &Row) -> bool,
) -> Result<Answer, Error> {
    constraints.push((CALLS_RUN_ID, Op::Eq, vec![Value::Integer(run_id)]));
    let mut scan = CallScan::over(store.clone(), Plan { constraints, ..Plan::default() })?;
    let unwind = scan.words.unwind;
    let mut edges: FxHashMap<Ends, Edge> = FxHashMap::default();
    while scan.more()? {
        for row in scan.found.rows.drain(..).filter(|row| is_wanted(store, row)) {
            let process = &store.directory().processes[&row.process_id];
            let caller = row.called_from.map(|site| (site.code, store.line(process, site)));
            let edge = edges.entry((row.process_id, caller, row.code)).or_default();
            edge.calls += 1;
            edge.failed += u64::from(row.exit == unwind);
            edge.total_ns += row.end.map_or(0, |(_, ns)| ns.saturating_sub(row.start_ns));
            edge.self_ns += row.self_ns;
        }
    }
    let mut edges: Vec<(Ends, Edge)> = edges.into_iter().collect();
    edges.sort_by_key(|(ends, edge)| (std::cmp::Reverse(edge.total_ns), *ends));
    let row = |((process_id, caller, callee), edge): &(Ends, Edge)| {
        let process = &store.directory().processes[process_id];
        let caller_code = caller.and_then(|(number, _)| code(store, process, number));
        let callee = code(store, process, *callee);
        let of = |code: Option<&crate::store::Code>| {
            let id = code.map(|code| code.code_id);
            let (name, path) =
                code.map_or((TextId::NONE, TextId::NONE), |code| (code.qualname, code.path));
            [Cell::int(id), Cell::Id(name), Cell::Id(path)]
        };
        let line = Cell::int(caller.and_then(|(_, line)| line));
        let numbers = [edge.calls, edge.failed, edge.total_ns, edge.self_ns].map(Cell::count);
        let mut cells = Vec::from(of(caller_code));
        cells.push(line);
        cells.extend(of(callee));
        cells.extend(numbers);
        cells
    };
    Ok(edges.iter().map(row).collect())
}
