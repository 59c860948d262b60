//! Which chunks a scan has to read, according to their headers.

use crate::store::directory::CodeIndex;
use crate::store::texts::TextId;
use crate::store::{ChunkHeader, Code, Error, Process, Store};
use crate::tables::filter::{IntSet, TextSet};
use crate::tables::plan::{Flags, Op, Plan, Request, Value};
use dashcam_schema::bytecode::lines::LineTable;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::ops::Range;

/// The runs and processes that a scan covers. Every table has these columns.
pub(super) struct Scope {
    pub(super) runs: IntSet,
    pub(super) processes: IntSet,
}

impl Scope {
    /// Ranges of indexes into [`Store::chunks`], one per run, of chunks that end at `first_seq` or
    /// later and begin at `last_seq` or earlier. Found by bisection.
    pub(super) fn chunks(&self, store: &Store, first_seq: i64, last_seq: i64) -> Vec<Range<usize>> {
        let chunks = store.chunks();
        let runs = store.directory().runs.iter().filter(|run| self.runs.contains(**run));
        let ranges = runs.map(|run| {
            let begin = chunks.partition_point(|c| (c.run_id, c.last_seq) < (*run, first_seq));
            let end = chunks.partition_point(|c| (c.run_id, c.first_seq) <= (*run, last_seq));
            begin..end.max(begin)
        });
        ranges.filter(|range| !range.is_empty()).collect()
    }

    pub(super) fn has(&self, header: &ChunkHeader) -> bool {
        self.processes.contains(header.process_id)
    }
}

/// Plans for some of the chunks that a plan covers.
pub(super) struct Chunks<'a> {
    plan: &'a Plan,
    /// Columns of the run and the position.
    columns: [usize; 2],
    /// The last chunk that was added.
    last: Option<usize>,
    pub(super) plans: Vec<Plan>,
}

