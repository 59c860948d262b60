//! What follows between two recorded events, worked out once.
//!
//! A *node* is a place an activation can stand at; an *edge* leads from it by a recorded event to
//! the next, and holds the events that follow on the way. Programs have few of both: a loop goes
//! over the same edges again and again.

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

/// The node below every stack: no activation.
pub const ROOT: NodeId = 0;
const NO_EDGE: EdgeId = u32::MAX;
/// With more edges than this an automaton should be made anew: programs that make code objects without
/// end would make it grow without end. An edge takes some hundred bytes.
pub const EDGES_MAX: usize = 1 << 18;
/// See [`Automaton::block`].
pub const BLOCK: usize = 8;
/// Edges of a node that are looked through one by one; more are hashed.
const LISTED: u32 = 8;

/// The code objects of a process, by number.
pub trait Codes {
    /// `None` if nothing is known of its bytecode.
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
    /// The top node becomes the first, and the second is put on top.
    Push(NodeId, NodeId),
    Pop,
    /// The event is of another activation than the top one: of the next below of its code object,
    /// or of an unknown one. What stands above is dropped; that one becomes the node.
    Resync(NodeId),
    /// The same, and it is left.
    ResyncPop,
}

/// The way from one recorded event to the next. What is needed each time comes first.
#[derive(Debug, Clone, Copy)]
pub struct Edge {
    pub step: Step,
    next: EdgeId,
    pub moves: Move,
    /// How many events it has; the last is the recorded one.
    pub events: u32,
    /// Place of the recorded event, as it is to be seen.
    pub place: u32,
    /// Kind and place of the event before that, if there are several.
    pub before: (u8, u32),
    /// The code object of all events but the last.
    pub code: u32,
    /// The rules do not cover this step: nothing follows, and something may be missing.
    pub is_desync: bool,
    /// How many branches are among the events before the last.
    pub branches: u32,
    /// See [`Step::says_none`].
    pub says_none: bool,
    pub from: NodeId,
    /// Where its events begin in the automaton's columns.
    first: u32,
    first_target: u32,
    targets: u32,
}

/// The nodes and edges of one process. Grows with what its program does, not with how long; see
/// [`EDGES_MAX`].
pub struct Automaton {
    nodes: Vec<Node>,
    by_activation: FxHashMap<Activation, NodeId>,
    edges: Vec<Edge>,
    by_step: FxHashMap<(NodeId, Step), EdgeId>,
    /// Why edges are not covered by the rules.
    desyncs: FxHashMap<EdgeId, Desync>,
    /// Of all edges, one after another, and [`BLOCK`] zeros.
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
    /// The node of an activation.
    pub fn node(&mut self, activation: Activation) -> NodeId {
        let next = self.nodes.len() as NodeId;
        let id = *self.by_activation.entry(activation).or_insert(next);
        if id == next {
            self.nodes.push(Node { activation, first: NO_EDGE, edges: 0 });
        }
        id
    }

    /// Where a node stands.
    pub fn activation(&self, node: NodeId) -> &Activation {
        &self.nodes[node as usize].activation
    }

    /// The edge with this number.
    #[inline(always)]
    pub fn edge(&self, edge: EdgeId) -> &Edge {
        &self.edges[edge as usize]
    }

    /// Why the rules do not cover an edge, if they do not.
    pub fn desync(&self, edge: EdgeId) -> Option<Desync> {
        self.desyncs.get(&edge).copied()
    }

    /// How many edges there are.
    pub fn len(&self) -> usize {
        self.edges.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }

    /// The first edge from a node.
    #[inline(always)]
    pub fn first(&self, node: NodeId) -> Option<EdgeId> {
        Some(self.nodes[node as usize].first).filter(|id| *id != NO_EDGE)
    }

    /// The next edge from the same node, among the first few.
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

    /// The kinds and places of the edge's first events, and what happens to stand after them: as many
    /// as most edges have, to be copied at once.
    #[inline(always)]
    pub fn block(&self, edge: &Edge) -> Option<(&[u8; BLOCK], &[u32; BLOCK])> {
        let first = edge.first as usize;
        Some((self.kinds.get(first..)?.first_chunk()?, self.places.get(first..)?.first_chunk()?))
    }

    /// The edge that leads from a node by a step.
    #[inline(always)]
    pub fn find(&mut self, codes: &(impl Codes + ?Sized), from: NodeId, step: &Step) -> EdgeId {
        let node = &self.nodes[from as usize];
        let mut id = node.first;
        // The first few only: they are the oldest ones.
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

    /// Puts an edge at the end of its node's list, if that is still looked through.
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

    /// Derives an edge.
    fn work_out(&mut self, codes: &(impl Codes + ?Sized), from: NodeId, step: &Step) -> Edge {
        let activation = *self.activation(from);
        let mut events = std::mem::take(&mut self.scratch);
        events.clear();
        let (moves, desync) = match self.rules(codes, from, activation, step, &mut events) {
            Ok(moves) if events.len() <= STRETCH_MAX => (moves, None),
            result => {
                let desync = result.err().unwrap_or(Desync("too many events between two"));
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
                // RAISE of a frame whose PY_START was never reported.
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

    /// What to do when the rules do not cover a step.
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

    /// Which of the callers a recorded event names is the activation on top, as a unit it stands
    /// at; [`NO_UNIT`] if none. Callers are (code object, unit), nearest first.
    pub fn caller(
        &mut self,
        codes: &(impl Codes + ?Sized),
        node: NodeId,
        callers: &[(u32, u32)],
    ) -> u32 {
        let activation = *self.activation(node);
        if let [(code, unit)] = callers {
            // Whether it stands there is worked out with the edge.
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

/// Whether this RAISE is of a new frame: an error at its RESUME or before it, and no PY_START was reported.
/// 3.12 reports PY_START first and looks for signals afterwards.
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
