//! Counts events by the edges that they belong to.

use super::select::Filter;
use super::{
    CALLABLE, CODE_ID, KIND, LINE, OFFSET, PROCESS_ID, RUN_ID, SEQ, THREAD_ID, TIME_NS, scope,
};
use crate::store::texts::TextId;
use crate::store::{Edges, Error, Happened, Store};
use crate::tables::batch::NULL;
use crate::tables::candidates::Chunks;
use crate::tables::groups::{Part, Tally};
use crate::tables::plan::Plan;
use dashcam_schema::event::EventKind;
use std::rc::Rc;

/// Columns that follow from an edge.
const OF_EDGES: [usize; 8] = [RUN_ID, PROCESS_ID, THREAD_ID, KIND, CODE_ID, LINE, OFFSET, CALLABLE];

/// Counts the events of chunks in which all positions and times pass and the other columns follow
/// from edges. Returns plans for the other chunks.
pub(super) fn count(
    store: &Rc<Store>,
    plan: &Plan,
    keys: &[usize],
    tally: &mut Tally,
) -> Result<Vec<Plan>, Error> {
    let of_chunks = |column: usize| column == SEQ || column == TIME_NS;
    let is_counted = keys.iter().all(|key| OF_EDGES.contains(key))
        && plan.constraints.iter().all(|(c, ..)| OF_EDGES.contains(c) || of_chunks(*c));
    // The headers of chunks are enough.
    let is_plain = keys.iter().all(|key| [RUN_ID, PROCESS_ID].contains(key))
        && plan.constraints.iter().all(|(c, ..)| [RUN_ID, PROCESS_ID, SEQ].contains(c));
    if !is_counted || is_plain {
        return Ok(vec![plan.clone()]);
    }
    let filter = Filter::new(store, plan);
    let ranges = scope(plan).chunks(store, filter.seqs.lo, filter.seqs.hi);
    let chunks: Vec<usize> = ranges.into_iter().flatten().collect();
    let mut left = Chunks::new(plan, [RUN_ID, SEQ]);
    let mut edges = Edges::new(store);
    let mut visit = |happened: Happened| add(store, &filter, keys, &happened, tally);
    for (done, &index) in chunks.iter().enumerate() {
        store.progress(done, chunks.len());
        if !filter.may_pass(store, index) {
            continue;
        }
        if !filter.covers(&store.chunks()[index]) {
            left.add(store, index);
            continue;
        }
        match edges.follow(index, false, &mut visit) {
            Ok(true) => edges.keep(),
            Ok(false) => left.add(store, index),
            Err(error) => store.note(index, error)?,
        }
    }
    edges.each(&mut visit);
    store.progress(chunks.len(), chunks.len());
    Ok(left.plans)
}

/// Counts events if they pass.
fn add(store: &Store, filter: &Filter, keys: &[usize], happened: &Happened, tally: &mut Tally) {
    let Happened { process_id, thread, code, kind, place, callable, events } = *happened;
    let directory = store.directory();
    let Some(process) = directory.processes.get(&process_id) else { return };
    if !filter.passes(store, process, happened) {
        return;
    }
    let of_code = || process.codes.get(&code).map(|index| &directory.codes[*index]);
    let parts = keys.iter().map(|key| match *key {
        RUN_ID => Part::Number(process.run_id),
        PROCESS_ID => Part::Number(process_id),
        THREAD_ID => Part::Number(process.threads.get(&thread).copied().unwrap_or(NULL)),
        KIND => Part::Text(process.kinds[usize::from(kind)]),
        CODE_ID => Part::Number(of_code().map_or(NULL, |code| code.code_id)),
        OFFSET if kind == EventKind::LINE.number() => Part::Number(NULL),
        OFFSET => Part::Number(i64::from(place) * super::columns::UNIT),
        LINE => Part::Number(happened.line(store, process).unwrap_or(NULL)),
        CALLABLE => {
            let name = callable.and_then(|number| process.callables.get(&number));
            Part::Text(name.copied().unwrap_or(TextId::NONE))
        }
        // Invariant: `OF_EDGES` holds exactly the columns above.
        _ => Part::Number(NULL),
    });
    tally.add_parts(store, parts, events);
}
