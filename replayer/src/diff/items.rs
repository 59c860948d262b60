//! Reads the items of a call: its own events, and the calls it made directly.

use super::align::Token;
use super::hash::mix;
use super::reader::{Reader, counts};
use super::tree::Tree;
use crate::store::Error;
use dashcam_schema::event::EventKind;
use std::rc::Rc;

/// An event of a call, or a call within it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    /// The event, or the first of the call.
    pub(super) seq: i64,
    pub(super) plain: u64,
    pub(super) alike: u64,
    /// All that happened, except `values`.
    pub(super) whole: u64,
    /// Values of the call whose item this is.
    pub(super) values: u64,
    /// The node, if the item is a call.
    pub(super) child: Option<u32>,
}

impl Item {
    pub(super) fn token(&self) -> Token {
        let whole = mix(self.whole, self.values);
        Token { whole, alike: self.alike, plain: self.plain }
    }

    pub(super) fn is_same(&self, other: &Item) -> bool {
        (self.plain, self.whole, self.values) == (other.plain, other.whole, other.values)
    }
}

/// Reads the items of one node, in order.
pub(super) struct Items {
    pub(super) tree: Rc<Tree>,
    /// Number of the node's code object; `None` for a thread.
    pub(super) code: Option<u32>,
    /// The next event to read, and the last.
    next: i64,
    last: i64,
    /// The next node within this one, and the first one after it.
    child: u32,
    after: u32,
    /// Number of excluded frames that have been entered.
    excluded: u32,
}

impl Items {
    /// The items of a node; `None` if there is no such node. The tree must keep the node's
    /// children.
    pub(super) fn new(
        reader: &Reader<'_>,
        tree: Rc<Tree>,
        node: u32,
    ) -> Result<Option<Items>, Error> {
        let Some(found) = tree.nodes.get(node as usize).copied() else { return Ok(None) };
        let mut code = None;
        if node > 0
            && let Some((view, index)) = reader.locate(found.first)?
        {
            code = Some(view.context(index).code);
        }
        Ok(Some(Items {
            tree,
            code,
            next: found.first,
            last: found.last,
            child: node + 1,
            after: found.after,
            excluded: 0,
        }))
    }

    pub(super) fn is_done(&self) -> bool {
        self.next > self.last
    }

    /// Reads until there are `wanted` items, or no more.
    pub(super) fn fill(
        &mut self,
        reader: &Reader<'_>,
        items: &mut Vec<Item>,
        wanted: usize,
    ) -> Result<(), Error> {
        while items.len() < wanted && !self.is_done() {
            let Some(chunk) = reader.chunk_from(self.next, self.tree.thread) else {
                self.next = i64::MAX;
                break;
            };
            self.next = self.next.max(reader.store.chunks()[chunk].first_seq);
            if self.next <= self.last {
                self.fill_from(reader, chunk, items, wanted)?;
            }
        }
        Ok(())
    }

    fn fill_from(
        &mut self,
        reader: &Reader<'_>,
        chunk: usize,
        items: &mut Vec<Item>,
        wanted: usize,
    ) -> Result<(), Error> {
        let view = reader.view(chunk)?;
        let (kinds, counts) = (view.chunk.kinds()?, counts());
        let end = view.first_seq + kinds.len() as i64;
        while items.len() < wanted && self.next < end && self.next <= self.last {
            let (seq, index) = (self.next, (self.next - view.first_seq) as usize);
            self.next += 1;
            if counts >> kinds[index] & 1 == 0 {
                continue;
            }
            let context = view.context(index);
            if context.thread != self.tree.thread {
                continue;
            }
            let within = self.tree.nodes.get(self.child as usize);
            if let Some(node) = within.filter(|node| self.child < self.after && node.first == seq) {
                // Variables of excluded frames do not count.
                let code = self.code.filter(|_| self.excluded == 0 && reader.has_state);
                let values = match code {
                    Some(code) => reader.event_hashes(&view, index, Some(code))?.callers,
                    None => 0,
                };
                items.push(Item {
                    seq,
                    plain: node.plain,
                    alike: node.alike,
                    whole: node.whole,
                    values,
                    child: Some(self.child),
                });
                (self.next, self.child) = (node.last.max(seq) + 1, node.after.max(self.child + 1));
                continue;
            }
            if context.known.is_excluded {
                let kind = EventKind::from_number(kinds[index]);
                if kind.is_some_and(EventKind::enters) {
                    self.excluded += 1;
                } else if kind.is_some_and(leaves) {
                    self.excluded = self.excluded.saturating_sub(1);
                }
                continue;
            }
            let hashes = reader.event_hashes(&view, index, None)?;
            let (plain, values) = (hashes.plain, hashes.values);
            items.push(Item { seq, plain, alike: plain, whole: plain, values, child: None });
        }
        Ok(())
    }
}

/// Whether an event removes its frame from the stack.
pub(super) fn leaves(kind: EventKind) -> bool {
    matches!(kind, EventKind::PY_RETURN | EventKind::PY_YIELD | EventKind::PY_UNWIND)
}