impl<'a> Chunks<'a> {
    pub(super) fn new(plan: &'a Plan, columns: [usize; 2]) -> Chunks<'a> {
        Chunks { plan, columns, last: None, plans: Vec::new() }
    }

    /// Adds a chunk, to the previous plan if the chunk comes right after those of that plan.
    pub(super) fn add(&mut self, store: &Store, index: usize) {
        let chunks = store.chunks();
        let header = &chunks[index];
        let [run_id, seq] = self.columns;
        let before = self.last.replace(index);
        let follows = |last: usize| last + 1 == index && chunks[last].run_id == header.run_id;
        if before.is_some_and(follows)
            && let Some((.., to)) = self.plans.last_mut().and_then(|p| p.constraints.last_mut())
        {
            *to = vec![Value::Integer(header.last_seq)];
            return;
        }
        let mut plan = self.plan.clone();
        let mut add = |column, op, value| {
            plan.constraints.push((column, op, vec![Value::Integer(value)]));
        };
        add(run_id, Op::Eq, header.run_id);
        add(seq, Op::Ge, header.first_seq);
        add(seq, Op::Le, header.last_seq);
        self.plans.push(plan);
    }
}

/// Takes over an order by run and position, which is the natural order of rows, or its reverse.
/// `is_unique`: a run has one row at a position, so later columns of the order do not matter.
pub(super) fn take_order(
    store: &Store,
    request: &mut Request,
    [run_id, seq]: [usize; 2],
    is_unique: bool,
) {
    let is_one_run = store.is_final() && store.directory().runs.len() == 1
        || store.bound_to().is_some()
        || request.is_fixed(run_id);
    let mut wanted = request.order_by.clone();
    if is_one_run {
        wanted.retain(|(column, _)| *column != run_id);
    }
    if is_unique && let Some(at) = wanted.iter().position(|(column, _)| *column == seq) {
        wanted.truncate(at + 1);
    }
    let columns: Vec<usize> = wanted.iter().map(|(column, _)| *column).collect();
    let natural: &[&[usize]] =
        if is_one_run { &[&[], &[seq]] } else { &[&[run_id], &[run_id, seq]] };
    let is_descending = wanted.first().is_some_and(|(_, descending)| *descending);
    let is_one_way = wanted.iter().all(|(_, descending)| *descending == is_descending);
    if is_one_way && natural.contains(&&*columns) && !request.order_by.is_empty() {
        request.flags = if is_descending { Flags::DESCENDING } else { Flags::default() };
        request.order_consumed = true;
    }
}

/// Returns a test for the constraints on code objects: on `code_id` itself, on texts that depend on
/// it, and on patterns for these, which SQLite evaluates. `None` if every code object passes.
pub(super) fn codes(
    store: &Store,
    plan: &Plan,
    code_id: usize,
    texts: &[CodeText],
) -> Result<Option<CodeTest>, Error> {
    let mut ids = IntSet::of(plan, code_id);
    let mut sets = Vec::new();
    for (column, name, text) in texts {
        let set = TextSet::of(plan, *column, &store.directory().texts);
        if !set.is_all() {
            sets.push((set, *text));
        }
        for (_, op, values) in plan.constraints.iter().filter(|(c, ..)| c == column) {
            let like = match op {
                Op::Like => "LIKE",
                Op::Glob => "GLOB",
                _ => continue,
            };
            let Some(Value::Text(pattern)) = values.first() else { continue };
            let sql = format!("SELECT code_id FROM code_objects WHERE {name} {like} ?");
            let found = store.connection().prepare(&sql).and_then(|mut statement| {
                statement.query_map([pattern], |row| row.get(0))?.collect()
            });
            ids.keep(found.map_err(|error| Error::from_sqlite(store.path(), &error))?);
        }
    }
    ids.settle();
    let is_all = ids.is_all() && sets.is_empty();
    Ok((!is_all).then(|| {
        Box::new(move |_: &Store, code: &Code| {
            ids.contains(code.code_id) && sets.iter().all(|(set, text)| set.contains(text(code)))
        }) as CodeTest
    }))
}

/// A column that shows a text of a code object: its number, its name in `code_objects`, and the
/// text.
pub(super) type CodeText = (usize, &'static str, fn(&Code) -> TextId);

/// Adds to a test that the code object must have any of these lines.
pub(super) fn with_lines(test: Option<CodeTest>, lines: &IntSet) -> Option<CodeTest> {
    if lines.is_all() {
        return test;
    }
    let lines = lines.clone();
    let has_any = move |table: &LineTable| {
        let mut units = 0..table.by_unit().len() as u32;
        units.any(|unit| table.line(unit).is_some_and(|line| lines.contains(line.into())))
    };
    Some(Box::new(move |store: &Store, code: &Code| {
        test.as_ref().is_none_or(|test| test(store, code)) && store.lines(code).is_none_or(&has_any)
    }))
}

pub(super) type CodeTest = Box<dyn Fn(&Store, &Code) -> bool>;

/// Tests which code objects pass. Each is tested at most once per scan.
pub(super) struct CodeFilter<F> {
    test: Option<F>,
    unknown_passes: bool,
    known: RefCell<FxHashMap<CodeIndex, bool>>,
}

impl<F: Fn(&Store, &Code) -> bool> CodeFilter<F> {
    /// Without a test everything passes. `unknown_passes` says whether code objects that are not in
    /// the directory pass.
    pub(super) fn new(test: Option<F>, unknown_passes: bool) -> Self {
        CodeFilter { test, unknown_passes, known: RefCell::default() }
    }

    pub(super) fn is_all(&self) -> bool {
        self.test.is_none()
    }

    /// Whether the process's code object of this number passes.
    pub(super) fn passes(&self, store: &Store, process: &Process, number: u32) -> bool {
        let Some(test) = &self.test else { return true };
        let Some(index) = process.codes.get(&number) else { return self.unknown_passes };
        let mut known = self.known.borrow_mut();
        *known.entry(*index).or_insert_with(|| test(store, &store.directory().codes[*index]))
    }

    /// Whether any of a chunk's code objects passes.
    pub(super) fn passes_any(&self, store: &Store, header: &ChunkHeader) -> bool {
        let process = store.process(header);
        self.is_all() || header.codes.iter().any(|number| self.passes(store, process, *number))
    }
}
