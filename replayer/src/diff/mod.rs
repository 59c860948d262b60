//! Compares two runs of one program and finds where they differ.
//!
//! The events of a thread form a tree of calls, which is aligned from the outermost call inwards.
//! Two calls that correspond are compared in detail unless their hashes show that the same happened
//! in both. Within a call, its own events and the calls it made are aligned as two sequences. So
//! one more iteration, or one more call, is one difference, and the comparison continues after it.
//!
//! - `processes`, `threads`: which processes and threads correspond;
//! - `codes`: which code objects of both runs are the same;
//! - `reader`, `values`: events and their values, as hashes;
//! - `tree`: the calls, in one pass over each run;
//! - `items`: what happened directly in a call;
//! - `align`: which items of two calls correspond;
//! - `compare`: the walk through both trees;
//! - `text`: whether two values differ, as far as they are known;
//! - `report`: the details of a difference: stacks, variables, what came next.
//!
//! Useful for: two runs of the same program. Not useful for: programs that have little in common.
//!
//! What differs between any two runs is left out where it can be recognised: times, numbers of
//! objects, addresses in texts and ints that look like addresses, what `__hash__` returns, the
//! order in which threads took turns, the order of a set, what was not examined because there was
//! too much. A clock, a random number or a process id that the program reads is a value like any
//! other, and so is the order in which a set is iterated over.

mod align;
mod codes;
mod compare;
mod hash;
mod items;
mod processes;
mod reader;
mod report;
mod text;
mod threads;
mod tree;
mod values;

pub use codes::Exclude;
pub use report::{Calls, Change, Difference, Frame, Next, Only, Place, ValueOf, Variable};

use crate::state::State;
use crate::store::{Error, Process, Store};
use compare::Comparer;
use reader::Reader;
use std::rc::Rc;

/// A run of a recording.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    pub store: &'a Store,
    pub run_id: i64,
}

/// What counts as a difference, and how many to find.
#[derive(Debug, Clone)]
pub struct Options {
    /// Compare values, and not only the flow of control.
    pub values: bool,
    /// Maximum number of differences to find. Differences similar to an earlier one do not count.
    pub limit: usize,
    pub exclude: Exclude,
    /// Globs of names whose values do not count: of variables and arguments, and of functions for
    /// their results.
    pub ignored: Vec<String>,
    /// Maximum number of calls of a run held in memory, some 50 bytes each. Calls that a thread or
    /// one call makes directly are held in any case.
    pub calls_max: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            values: true,
            limit: 10,
            exclude: Exclude::default(),
            ignored: Vec::new(),
            calls_max: 3 << 20,
        }
    }
}

/// How two runs differ.
#[derive(Debug, Default)]
pub struct Report {
    /// Differences in the user's own code first, by position in the first run.
    pub differences: Vec<Difference>,
    /// Values of the user's own code that are not in the recording of the first run, so that it is
    /// not known whether they differ.
    pub unrecorded: Option<Unrecorded>,
    /// Values were not recorded, or are not compared.
    pub without_values: bool,
    /// There are more differences than the limit.
    pub has_more: bool,
    /// Paths whose source is not the same in both runs.
    pub changed: Vec<String>,
}

/// Values that could not be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unrecorded {
    pub count: u64,
    /// The event of the first one.
    pub seq: i64,
    pub path: String,
    pub line: Option<i64>,
}

