//! `lines`: a source file, with how often each line ran and how long it took.
//! `executable_lines`: the lines of all code objects that ran, including lines that never did.

use super::question::{Answer, Cell, Question, codes_of, processes};
use crate::store::texts::TextId;
use crate::store::{Code, Error, Store};
use crate::tables::batch::{Batch, Column, ROWS};
use crate::tables::filter::{IntSet, TextSet};
use crate::tables::plan::{Plan, Request, Value};
use crate::tables::{Scan, Table, int};
use dashcam_schema::tables::Type;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

mod times;

/// `lines(file)`.
pub(crate) struct Lines;

columns! {
    RUN_ID PATH LINE HITS TIME_NS SOURCE FILE
}

impl Question for Lines {
    const NAME: &'static str = "lines";
    const RUN_ID: usize = RUN_ID;
    const ARGUMENTS: &'static [usize] = &[FILE];
    const ROWS: f64 = 1000.0;
    const COST: f64 = 1e6;

    fn answer(store: &Rc<Store>, run_id: i64, arguments: &[Value]) -> Result<Answer, Error> {
        let Some(Value::Text(file)) = arguments.first() else { return Ok(Answer::new()) };
        let texts = &store.directory().texts;
        let is_meant = |code: &&Code| is_file(texts.get(code.path).unwrap_or_default(), file);
        // By path: one code object of each file, for its source.
        let mut files: BTreeMap<&str, &Code> = BTreeMap::new();
        for code in codes_of(store, run_id).filter(is_meant) {
            let known = files.entry(texts.get(code.path).unwrap_or_default()).or_insert(code);
            // If a file changed during the run, the text that ran last is shown.
            if known.code_id < code.code_id {
                *known = code;
            }
        }
        let paths: Vec<TextId> = files.values().map(|code| code.path).collect();
        let times = times::of_files(store, run_id, &paths)?;
        let mut rows = Answer::new();
        for (path, code) in files {
            let hits = hits(store, run_id, path)?;
            let executable: BTreeSet<i64> = processes(store, run_id)
                .flat_map(|process| {
                    let codes = process.codes.values();
                    let codes = codes.map(|index| &store.directory().codes[*index]);
                    let of_file = codes.filter(|other| other.path == code.path);
                    of_file.flat_map(|code| store.executable_lines(process, code))
                })
                .collect();
            let source = store.source_of(code.code_id)?;
            let length = source.as_ref().map_or(0, |source| source.len() as i64);
            let others = executable.iter().chain(hits.keys()).copied();
            let lines: BTreeSet<i64> = (1..=length).chain(others).collect();
            for line in lines {
                let ran = hits.get(&line).copied();
                let hits = ran.or_else(|| executable.contains(&line).then_some(0));
                let time = times.get(&(code.path, line)).copied();
                let text = source.as_ref().and_then(|source| source.line(line as usize));
                rows.push(vec![
                    Cell::Id(code.path),
                    Cell::Int(line),
                    Cell::int(hits),
                    Cell::int(hits.map(|_| int(time.unwrap_or(0)))),
                    Cell::text(text),
                ]);
            }
        }
        Ok(rows)
    }
}

