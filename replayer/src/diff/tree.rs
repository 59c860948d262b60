//! The tree of calls of each thread of a process, each call with a hash of all that happened in it.
//!
//! A generator or coroutine has a node for each time it runs, as a child of the call that resumed
//! it. Nodes are made in one pass over the events. Their number is limited: in a run with more
//! calls, the innermost calls are only hashed into their callers. Their nodes are made when the
//! caller is compared in detail.

use super::hash::mix;
use super::reader::{Reader, counts};
use crate::store::Error;
use dashcam_schema::event::{EventKind, kinds_that};
use rustc_hash::FxHashMap;
use std::ops::RangeInclusive;

/// A frame from where it is entered to where it is left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// `seq` of its first event and of its last, including calls within it.
    pub(super) first: i64,
    pub(super) last: i64,
    /// Hash of the code object, and of how it was entered.
    pub(super) plain: u64,
    /// The same with the arguments; of objects only the class.
    pub(super) alike: u64,
    /// Hash of all that happened.
    pub(super) whole: u64,
    /// Index of the first node that is not within this one.
    pub(super) after: u32,
    depth: u32,
}

/// The nodes of one thread, each before its children. The first node is the thread itself.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    /// Children below this depth are not kept.
    limit: u32,
    /// Number of the thread.
    pub(super) thread: u32,
}

impl Tree {
    /// Whether the children of a node are kept.
    pub(super) fn keeps_children_of(&self, node: u32) -> bool {
        self.nodes.get(node as usize).is_some_and(|node| node.depth < self.limit)
    }
}

/// A frame on the stack.
struct Open {
    /// Index of its node, if it has one.
    node: Option<u32>,
    code: u32,
    /// The frame is excluded: it has no node, and calls it makes are children of its caller.
    is_excluded: bool,
    hash: u64,
}

/// A tree under construction.
struct Building {
    tree: Tree,
    /// The first entry is the thread itself.
    stack: Vec<Open>,
    /// Number of frames on the stack that are not excluded.
    depth: u32,
    /// The thread's last event.
    last: i64,
}

/// The smallest limit of depth: the thread, a call in it, and the calls which that makes directly.
const LIMIT_MIN: u32 = 2;
/// The code number of the thread's own entry on the stack.
const THREAD: u32 = u32::MAX;

impl Building {
    fn new(thread: u32, first: i64, limit: u32) -> Building {
        let root = Node { first, last: first, plain: 0, alike: 0, whole: 0, after: 1, depth: 0 };
        Building {
            tree: Tree { nodes: vec![root], limit, thread },
            stack: vec![Open { node: Some(0), code: THREAD, is_excluded: false, hash: 0 }],
            depth: 0,
            last: first,
        }
    }

    /// Adds a hash to the innermost frame that is not excluded, from an index on the stack
    /// outwards.
    fn add(&mut self, from: usize, hash: u64) {
        if let Some(open) = self.stack[..=from].iter_mut().rfind(|open| !open.is_excluded) {
            open.hash = mix(open.hash, hash);
        }
    }

    fn enter(&mut self, seq: i64, code: u32, is_excluded: bool, plain: u64, alike: u64) -> usize {
        let mut node = None;
        if !is_excluded {
            self.depth += 1;
            if self.depth <= self.tree.limit {
                node = Some(self.tree.nodes.len() as u32);
                self.tree.nodes.push(Node {
                    first: seq,
                    last: seq,
                    plain,
                    alike,
                    whole: 0,
                    after: 0,
                    depth: self.depth,
                });
            }
        }
        self.stack.push(Open { node, code, is_excluded, hash: plain });
        self.stack.len() - 1
    }

    /// Ends the frame at an index on the stack and all frames within it; `seq` is their last event.
    fn leave(&mut self, from: usize, seq: i64) {
        while self.stack.len() > from.max(1) {
            let Some(open) = self.stack.pop() else { break };
            if open.is_excluded {
                continue;
            }
            self.depth -= 1;
            self.close(&open, seq);
            self.add(self.stack.len() - 1, open.hash);
        }
    }

    fn close(&mut self, open: &Open, seq: i64) {
        let after = self.tree.nodes.len() as u32;
        if let Some(node) = open.node.and_then(|node| self.tree.nodes.get_mut(node as usize)) {
            (node.last, node.whole, node.after) = (seq, open.hash, after);
        }
    }

    fn done(mut self) -> Tree {
        self.leave(1, self.last);
        if let Some(root) = self.stack.pop() {
            self.close(&root, self.last);
        }
        self.tree
    }

    /// Removes the nodes below a depth.
    fn prune(&mut self, limit: u32) {
        self.tree.limit = limit;
        // For each index, how many nodes before it are kept.
        let mut kept = Vec::with_capacity(self.tree.nodes.len() + 1);
        let mut count = 0u32;
        for node in &self.tree.nodes {
            kept.push(count);
            count += u32::from(node.depth <= limit);
        }
        kept.push(count);
        for open in &mut self.stack {
            let is_kept = |node: &u32| self.tree.nodes[*node as usize].depth <= limit;
            open.node = open.node.filter(is_kept).map(|node| kept[node as usize]);
        }
        self.tree.nodes.retain_mut(|node| {
            node.after = kept[node.after as usize];
            node.depth <= limit
        });
        self.tree.nodes.shrink_to_fit();
    }
}