/// Compares two runs. `tick` is called with the progress and the total; an error from it ends the
/// comparison.
///
/// # Errors
/// If a file cannot be read, or a chunk is damaged (missing events cannot be compared); and the
/// errors of `tick`.
pub fn compare(
    a: Run<'_>,
    b: Run<'_>,
    options: &Options,
    tick: &dyn Fn(usize, usize) -> Result<(), Error>,
) -> Result<Report, Error> {
    let runs = [a, b];
    let (codes_a, codes_b, changed) =
        codes::pair((a.store, a.run_id), (b.store, b.run_id), &options.exclude)?;
    let codes = [codes_a, codes_b];
    let states = runs.map(|run| State::of(run.store));
    let mut report = Report { changed, ..Report::default() };
    report.without_values = !options.values || runs.iter().any(|run| !has_values(*run));
    let pairs = processes::pair(runs);
    let has_several = pairs.len() > 1;
    let chunks = runs
        .map(|run| run.store.chunks().iter().filter(|chunk| chunk.run_id == run.run_id).count());
    // Each run is read once, and then the parts that differ are read again.
    let all = 2 * chunks[0] + chunks[1];
    let mut done = 0;
    for pair in pairs {
        let ids = pair.map(|of| of.map(|of| of.process_id));
        let shown = if has_several { ids } else { [None; 2] };
        if let [Some(only), None] | [None, Some(only)] = pair {
            let seqs = [0, 1].map(|side: usize| first_seq(runs[side].store, pair[side]?));
            report.differences.push(Difference::of_process(only, ids, seqs));
            continue;
        }
        let has_state = pair.iter().flatten().all(|process| process.has_state);
        let reader = |side: usize| {
            let process = pair[side]?;
            Some(Reader::new(runs[side].store, process, &codes[side], options, has_state))
        };
        let readers = [reader(0), reader(1)];
        let mut trees = [Default::default(), Default::default()];
        for side in [0, 1] {
            if let Some(reader) = &readers[side] {
                trees[side] = tree::read(reader, None, |chunk| tick(done + chunk, all))?;
                done += reader.chunks.len();
                if side == 0 && report.unrecorded.is_none() {
                    report.unrecorded = reader.unrecorded.get().map(|found| Unrecorded {
                        count: found.count,
                        seq: found.seq,
                        path: reader.named(found.code).1.to_owned(),
                        line: found.line,
                    });
                }
            }
        }
        let threads = threads::pair(&readers, &trees);
        let mut trees = trees.map(|trees| {
            trees
                .into_iter()
                .map(|(n, tree)| (n, Rc::new(tree)))
                .collect::<rustc_hash::FxHashMap<_, _>>()
        });
        for thread in threads {
            let roots = [0, 1].map(|side: usize| {
                thread.numbers[side].and_then(|number| trees[side].remove(&number))
            });
            match (roots, &readers) {
                ([Some(one), Some(two)], [Some(first), Some(second)]) => {
                    let chunk = |seq: i64| {
                        let headers = first.store.chunks();
                        let of = |index: &usize| headers[*index].last_seq < seq;
                        tick(done + first.chunks.partition_point(of), all)
                    };
                    let both = [first, second];
                    let mut comparer = Comparer::new(both, options.limit, &chunk);
                    comparer.run([one, two])?;
                    report.has_more |= comparer.has_more || comparer.passed_over > 0;
                    for found in comparer.found {
                        let mut difference =
                            report::difference(both, &states, runs, &thread.name, found)?;
                        difference.processes = shown;
                        report.differences.push(difference);
                    }
                }
                (roots, _) => {
                    let seqs = roots.map(|root| Some(root?.nodes.first()?.first));
                    let mut difference = Difference::of_thread(thread.name, seqs);
                    difference.processes = shown;
                    report.differences.push(difference);
                }
            }
        }
    }
    // The sort is stable: at one position, a thread that only one run has comes after other
    // differences.
    report.differences.sort_by_key(|difference| difference.order());
    report.has_more |= report.differences.len() > options.limit;
    report.differences.truncate(options.limit);
    Ok(report)
}

/// The first event of a process; `None` if it has none.
fn first_seq(store: &Store, process: &Process) -> Option<i64> {
    let mut chunks = store.chunks().iter();
    Some(chunks.find(|chunk| chunk.process_id == process.process_id)?.first_seq)
}

/// Whether values of a run were recorded.
fn has_values(run: Run<'_>) -> bool {
    let mut processes = run.store.directory().processes.values();
    processes.any(|process| process.run_id == run.run_id && run.store.has_values(process))
}