/// Whether a path is `file` or ends with it.
fn is_file(path: &str, file: &str) -> bool {
    let before = path.strip_suffix(file);
    !file.is_empty() && before.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

/// How often each line of a file ran.
fn hits(store: &Store, run_id: i64, path: &str) -> Result<BTreeMap<i64, i64>, Error> {
    let sql = "SELECT line, count FROM main.line_counts WHERE run_id = ? AND path = ?";
    let read = store.connection().prepare_cached(sql).and_then(|mut statement| {
        statement.query_map((run_id, path), |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    });
    read.map_err(|error| Error::from_sqlite(store.path(), &error))
}

/// The table of all executable lines.
pub(crate) struct ExecutableLines;

pub(super) mod executable_columns {
    columns! {
        RUN_ID PATH LINE CODE_ID QUALNAME COUNT
    }
    pub(super) const ALL: [usize; 6] = [RUN_ID, PATH, LINE, CODE_ID, QUALNAME, COUNT];
}

impl Table for ExecutableLines {
    const NAME: &'static str = "executable_lines";
    type Scan = ExecutableScan;

    fn plan(store: &Store, request: &mut Request) {
        let [run_id, path, line, code_id, qualname, _] = executable_columns::ALL;
        let directory = store.directory();
        let codes = directory.codes.len().max(1) as f64;
        request.rows = codes * 10.0;
        request.take(run_id, Type::Integer, 1.0 / directory.runs.len().max(1) as f64, 0.5);
        request.take(code_id, Type::Integer, 1.0 / codes, 0.5);
        request.take(path, Type::Text, 0.05, 1.0);
        request.take(qualname, Type::Text, 1.0 / codes, 1.0);
        request.cost = request.rows * 2.0 + codes;
        request.take(line, Type::Integer, 0.01, 0.25);
    }

    fn scan(store: Rc<Store>, plan: Plan) -> Result<ExecutableScan, Error> {
        let [run_id, path, line, code_id, qualname, _] = executable_columns::ALL;
        let directory = store.directory();
        let runs = IntSet::of(&plan, run_id);
        let ids = IntSet::of(&plan, code_id);
        let paths = TextSet::of(&plan, path, &directory.texts);
        let names = TextSet::of(&plan, qualname, &directory.texts);
        let is_wanted = |code: &&Code| {
            ids.contains(code.code_id) && paths.contains(code.path) && names.contains(code.qualname)
        };
        let mut codes = Vec::new();
        for run in directory.runs.iter().filter(|run| runs.contains(**run)) {
            for process in processes(&store, *run) {
                let of_process = process.codes.values().map(|index| &directory.codes[*index]);
                let wanted = of_process.filter(is_wanted);
                codes.extend(wanted.map(|code| (*run, code.code_id, process.process_id)));
            }
        }
        codes.sort_unstable_by(|one, other| other.cmp(one));
        let lines = IntSet::of(&plan, line);
        Ok(ExecutableScan { store, lines, codes, counts: FxHashMap::default(), rows: Vec::new() })
    }
}

pub(crate) struct ExecutableScan {
    store: Rc<Store>,
    lines: IntSet,
    /// The runs, code objects and processes that are left, the last first.
    codes: Vec<(i64, i64, i64)>,
    /// Hits of each line, by run and path.
    counts: FxHashMap<(i64, TextId), Rc<BTreeMap<i64, i64>>>,
    /// Code object and line of each row of the last batch.
    rows: Vec<(i64, i64)>,
}

impl Scan for ExecutableScan {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Error> {
        self.rows.clear();
        let store = self.store.clone();
        let (mut runs, mut paths, mut names, mut counts) = (vec![], vec![], vec![], vec![]);
        while self.rows.len() < ROWS
            && let Some((run_id, code_id, process_id)) = self.codes.pop()
        {
            let directory = store.directory();
            let process = directory.processes.get(&process_id);
            let Some((code, process)) = directory.code(code_id).zip(process) else { continue };
            let key = (run_id, code.path);
            let of_file = match self.counts.get(&key) {
                Some(known) => known.clone(),
                None => {
                    let path = store.directory().texts.get(code.path).unwrap_or_default();
                    let found = Rc::new(hits(&store, run_id, path)?);
                    self.counts.insert(key, found.clone());
                    found
                }
            };
            for line in store.executable_lines(process, code) {
                if self.lines.contains(line) {
                    self.rows.push((code_id, line));
                    runs.push(run_id);
                    paths.push(code.path);
                    names.push(code.qualname);
                    counts.push(of_file.get(&line).copied().unwrap_or(0));
                }
            }
        }
        let [run_id, path, line, code_id, qualname, count] = executable_columns::ALL;
        batch.rows = self.rows.len();
        batch.columns[run_id] = Column::Ints(runs);
        batch.columns[path] = Column::Texts(paths);
        batch.ints(line, self.rows.iter().map(|(_, line)| *line));
        batch.ints(code_id, self.rows.iter().map(|(code, _)| *code));
        batch.columns[qualname] = Column::Texts(names);
        batch.columns[count] = Column::Ints(counts);
        Ok(())
    }

    fn rowid(&self, row: usize) -> i64 {
        self.rows.get(row).map_or(0, |(code, line)| code.wrapping_shl(24) ^ line)
    }
}