/// Reads the calls of a process: of all threads, or of a part of one thread. `tick` is called with
/// the number of chunks read.
pub(super) fn read(
    reader: &Reader<'_>,
    of: Option<(u32, RangeInclusive<i64>)>,
    mut tick: impl FnMut(usize) -> Result<(), Error>,
) -> Result<FxHashMap<u32, Tree>, Error> {
    let mut building: FxHashMap<u32, Building> = FxHashMap::default();
    let (counts, enters) = (counts(), kinds_that(EventKind::enters));
    let leaves = kinds_that(super::items::leaves);
    let mut limit = u32::MAX;
    for (done, chunk) in reader.chunks.iter().enumerate() {
        let header = &reader.store.chunks()[*chunk];
        if let Some((thread, range)) = &of
            && (header.last_seq < *range.start()
                || header.first_seq > *range.end()
                || header.threads.binary_search(thread).is_err())
        {
            continue;
        }
        tick(done)?;
        let view = reader.view(*chunk)?;
        let kinds = view.chunk.kinds()?;
        let runs = view.chunk.runs()?;
        let mut start = 0;
        for run in &runs.runs {
            let (from, end) = (start, start + run.events as usize);
            start = end;
            let context = view.context_of_run(run.context);
            let mut range = from..end.min(kinds.len());
            if let Some((thread, only)) = &of {
                if context.thread != *thread {
                    continue;
                }
                let index = |seq: i64| usize::try_from(seq - view.first_seq).unwrap_or(0);
                range.start = range.start.max(index(*only.start()));
                range.end = range.end.min(index(only.end().saturating_add(1)));
            }
            if range.is_empty() {
                continue;
            }
            let first = view.seq(range.start);
            let building = building
                .entry(context.thread)
                .or_insert_with(|| Building::new(context.thread, first, limit));
            for index in range {
                if counts >> kinds[index] & 1 == 0 {
                    continue;
                }
                let seq = view.seq(index);
                let at = building.stack.len() - 1;
                if enters >> kinds[index] & 1 == 1 {
                    let caller = building.stack[at].code;
                    let caller = (caller != THREAD).then_some(caller);
                    let excluded = context.known.is_excluded;
                    let hashes = if excluded {
                        Default::default()
                    } else {
                        reader.event_hashes(&view, index, caller)?
                    };
                    if hashes.callers != 0 && !building.stack[at].is_excluded {
                        building.add(at, hashes.callers);
                    }
                    let alike = mix(hashes.plain, hashes.arguments);
                    let at = building.enter(seq, context.code, excluded, hashes.plain, alike);
                    building.stack[at].hash = mix(hashes.plain, hashes.values);
                } else {
                    // If a frame has an event, the frames above it on the stack have ended without
                    // one.
                    let is_of = |open: &Open| open.code == context.code;
                    let at = match building.stack[at].code == context.code {
                        true => Some(at),
                        false => building.stack.iter().rposition(is_of),
                    };
                    if let Some(at) = at {
                        building.leave(at + 1, building.last);
                    }
                    if !context.known.is_excluded {
                        let hashes = reader.event_hashes(&view, index, None)?;
                        let hash = mix(hashes.plain, hashes.values);
                        building.stack[at.unwrap_or(0)].hash =
                            mix(building.stack[at.unwrap_or(0)].hash, hash);
                    }
                    if let (Some(at), 1) = (at, leaves >> kinds[index] & 1) {
                        building.leave(at, seq);
                    }
                }
                building.last = seq;
            }
        }
        let nodes: usize = building.values().map(|building| building.tree.nodes.len()).sum();
        if nodes > reader.calls_max && limit > LIMIT_MIN {
            limit = deepest(building.values(), nodes / 2);
            building.values_mut().for_each(|building| building.prune(limit));
        }
    }
    Ok(building.into_iter().map(|(thread, building)| (thread, building.done())).collect())
}

/// The depth up to which there are at most `nodes_max` nodes, but at least [`LIMIT_MIN`].
fn deepest<'a>(building: impl Iterator<Item = &'a Building>, nodes_max: usize) -> u32 {
    let mut by_depth: Vec<usize> = Vec::new();
    for node in building.flat_map(|building| &building.tree.nodes) {
        let depth = node.depth as usize;
        if by_depth.len() <= depth {
            by_depth.resize(depth + 1, 0);
        }
        by_depth[depth] += 1;
    }
    let mut total = 0;
    let fits = by_depth.iter().take_while(|count| {
        total += **count;
        total <= nodes_max
    });
    (fits.count() as u32).saturating_sub(1).max(LIMIT_MIN)
}
