//! The events between two recorded events, worked out once and looked up afterwards.
//!
//! A *node* is a state that an activation can be in. An *edge* is a step from one node to another
//! by a recorded event, with the events that are derived before it. Programs have few of both: a
//! loop uses the same edges again and again.

use super::walk::{Desync, Effect, Walker, recovered};
use super::{Activation, Derived, Step};
use crate::bytecode::code::{Code, NO_UNIT};
use crate::bytecode::opcodes::Version;
use crate::chunk::STRETCH_MAX;
use crate::event::EventKind;
use rustc_hash::FxHashMap;
use std::borrow::Borrow;
use std::ops::Range;

/// Index of a node.
pub type NodeId = u32;
/// Index of an edge.
pub type EdgeId = u32;

/// The node below every stack, which is not an activation.
pub const ROOT: NodeId = 0;
const NO_EDGE: EdgeId = u32::MAX;
/// If an automaton has more edges than this, it should be replaced by a new one: a program that
/// creates code objects without end would make it grow without end. An edge takes some hundred
/// bytes.
pub const EDGES_MAX: usize = 1 << 18;
/// See [`Automaton::block`].
pub const BLOCK: usize = 8;
/// How many edges of a node are searched one by one. Further edges are found by hash.
const LISTED: u32 = 8;

/// The code objects of a process, by number.
pub trait Codes {
    /// Returns a code object; `None` if its bytecode is not known.
    fn code(&self, number: u32) -> Option<&Code>;
}

impl<C: Borrow<Code>> Codes for [Option<C>] {
    fn code(&self, number: u32) -> Option<&Code> {
        self.get(number as usize)?.as_ref().map(Borrow::borrow)
    }
}

struct Node {
    activation: Activation,
    first: EdgeId,
    edges: u32,
}

/// What an edge does to its thread's stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// The top node becomes this one.
    Stay(NodeId),
    /// The top node becomes the first one, and the second one is put on top of it.
    Push(NodeId, NodeId),
    Pop,
    /// The event is of another activation than the top one: of the nearest one below of its code
    /// object, or of an unknown one. The activations above are removed, and it becomes this node.
    Resync(NodeId),
    /// As `Resync`, but the activation is left.
    ResyncPop,
}

/// The path from one recorded event to the next. The fields needed each time come first.
#[derive(Debug, Clone, Copy)]
pub struct Edge {
    pub step: Step,
    next: EdgeId,
    pub moves: Move,
    /// The number of its events. The last one is the recorded event.
    pub events: u32,
    /// The place of the recorded event that readers see.
    pub place: u32,
    /// Kind and place of the event before the recorded one, if there are several events.
    pub before: (u8, u32),
    /// The code object of all events but the last.
    pub code: u32,
    /// Whether the rules do not cover this step. Nothing is derived then, and events may be
    /// missing.
    pub is_desync: bool,
    /// The number of branches among the events before the last.
    pub branches: u32,
    /// See [`Step::says_none`].
    pub says_none: bool,
    pub from: NodeId,
    /// Where its events begin in the automaton's lists.
    first: u32,
    first_target: u32,
    targets: u32,
}

/// The nodes and edges of one process. Its size depends on the code that the program runs, not on
/// how long it runs; see [`EDGES_MAX`].
pub struct Automaton {
    nodes: Vec<Node>,
    by_activation: FxHashMap<Activation, NodeId>,
    edges: Vec<Edge>,
    by_step: FxHashMap<(NodeId, Step), EdgeId>,
    /// The reasons why the rules do not cover edges.
    desyncs: FxHashMap<EdgeId, Desync>,
    /// The kinds of the events of all edges, one edge after another, followed by [`BLOCK`] zeros.
    /// The same for `places`.
    kinds: Vec<u8>,
    places: Vec<u32>,
    targets: Vec<u32>,
    scratch: Vec<Derived>,
}

impl Default for Automaton {
    fn default() -> Automaton {
        let nowhere = Activation { in_progress: false, ..Activation::new(NO_UNIT, NO_UNIT, 0) };
        Automaton {
            nodes: vec![Node { activation: nowhere, first: NO_EDGE, edges: 0 }],
            by_activation: FxHashMap::default(),
            edges: Vec::new(),
            by_step: FxHashMap::default(),
            desyncs: FxHashMap::default(),
            kinds: vec![0; BLOCK],
            places: vec![0; BLOCK],
            targets: Vec::new(),
            scratch: Vec::new(),
        }
    }
}

impl Automaton {
    /// Returns the node of an activation.
    pub fn node(&mut self, activation: Activation) -> NodeId {
        let next = self.nodes.len() as NodeId;
        let id = *self.by_activation.entry(activation).or_insert(next);
        if id == next {
            self.nodes.push(Node { activation, first: NO_EDGE, edges: 0 });
        }
        id
    }

