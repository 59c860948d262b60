//! The activations of every thread, as nodes of an [`Automaton`].

use super::automaton::{Automaton, Edge, Move, NodeId, ROOT};
use rustc_hash::FxHashMap;

/// The stacks of one process.
#[derive(Default)]
pub struct Stacks {
    /// The stack of the current thread, outermost first.
    current: Vec<NodeId>,
    thread: u32,
    others: FxHashMap<u32, Vec<NodeId>>,
}

impl Stacks {
    /// Returns these stacks, given by thread.
    pub fn new(stacks: impl Iterator<Item = (u32, Vec<NodeId>)>) -> Stacks {
        Stacks { current: Vec::new(), thread: u32::MAX, others: stacks.collect() }
    }

    /// The stacks that are not empty, by thread.
    pub fn all(&self) -> impl Iterator<Item = (u32, &[NodeId])> {
        let others = self.others.iter().map(|(thread, stack)| (*thread, &**stack));
        let current = (!self.current.is_empty()).then_some((self.thread, &*self.current));
        current.into_iter().chain(others)
    }

    /// Replaces the nodes of an old automaton by those of a new one.
    pub fn renew(&mut self, old: &Automaton, new: &mut Automaton) {
        for stack in std::iter::once(&mut self.current).chain(self.others.values_mut()) {
            stack.iter_mut().for_each(|node| *node = new.node(*old.activation(*node)));
        }
    }

    /// Sets the thread of the events that follow.
    pub fn set_thread(&mut self, thread: u32) {
        if thread == self.thread {
            return;
        }
        let next = self.others.remove(&thread).unwrap_or_default();
        let left = std::mem::replace(&mut self.current, next);
        if !left.is_empty() {
            self.others.insert(self.thread, left);
        }
        self.thread = thread;
    }

    /// The current thread's innermost activation; [`ROOT`] if there is none.
    #[inline(always)]
    pub fn top(&self) -> NodeId {
        self.current.last().copied().unwrap_or(ROOT)
    }

    /// Puts an activation on top of the current thread's stack.
    pub fn push(&mut self, node: NodeId) {
        self.current.push(node);
    }

    /// Applies an edge that leads from the current thread's top.
    #[inline(always)]
    pub fn apply(&mut self, edge: &Edge, automaton: &Automaton) {
        match edge.moves {
            Move::Stay(node) => self.replace(node),
            Move::Push(caller, callee) => {
                self.replace(caller);
                self.current.push(callee);
            }
            Move::Pop => {
                self.current.pop();
            }
            Move::Resync(node) => {
                self.drop_to(edge, automaton);
                self.current.push(node);
            }
            Move::ResyncPop => self.drop_to(edge, automaton),
        }
    }

    #[inline(always)]
    fn replace(&mut self, node: NodeId) {
        if let Some(top) = self.current.last_mut() {
            *top = node;
        }
    }

    /// Removes the nearest activation of the edge's code object and all activations above it. If
    /// there is none, nothing is removed: the event is of a frame whose beginning was not recorded.
    #[cold]
    fn drop_to(&mut self, edge: &Edge, automaton: &Automaton) {
        let is_of = |node: &NodeId| automaton.activation(*node).code == edge.step.code;
        if let Some(at) = self.current.iter().rposition(is_of) {
            self.current.truncate(at);
        }
    }
}
