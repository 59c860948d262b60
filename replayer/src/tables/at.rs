//! Tables with arguments that show the state at a position.
//!
//! To SQLite, `stack_at(run_id, seq)` is a table with hidden columns that have to equal the
//! arguments. Without arguments there are no rows.

use super::rowid;
use crate::state::State;
use crate::store::{ChunkHeader, Error, Store};
use crate::tables::Scan;
use crate::tables::batch::{Batch, Column};
use crate::tables::filter::IntSet;
use crate::tables::plan::{Op, Plan, Request};
use dashcam_schema::tables::Type;
use std::rc::Rc;

/// Higher than the cost of any real plan: SQLite takes it only if there is no other.
const IMPOSSIBLE: f64 = 1e30;

/// Takes over the constraints on the arguments, and estimates the cost of a question.
pub(super) fn plan(request: &mut Request, arguments: &[usize], rows: f64) {
    request.rows = rows;
    for argument in arguments {
        request.take(*argument, Type::Integer, 1.0, 1.0);
    }
    let is_given = |argument: &usize| {
        let mut taken = request.constraints.iter().filter(|c| c.taken && c.column == *argument);
        taken.any(|c| matches!(c.op, Op::Eq | Op::In))
    };
    request.cost = if arguments.iter().all(is_given) { 50.0 } else { IMPOSSIBLE };
}

/// The rows of one question.
pub(crate) trait Answer {
    const NAME: &'static str;
    /// The columns of the arguments, in order.
    const ARGUMENTS: &'static [usize];
    /// Columns of the run and the position.
    const RUN_ID: usize;
    const SEQ: usize;
    type Row;

    /// The rows for these arguments.
    fn rows(&self, store: &Store, arguments: &[i64]) -> Result<Vec<Self::Row>, Error>;

    /// Puts all columns except those of the arguments into the batch.
    fn put(store: &Store, rows: &[Self::Row], batch: &mut Batch);
}

pub(crate) struct AtScan<A: Answer> {
    store: Rc<Store>,
    answer: A,
    /// One set of arguments per question, the last first.
    questions: Vec<Vec<i64>>,
    /// Run and position of the last question.
    current: (i64, i64),
}

impl<A: Answer> AtScan<A> {
    pub(super) fn new(store: Rc<Store>, plan: &Plan, answer: A) -> Result<AtScan<A>, Error> {
        let mut questions = vec![Vec::new()];
        for argument in A::ARGUMENTS {
            let Some(values) = IntSet::of(plan, *argument).values else {
                let message = format!("{} needs its arguments: {0}(…)", A::NAME);
                return Err(Error::Sqlite { path: store.path().to_owned(), message });
            };
            let with =
                |question: &Vec<i64>, value| question.iter().copied().chain([value]).collect();
            questions = values
                .iter()
                .flat_map(|value| questions.iter().map(|question| with(question, *value)))
                .collect();
        }
        questions.reverse();
        Ok(AtScan { store, answer, questions, current: (0, 0) })
    }
}

impl<A: Answer> AtScan<A> {
    /// Returns an error if the run or the position does not exist.
    fn check(&self, question: &[i64]) -> Result<(), Error> {
        let argument = |column: usize| {
            let at = A::ARGUMENTS.iter().position(|argument| *argument == column);
            at.and_then(|at| question.get(at).copied())
        };
        let (Some(run), Some(seq)) = (argument(A::RUN_ID), argument(A::SEQ)) else { return Ok(()) };
        if !self.store.directory().runs.contains(&run) {
            let last = self.store.directory().runs.last();
            let last = last.map_or(String::new(), |last| format!("; the last is {last}"));
            return Err(Error::NotThere { what: format!("{}: no run {run}{last}", A::NAME) });
        }
        let chunks = self.store.chunks();
        let of_run = |chunk: &&ChunkHeader| chunk.run_id == run;
        // The process that the position would be of.
        let after = chunks.partition_point(|chunk| (chunk.run_id, chunk.first_seq) <= (run, seq));
        let before = after.checked_sub(1).and_then(|at| chunks.get(at)).filter(of_run);
        let near = before.or_else(|| chunks.iter().find(of_run));
        let state = State::of(&self.store);
        let of_process = near.map_or(&[][..], |near| state.chunks_of(near.process_id));
        let what = match near.zip(of_process.first()).zip(of_process.last()) {
            Some(((near, first), last)) => {
                let (first, last) = (chunks[*first].first_seq, chunks[*last].last_seq);
                if (first..=last).contains(&seq) {
                    return Ok(());
                }
                let whose = match self.store.directory().processes_of(run).len() {
                    0 | 1 => format!("run {run}"),
                    _ => format!("process {}", near.process_id),
                };
                format!("{}: no event {seq}: {whose} has events {first} to {last}", A::NAME)
            }
            None => format!("{}: no event {seq}: run {run} has none", A::NAME),
        };
        Err(Error::NotThere { what })
    }
}

impl<A: Answer> Scan for AtScan<A> {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Error> {
        while let Some(question) = self.questions.pop() {
            self.check(&question)?;
            let rows = self.answer.rows(&self.store, &question)?;
            if rows.is_empty() {
                continue;
            }
            A::put(&self.store, &rows, batch);
            batch.rows = rows.len();
            for (column, value) in A::ARGUMENTS.iter().zip(&question) {
                batch.columns[*column] = Column::Int(*value);
                match *column {
                    column if column == A::RUN_ID => self.current.0 = *value,
                    column if column == A::SEQ => self.current.1 = *value,
                    _ => {}
                }
            }
            break;
        }
        Ok(())
    }

    fn rowid(&self, row: usize) -> i64 {
        let (run_id, seq) = self.current;
        rowid(run_id, seq).wrapping_shl(12) ^ row as i64
    }
}
