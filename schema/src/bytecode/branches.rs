//! Finds the branches that need no recorded event, because the next recorded event of the frame
//! shows which side was taken.
//!
//! The *region* of an instruction is the code that can be executed from it on without a recorded
//! event in between. If the regions of a branch's two sides have no instruction in common, the next
//! event is in the region of one side only. If that holds for every branch that is not recorded,
//! and for SEND, neither side of which has an event, there is exactly one path from any place to
//! any event.
//!
//! FOR_ITER is always recorded: without an event of its own it would be specialised, and then the
//! end of a generator that returns a value would no longer be reported as a RAISE.

use super::code::{NO_UNIT, Unit};
use super::opcodes::{Op, Version};
use crate::event::EventKind;
use rustc_hash::FxHashSet;

/// The branches that are *implied*: their events are not recorded, but derived.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Branches {
    /// By code unit; empty if no branch is implied.
    flags: Box<[u8]>,
}

/// The branch that is reported as coming from this POP_JUMP, or in 3.14 its NOT_TAKEN, is implied.
const IMPLIED: u8 = 1;
/// In 3.14: a POP_ITER or END_ASYNC_FOR, whose branch may be reported as coming from the
/// instruction executed before it.
const END: u8 = 2;

impl Branches {
    /// Whether an event of one of the branch kinds is implied. `place` and `target` are code units
    /// as CPython reports them.
    #[inline(always)]
    pub fn implies(&self, kind: EventKind, place: u32, target: u32) -> bool {
        if self.flags.is_empty() {
            return false;
        }
        let flags = |unit: u32| self.flags.get(unit as usize).copied().unwrap_or(0);
        let is_end = kind.number() == EventKind::BRANCH_RIGHT.number()
            && flags(target.wrapping_sub(1)) & END != 0;
        !is_end && flags(place) & IMPLIED != 0
    }

    /// Whether the POP_JUMP or NOT_TAKEN at a unit is implied.
    pub fn is_implied(&self, unit: u32) -> bool {
        self.flags.get(unit as usize).is_some_and(|flags| flags & IMPLIED != 0)
    }

    /// Finds the implied branches of code without a silent cycle.
    pub(super) fn find(version: Version, units: &[Unit]) -> Branches {
        let is = |op: Op| move |unit: &&Unit| unit.is_start && unit.op == op;
        if !units.iter().any(|unit| is(Op::PopJump)(&unit)) {
            return Branches::default();
        }
        let mut graph = Graph::new(version, units);
        if !units.iter().filter(is(Op::Send)).all(|send| graph.splits(send.start)) {
            return Branches::default();
        }
        let mut is_any = false;
        // From the first to the last: if only one of two conditions can be implied, it should be
        // the one that is executed more often, which comes first.
        for branch in units.iter().filter(is(Op::PopJump)) {
            is_any |= graph.imply(branch);
        }
        Branches { flags: if is_any { graph.flags.into() } else { Box::default() } }
    }
}

/// The instructions that may come after an instruction without a recorded event, [`NO_UNIT`] in
/// place of the others. If the instruction is a branch, `is_implied` means that its own event is
/// not recorded.
pub(super) fn silent_successors(version: Version, unit: &Unit, is_implied: bool) -> [u32; 2] {
    let successors = unit.successor_pair();
    let is_recorded = match unit.op {
        // In 3.14 one of the two sides is reported by the instruction it leads to.
        Op::PopJump if !is_implied && version >= Version::V3_14 => {
            return [successors[0], NO_UNIT];
        }
        Op::ForIter if version >= Version::V3_14 => return [NO_UNIT, successors[1]],
        Op::PopJump | Op::NotTaken => !is_implied,
        Op::ForIter | Op::PopIter => true,
        Op::YieldValue | Op::Call | Op::CallKw | Op::LoadSuperAttr => true,
        // 3.12 does not report it when the callable is a Python function.
        Op::CallFunctionEx => version > Version::V3_12,
        _ => false,
    };
    if is_recorded { [NO_UNIT, NO_UNIT] } else { successors }
}

/// The state of the search for a code object's implied branches.
struct Graph<'a> {
    version: Version,
    units: &'a [Unit],
    flags: Vec<u8>,
    /// By unit: whether control may go to either side from there without a recorded event.
    is_split: Vec<bool>,
    /// The predecessors of each instruction. Those of unit `i` begin at `before_from[i]`.
    before: Vec<u32>,
    before_from: Vec<u32>,
    /// By unit: the last search that visited it.
    visited: Vec<u32>,
    searches: u32,
    /// The number of instructions that may still be visited. When none are left, no further branch
    /// is implied. Code that no compiler makes could require the square of its length.
    budget: usize,
    path: Vec<u32>,
}