    /// The activation of a node.
    pub fn activation(&self, node: NodeId) -> &Activation {
        &self.nodes[node as usize].activation
    }

    /// The edge with this number.
    #[inline(always)]
    pub fn edge(&self, edge: EdgeId) -> &Edge {
        &self.edges[edge as usize]
    }

    /// The reason why the rules do not cover an edge; `None` if they do.
    pub fn desync(&self, edge: EdgeId) -> Option<Desync> {
        self.desyncs.get(&edge).copied()
    }

    /// The number of edges.
    pub fn len(&self) -> usize {
        self.edges.len()
    }

    /// Whether there are no edges.
    pub fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }

    /// The first of the listed edges from a node.
    #[inline(always)]
    pub fn first(&self, node: NodeId) -> Option<EdgeId> {
        Some(self.nodes[node as usize].first).filter(|id| *id != NO_EDGE)
    }

    /// The next of the listed edges from the same node. Only the first few edges are listed.
    #[inline(always)]
    pub fn next(&self, edge: EdgeId) -> Option<EdgeId> {
        Some(self.edges[edge as usize].next).filter(|id| *id != NO_EDGE)
    }

    /// The edge's events: kinds, places, and targets of those that have one.
    #[inline(always)]
    pub fn events(&self, edge: &Edge) -> (&[u8], &[u32], &[u32]) {
        let events = range(edge.first, edge.events);
        let targets = range(edge.first_target, edge.targets);
        (&self.kinds[events.clone()], &self.places[events], &self.targets[targets])
    }

    /// The kinds and places of [`BLOCK`] events from the edge's first one on, including those of
    /// other edges that come after them. Most edges have no more events than that, so one copy of
    /// fixed size is enough.
    #[inline(always)]
    pub fn block(&self, edge: &Edge) -> Option<(&[u8; BLOCK], &[u32; BLOCK])> {
        let first = edge.first as usize;
        Some((self.kinds.get(first..)?.first_chunk()?, self.places.get(first..)?.first_chunk()?))
    }

    /// Returns the edge that leads from a node by a step.
    #[inline(always)]
    pub fn find(&mut self, codes: &(impl Codes + ?Sized), from: NodeId, step: &Step) -> EdgeId {
        let node = &self.nodes[from as usize];
        let mut id = node.first;
        // Only the oldest few edges are listed.
        for _ in 0..node.edges.min(LISTED) {
            let edge = &self.edges[id as usize];
            if edge.step == *step {
                return id;
            }
            id = edge.next;
        }
        self.find_slowly(codes, from, step)
    }

    #[cold]
    fn find_slowly(&mut self, codes: &(impl Codes + ?Sized), from: NodeId, step: &Step) -> EdgeId {
        if let Some(found) = self.by_step.get(&(from, *step)) {
            return *found;
        }
        let edge = self.work_out(codes, from, step);
        let id = self.edges.len() as EdgeId;
        self.edges.push(edge);
        self.append(from, id);
        self.by_step.insert((from, *step), id);
        id
    }

    /// Appends an edge to its node's list, unless the list is full.
    fn append(&mut self, from: NodeId, id: EdgeId) {
        let node = &mut self.nodes[from as usize];
        if node.edges >= LISTED {
            return;
        }
        node.edges += 1;
        if node.first == NO_EDGE {
            node.first = id;
            return;
        }
        let mut last = node.first;
        while self.edges[last as usize].next != NO_EDGE {
            last = self.edges[last as usize].next;
        }
        self.edges[last as usize].next = id;
    }

    /// Derives the events of an edge.
    fn work_out(&mut self, codes: &(impl Codes + ?Sized), from: NodeId, step: &Step) -> Edge {
        let activation = *self.activation(from);
        let mut events = std::mem::take(&mut self.scratch);
        events.clear();
        let (moves, desync) = match self.rules(codes, from, activation, step, &mut events) {
            Ok(moves) if events.len() <= STRETCH_MAX => (moves, None),
            result => {
                let desync =
                    result.err().unwrap_or(Desync("too many events between two recorded ones"));
                events.clear();
                let target = if has_target(step.kind) { step.with } else { NO_UNIT };
                events.push(Derived { kind: step.kind, place: step.place, target });
                (self.resync(from, activation, step), Some(desync))
            }
        };
        let first = self.kinds.len() - BLOCK;
        self.kinds.truncate(first);
        self.places.truncate(first);
        let first_target = self.targets.len() as u32;
        for event in &events {
            self.kinds.push(event.kind);
            self.places.push(event.place);
            if has_target(event.kind) {
                self.targets.push(event.target);
            }
        }
        self.kinds.extend([0; BLOCK]);
        self.places.extend([0; BLOCK]);
        let before = events.split_last().map_or(&[][..], |(_, before)| before);
        let edge = Edge {
            step: *step,
            next: NO_EDGE,
            moves,
            events: events.len() as u32,
            place: events.last().map_or(step.place, |event| event.place),
            before: before.last().map_or((0, 0), |event| (event.kind, event.place)),
            code: activation.code,
            is_desync: desync.is_some(),
            says_none: step.says_none(),
            branches: before.iter().filter(|event| is_branch(event.kind)).count() as u32,
            from,
            first: first as u32,
            first_target,
            targets: self.targets.len() as u32 - first_target,
        };
        if let Some(desync) = desync {
            self.desyncs.insert(self.edges.len() as EdgeId, desync);
        }
        self.scratch = events;
        edge
    }

    fn rules(
        &mut self,
        codes: &(impl Codes + ?Sized),
        from: NodeId,
        activation: Activation,
        step: &Step,
        events: &mut Vec<Derived>,
    ) -> Result<Move, Desync> {
        let callee = codes.code(step.code);
        if enters(step) || begins_by_raising(callee, &activation, step) {
            let caller = match codes.code(activation.code) {
                _ if from == ROOT => from,
                Some(code) => {
                    let mut walker = Walker::new(code, activation, events);
                    if step.with != NO_UNIT && walker.stands_at(step.with) {
                        walker.enter_from(step.with)?;
                    }
                    let caller = walker.activation;
                    self.node(caller)
                }
                None => from,
            };
            let mut entered = Walker::entered(step);
            if !enters(step) {
                // This is the RAISE of a frame whose PY_START was never reported.
                entered = Activation::new(step.code, step.place, step.place);
                entered.raising = true;
                entered.fault = step.place;
            }
            events.push(Derived { kind: step.kind, place: step.place, target: NO_UNIT });
            return Ok(Move::Push(caller, self.node(entered)));
        }
        if from == ROOT || activation.code != step.code {
            return Err(Desync("an event of another frame than the one on top"));
        }
        let code = callee.ok_or(Desync("a code object without bytecode"))?;
        let mut walker = Walker::new(code, activation, events);
        Ok(match walker.event(step)? {
            Effect::Stay(next) => Move::Stay(self.node(next)),
            Effect::Pop => Move::Pop,
        })
    }

    /// Returns the move for a step that the rules do not cover.
    fn resync(&mut self, from: NodeId, activation: Activation, step: &Step) -> Move {
        if enters(step) {
            return Move::Push(from, self.node(Walker::entered(step)));
        }
        let is_here = from != ROOT && activation.code == step.code;
        match recovered(step) {
            Effect::Pop if is_here => Move::Pop,
            Effect::Pop => Move::ResyncPop,
            Effect::Stay(next) if is_here => Move::Stay(self.node(next)),
            Effect::Stay(next) => Move::Resync(self.node(next)),
        }
    }

    /// Finds the activation on top among the callers of a recorded event, and returns the unit at
    /// which it stands; [`NO_UNIT`] if it is none of them. Callers are (code object, unit), nearest
    /// first.
    pub fn caller(
        &mut self,
        codes: &(impl Codes + ?Sized),
        node: NodeId,
        callers: &[(u32, u32)],
    ) -> u32 {
        let activation = *self.activation(node);
        if let [(code, unit)] = callers {
            // Whether it stands there is checked when the edge is derived.
            return if *code == activation.code && node != ROOT { *unit } else { NO_UNIT };
        }
        let Some(code) = codes.code(activation.code).filter(|_| node != ROOT) else {
            return NO_UNIT;
        };
        let mut events = std::mem::take(&mut self.scratch);
        let walker = Walker::new(code, activation, &mut events);
        let found = callers
            .iter()
            .find(|(number, unit)| *number == activation.code && walker.stands_at(*unit))
            .map_or(NO_UNIT, |(_, unit)| *unit);
        self.scratch = events;
        found
    }
}

fn range(first: u32, len: u32) -> Range<usize> {
    first as usize..(first + len) as usize
}

fn has_target(kind: u8) -> bool {
    EventKind::from_number(kind).is_some_and(crate::chunk::has_target)
}

pub(crate) fn is_branch(kind: u8) -> bool {
    EventKind::from_number(kind).is_some_and(EventKind::is_branch)
}

fn enters(step: &Step) -> bool {
    EventKind::from_number(step.kind).is_some_and(EventKind::enters)
}

/// Whether this RAISE is of a new frame: the error occurred at its RESUME or before it, and no
/// PY_START was reported. 3.12 reports PY_START first and handles signals afterwards.
fn begins_by_raising(code: Option<&Code>, top: &Activation, step: &Step) -> bool {
    if step.kind != EventKind::RAISE.number() {
        return false;
    }
    let Some(code) = code else { return false };
    let may_begin = code.may_begin_by_raising(step.place);
    let is_top = top.code == step.code
        && top.in_progress
        && top.at == step.place
        && (top.thrown || code.version == Version::V3_12);
    may_begin && !is_top
}
