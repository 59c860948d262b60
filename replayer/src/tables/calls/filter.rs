//! Which calls pass, and which chunks can hold their ends.

use super::rows::Row;
use super::{CODE_ID, DEPTH, END_NS, END_SEQ, PARENT_CALL_ID, PATH, PROCESS_ID, QUALNAME, RUN_ID};
use super::{START_NS, THREAD_ID};
use crate::store::{Error, Process, Store};
use crate::tables::candidates::{self, CodeFilter, CodeTest, CodeText, Scope};
use crate::tables::filter::IntSet;
use crate::tables::int;
use crate::tables::plan::Plan;
use dashcam_schema::calls::{CallId, OpenCall};
use rustc_hash::FxHashSet;

pub(super) struct Filter {
    pub(super) scope: Scope,
    pub(super) starts: IntSet,
    pub(super) ends: IntSet,
    start_times: IntSet,
    end_times: IntSet,
    pub(super) parents: IntSet,
    threads: IntSet,
    depths: IntSet,
    codes: CodeFilter<CodeTest>,
    /// Runs whose stacks went out of step somewhere. There, an event of any code object can end a
    /// call, so a chunk cannot be skipped because it lacks the call's own.
    desynced: FxHashSet<i64>,
}

impl Filter {
    pub(super) fn new(store: &Store, plan: &Plan) -> Result<Filter, Error> {
        let texts: [CodeText; 2] =
            [(QUALNAME, "qualname", |code| code.qualname), (PATH, "path", |code| code.path)];
        let codes = candidates::codes(store, plan, CODE_ID, &texts)?;
        let codes = CodeFilter::new(codes, false);
        let mut starts = super::starts(plan);
        let parents = IntSet::of(plan, PARENT_CALL_ID);
        if !parents.is_all() {
            // A call begins after its caller.
            starts.lo = starts.lo.max(parents.lo.max(0).saturating_add(1));
        }
        Ok(Filter {
            scope: Scope {
                runs: IntSet::of(plan, RUN_ID),
                processes: IntSet::of(plan, PROCESS_ID),
            },
            starts,
            ends: IntSet::of(plan, END_SEQ),
            start_times: IntSet::of(plan, START_NS),
            end_times: IntSet::of(plan, END_NS),
            parents,
            threads: IntSet::of(plan, THREAD_ID),
            depths: IntSet::of(plan, DEPTH),
            codes,
            desynced: store.desynced_runs(),
        })
    }

    /// Whether only calls that ended can pass.
    pub(super) fn has_end(&self) -> bool {
        !self.ends.is_all() || !self.end_times.is_all()
    }

    /// Whether a call that passes can end in a chunk, or begin in it or right before it and stay
    /// open. `ends_something`: the chunk may end a call that is pending.
    pub(super) fn may_pass(&self, store: &Store, index: usize, ends_something: bool) -> bool {
        let header = &store.chunks()[index];
        if !self.scope.has(header) {
            return false;
        }
        let desynced = self.desynced.contains(&header.run_id);
        // Calls that were running when recording began have positions and no event, and their code
        // objects need not occur in the chunk.
        let running = store.positions_before(index);
        if !desynced && running.is_empty() && !self.codes.passes_any(store, header) {
            return false;
        }
        if header.last_seq < self.starts.lo || header.last_ns < self.start_times.lo {
            return false;
        }
        if self.has_end() {
            return self.ends.overlaps(header.first_seq, header.last_seq)
                && self.end_times.overlaps(header.first_ns, header.last_ns);
        }
        let first_seq = header.first_seq.min(running.start);
        let begins = self.starts.overlaps(first_seq, header.last_seq)
            && self.start_times.overlaps(header.first_ns, header.last_ns);
        begins || ends_something || desynced
    }

    /// Whether a call passes, apart from its end.
    pub(super) fn passes(&self, store: &Store, process: &Process, call: &OpenCall) -> bool {
        let OpenCall { call_id, parent, thread, depth, code, start_ns, .. } = *call;
        self.passes_beginning(
            store,
            process,
            &Beginning { call_id, parent, thread, depth, code, start_ns },
        )
    }

    /// Whether a row passes.
    pub(super) fn passes_row(&self, store: &Store, row: &Row) -> bool {
        let Row { call_id, parent, thread, depth, code, start_ns, .. } = *row;
        let process = &store.directory().processes[&row.process_id];
        self.scope.runs.contains(process.run_id)
            && self.scope.processes.contains(row.process_id)
            && self.ends_pass(row.end)
            && self.passes_beginning(
                store,
                process,
                &Beginning { call_id, parent, thread, depth, code, start_ns },
            )
    }

    fn passes_beginning(&self, store: &Store, process: &Process, call: &Beginning) -> bool {
        let thread = || process.threads.get(&call.thread).copied();
        self.starts.contains(int(call.call_id))
            && self.start_times.contains(int(call.start_ns))
            && (self.parents.is_all()
                || call.parent != 0 && self.parents.contains(int(call.parent)))
            && (self.threads.is_all() || thread().is_some_and(|id| self.threads.contains(id)))
            && self.depths.contains(call.depth.into())
            && self.codes.passes(store, process, call.code)
    }

    /// Whether an end, `seq` and time, passes.
    pub(super) fn ends_pass(&self, end: Option<(u64, u64)>) -> bool {
        match end {
            Some((seq, ns)) => self.ends.contains(int(seq)) && self.end_times.contains(int(ns)),
            None => !self.has_end(),
        }
    }
}

/// The properties of a call that are known from its beginning.
struct Beginning {
    call_id: CallId,
    parent: CallId,
    thread: u32,
    depth: u32,
    code: u32,
    start_ns: u64,
}