impl<'a> Graph<'a> {
    fn new(version: Version, units: &'a [Unit]) -> Graph<'a> {
        let len = units.len();
        let transitions = || {
            let starts = units.iter().filter(|unit| unit.is_start);
            let transitions = starts.flat_map(|unit| unit.successors().map(|to| (unit.start, to)));
            transitions.filter(|(_, to)| (*to as usize) < len)
        };
        let mut before_from = vec![0; len + 1];
        for (_, to) in transitions() {
            before_from[to as usize + 1] += 1;
        }
        for at in 0..len {
            before_from[at + 1] += before_from[at];
        }
        let mut before = vec![0; before_from[len] as usize];
        let mut next = before_from.clone();
        for (from, to) in transitions() {
            before[next[to as usize] as usize] = from;
            next[to as usize] += 1;
        }
        let ends = |unit: &Unit| match unit.op {
            Op::PopIter | Op::EndAsyncFor if version >= Version::V3_14 => END,
            _ => 0,
        };
        Graph {
            version,
            units,
            flags: units.iter().map(ends).collect(),
            is_split: vec![false; len],
            before,
            before_from,
            visited: vec![0; len],
            searches: 0,
            budget: 1000 + 50 * len,
            path: Vec::new(),
        }
    }

    fn before(&self, unit: u32) -> &[u32] {
        let Some([from, to]) = self.before_from.get(unit as usize..unit as usize + 2) else {
            return &[];
        };
        &self.before[*from as usize..*to as usize]
    }

    fn silent_successors(&self, at: u32) -> [u32; 2] {
        let is_implied = self.flags[at as usize] & IMPLIED != 0;
        silent_successors(self.version, &self.units[at as usize], is_implied)
    }

    /// Marks a POP_JUMP as implied if it can be. Returns whether it is.
    fn imply(&mut self, branch: &Unit) -> bool {
        let (at, next) = (branch.start as usize, branch.start + u32::from(branch.len));
        let mut reported_by = [at; 2];
        if self.version >= Version::V3_14 {
            let op = |unit: u32| self.units.get(unit as usize).map(|unit| unit.op);
            let is_whole = op(next) == Some(Op::NotTaken) && *self.before(next) == [branch.start];
            let before = op(branch.target.wrapping_sub(1));
            // Its event could not be distinguished from that of an END.
            if !is_whole || matches!(before, Some(Op::PopIter | Op::EndAsyncFor)) {
                return false;
            }
            reported_by[1] = next as usize;
        }
        reported_by.iter().for_each(|unit| self.flags[*unit] = IMPLIED);
        let splits = self.splits(branch.start);
        if !splits {
            reported_by.iter().for_each(|unit| self.flags[*unit] = 0);
        }
        splits
    }

    /// Whether control may go to both sides of an instruction without a recorded event. The regions
    /// of its sides must have nothing in common, and neither may have anything in common with the
    /// other side of an earlier split that leads here. If so, the instruction is a split from now
    /// on.
    fn splits(&mut self, at: u32) -> bool {
        let known = self.searches;
        self.searches += 3;
        let sides = self.units[at as usize].successor_pair();
        if !(self.search(sides[0], known, known + 1) && self.search(sides[1], known, known + 2)) {
            return false;
        }
        let mut origins = vec![at];
        let mut seen = FxHashSet::default();
        while let Some(on) = origins.pop() {
            for index in self.before_from[on as usize]..self.before_from[on as usize + 1] {
                let from = self.before[index as usize];
                let successors = self.silent_successors(from);
                if !successors.contains(&on) || !seen.insert(from) {
                    continue;
                }
                if self.budget == 0 {
                    return false;
                }
                self.budget -= 1;
                let other = if successors[0] == on { successors[1] } else { successors[0] };
                if self.is_split[from as usize] && !self.search(other, known, known + 3) {
                    return false;
                }
                origins.push(from);
            }
        }
        self.is_split[at as usize] = true;
        true
    }

    /// Visits an instruction's region as search number `search`. Returns false if a search after
    /// number `known` has visited a part of the region, if the region leaves the code, or if the
    /// search would take too long.
    fn search(&mut self, from: u32, known: u32, search: u32) -> bool {
        self.path.clear();
        self.path.push(from);
        while let Some(at) = self.path.pop() {
            let is_start = self.units.get(at as usize).is_some_and(|unit| unit.is_start);
            if !is_start || self.budget == 0 {
                return false;
            }
            let visited = std::mem::replace(&mut self.visited[at as usize], search);
            if visited == search {
                continue;
            }
            if visited > known {
                return false;
            }
            self.budget -= 1;
            let successors = self.silent_successors(at);
            self.path.extend(successors.into_iter().filter(|next| *next != NO_UNIT));
        }
        true
    }
}

#[cfg(test)]
mod tests;
