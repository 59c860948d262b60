//! Which chunks a scan has to look at, from their headers.

use crate::sql::filter::IntSet;
use crate::store::directory::CodeIndex;
use crate::store::{ChunkHeader, Code, Process, Store};
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::ops::Range;

/// Runs and processes a scan is about; every table has these columns.
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

/// Which code objects pass. Found out once per scan for each that occurs.
pub(super) struct CodeFilter<F> {
    test: Option<F>,
    unknown_passes: bool,
    known: RefCell<FxHashMap<CodeIndex, bool>>,
}

impl<F: Fn(&Store, &Code) -> bool> CodeFilter<F> {
    /// Without a test everything passes. `unknown_passes` decides on code objects that are not in
    /// the directory.
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
}
