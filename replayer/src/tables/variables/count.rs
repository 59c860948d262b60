//! Counts bindings by the instructions and calls that make them.

use super::{LINE, NAME, SCOPE};
use crate::state::State;
use crate::store::{Edges, Error, Happened, Process, Store};
use crate::tables::batch::NULL;
use crate::tables::candidates::{self, Chunks, CodeFilter, CodeTest, Scope};
use crate::tables::changes::{PROCESS_ID, RUN_ID, Rows as _, SEQ, THREAD_ID, texts};
use crate::tables::filter::IntSet;
use crate::tables::groups::{Part, Tally};
use crate::tables::plan::Plan;
use dashcam_schema::bytecode::stores::Slot;
use dashcam_schema::event::EventKind;
use rustc_hash::FxHashMap;
use std::rc::Rc;

/// Columns that follow from the place where a variable is bound.
const OF_PLACES: [usize; 6] = [RUN_ID, PROCESS_ID, THREAD_ID, SCOPE, NAME, LINE];

/// How often each argument was passed, by process, thread, code object and place of the PY_START.
type Arguments = FxHashMap<(i64, u32, u32, u32), Vec<u64>>;

/// The wanted bindings, and the columns they are counted by.
struct Counting<'a> {
    store: &'a Store,
    keys: &'a [usize],
    threads: IntSet,
    lines: IntSet,
    names: Option<Vec<String>>,
    codes: CodeFilter<CodeTest>,
}

/// Counts the bindings of chunks in which all positions pass and the other columns follow from
/// places. Returns plans for the other chunks.
pub(super) fn count(
    store: &Rc<Store>,
    plan: &Plan,
    keys: &[usize],
    tally: &mut Tally,
) -> Result<Vec<Plan>, Error> {
    let is_counted = keys.iter().all(|key| OF_PLACES.contains(key))
        && plan.constraints.iter().all(|(c, ..)| OF_PLACES.contains(c) || *c == SEQ);
    if !is_counted {
        return Ok(vec![plan.clone()]);
    }
    let lines = IntSet::of(plan, LINE);
    let counting = Counting {
        store,
        keys,
        threads: IntSet::of(plan, THREAD_ID),
        names: texts(plan, NAME),
        // Code objects that cannot be looked up may have any line.
        codes: CodeFilter::new(candidates::with_lines(None, &lines), true),
        lines,
    };
    let (state, seqs) = (State::of(store), IntSet::of(plan, SEQ));
    let scope = Scope { runs: IntSet::of(plan, RUN_ID), processes: IntSet::of(plan, PROCESS_ID) };
    let chunks: Vec<usize> = scope.chunks(store, seqs.lo, seqs.hi).into_iter().flatten().collect();
    let mut left = Chunks::new(plan, [RUN_ID, SEQ]);
    let mut edges = Edges::new(store);
    let mut arguments = Arguments::default();
    let mut visit = |happened: Happened| counting.stored(&happened, tally);
    for (done, &index) in chunks.iter().enumerate() {
        store.progress(done, chunks.len());
        let header = &store.chunks()[index];
        let may_pass = scope.has(header)
            && header.kinds & super::Variables::KINDS != 0
            && seqs.overlaps(header.first_seq, header.last_seq)
            && counting.codes.passes_any(store, header)
            && store.process(header).has_state;
        if !may_pass {
            continue;
        }
        if !seqs.covers(header.first_seq, header.last_seq) {
            left.add(store, index);
            continue;
        }
        match edges.follow(index, true, &mut visit) {
            Ok(true) => {}
            Ok(false) => {
                left.add(store, index);
                continue;
            }
            Err(error) => {
                store.note(index, error)?;
                continue;
            }
        }
        // The values of the chunk's last instructions are recorded with the event after it.
        let next = header.first_ordinal + i64::from(edges.ordinals);
        if !store.is_known(header.process_id, header.first_ordinal, next) {
            left.add(store, index);
            continue;
        }
        counting.arguments(&state, index, &edges, &mut arguments)?;
        edges.keep();
    }
    edges.each(&mut visit);
    for ((process_id, thread, code, place), given) in arguments {
        let kind = EventKind::PY_START.number();
        let happened =
            Happened { process_id, thread, code, kind, place, callable: None, events: 0 };
        for (slot, events) in (0..).zip(given) {
            counting.add(&Happened { events, ..happened }, slot, tally);
        }
    }
    store.progress(chunks.len(), chunks.len());
    Ok(left.plans)
}

impl Counting<'_> {
    /// Counts the variables that an instruction binds.
    fn stored(&self, happened: &Happened, tally: &mut Tally) {
        let processes = &self.store.directory().processes;
        let variables = processes
            .get(&happened.process_id)
            .filter(|_| happened.kind == EventKind::INSTRUCTION.number())
            .and_then(|process| self.store.variables(process, happened.code));
        let Some(variables) = variables else { return };
        for (slot, _) in variables.stores.stored(happened.place) {
            self.add(happened, slot, tally);
        }
    }

    /// Counts the arguments that calls in a chunk have received.
    fn arguments(
        &self,
        state: &State<'_>,
        index: usize,
        edges: &Edges<'_>,
        arguments: &mut Arguments,
    ) -> Result<(), Error> {
        let header = &self.store.chunks()[index];
        let process = self.store.process(header);
        let ordinals = edges.starts.iter().map(|s| header.first_ordinal + i64::from(s.ordinal));
        let mut starts = edges.starts.iter();
        state.arguments_of(header.process_id, ordinals, |are_bound| {
            let Some(start) = starts.next() else { return };
            let Some(variables) = self.store.variables(process, start.code) else { return };
            if are_bound.len() > variables.arguments {
                return;
            }
            let key = (header.process_id, start.thread, start.code, start.place);
            let given = arguments.entry(key).or_insert_with(|| vec![0; variables.arguments]);
            for (count, is_bound) in given.iter_mut().zip(are_bound) {
                *count += u64::from(*is_bound);
            }
        })
    }

    /// Counts bindings of a variable if they pass.
    fn add(&self, happened: &Happened, slot: Slot, tally: &mut Tally) {
        let Happened { process_id, thread, code, events, .. } = *happened;
        let store = self.store;
        let Some(process) = store.directory().processes.get(&process_id) else { return };
        let Some(variables) = store.variables(process, code) else { return };
        let Some(name) = variables.name(slot) else { return };
        let line = happened.line(store, process);
        let passes = events > 0
            && self.names.as_ref().is_none_or(|names| names.iter().any(|wanted| wanted == name))
            && self.passes(process, thread, code)
            && (self.lines.is_all() || line.is_some_and(|line| self.lines.contains(line)));
        if !passes {
            return;
        }
        let parts = self.keys.iter().map(|key| match *key {
            RUN_ID => Part::Number(process.run_id),
            PROCESS_ID => Part::Number(process_id),
            THREAD_ID => Part::Number(process.threads.get(&thread).copied().unwrap_or(NULL)),
            SCOPE => Part::Other(variables.scope(slot)),
            NAME => Part::Other(name),
            LINE => Part::Number(line.unwrap_or(NULL)),
            // Invariant: `OF_PLACES` holds exactly the columns above.
            _ => Part::Number(NULL),
        });
        tally.add_parts(store, parts, events);
    }

    fn passes(&self, process: &Process, thread: u32, code: u32) -> bool {
        let id = || process.threads.get(&thread).copied();
        self.codes.passes(self.store, process, code)
            && (self.threads.is_all() || id().is_some_and(|id| self.threads.contains(id)))
    }
}
