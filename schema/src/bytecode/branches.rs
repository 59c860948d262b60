//! Which branches need no event: the next recorded event of the frame tells which way was taken.
//!
//! What can be executed from an instruction on without an event in between is its *region*. If the
//! regions of a branch's two sides have no instruction in common, the next event, wherever it is,
//! is on one side only. As long as that holds for every branch that is left out, and for SEND, of
//! whose two ways none is an event, there is one way from any place to any event.
//!
//! FOR_ITER always is recorded: without an event of its own it is specialised, and then the end of a
//! generator that returns a value is no longer reported as a RAISE.

use super::code::{NO_UNIT, Unit};
use super::opcodes::{Op, Version};
use crate::event::EventKind;
use rustc_hash::FxHashSet;

/// Branches that are *implied*: their events are not recorded, but follow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Branches {
    /// By code unit; empty if none is implied.
    flags: Box<[u8]>,
}

/// What is reported to come from this POP_JUMP, or in 3.14 its NOT_TAKEN, is implied.
const IMPLIED: u8 = 1;
/// In 3.14: a POP_ITER or END_ASYNC_FOR, whose branch may be reported as of the instruction before it.
const END: u8 = 2;

impl Branches {
    /// Whether an event of one of the kinds of branches is implied. `place` and `target` are code units
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

    /// Finds them among instructions that have no silent cycle.
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
        // From the first to the last: of two conditions of which only one can do without an event, the
        // one that is met more often comes first.
        for branch in units.iter().filter(is(Op::PopJump)) {
            is_any |= graph.imply(branch);
        }
        Branches { flags: if is_any { graph.flags.into() } else { Box::default() } }
    }
}

/// Where control may go from an instruction without an event. `is_implied`: if it is a branch, its own is
/// left out.
pub(super) fn silent_successors(version: Version, unit: &Unit, is_implied: bool) -> [u32; 2] {
    let ways = unit.ways();
    let is_recorded = match unit.op {
        // In 3.14 one of the two ways is reported by the instruction it leads to.
        Op::PopJump if !is_implied && version >= Version::V3_14 => return [ways[0], NO_UNIT],
        Op::ForIter if version >= Version::V3_14 => return [NO_UNIT, ways[1]],
        Op::PopJump | Op::NotTaken => !is_implied,
        Op::ForIter | Op::PopIter => true,
        Op::YieldValue | Op::Call | Op::CallKw | Op::LoadSuperAttr => true,
        // 3.12 does not report it when the callable is a Python function.
        Op::CallFunctionEx => version > Version::V3_12,
        _ => false,
    };
    if is_recorded { [NO_UNIT, NO_UNIT] } else { ways }
}

/// What is left to find out about a code object's branches.
struct Graph<'a> {
    version: Version,
    units: &'a [Unit],
    flags: Vec<u8>,
    /// By unit: no event tells which of the two ways from there is taken.
    is_split: Vec<bool>,
    /// Instructions that may come right before each; those of unit `i` stand from `before_from[i]` on.
    before: Vec<u32>,
    before_from: Vec<u32>,
    /// By unit: the search that met it last.
    met: Vec<u32>,
    searches: u32,
    /// Instructions that may yet be met; no branch is implied when there are none left. Code that no
    /// compiler makes could ask for the square of its length.
    budget: usize,
    path: Vec<u32>,
}

impl<'a> Graph<'a> {
    fn new(version: Version, units: &'a [Unit]) -> Graph<'a> {
        let len = units.len();
        let ways = || {
            let starts = units.iter().filter(|unit| unit.is_start);
            let ways = starts.flat_map(|unit| unit.successors().map(|to| (unit.start, to)));
            ways.filter(|(_, to)| (*to as usize) < len)
        };
        let mut before_from = vec![0; len + 1];
        for (_, to) in ways() {
            before_from[to as usize + 1] += 1;
        }
        for at in 0..len {
            before_from[at + 1] += before_from[at];
        }
        let mut before = vec![0; before_from[len] as usize];
        let mut next = before_from.clone();
        for (from, to) in ways() {
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
            met: vec![0; len],
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

    /// Makes a POP_JUMP an implied one, if it may be.
    fn imply(&mut self, branch: &Unit) -> bool {
        let (at, next) = (branch.start as usize, branch.start + u32::from(branch.len));
        let mut reported_by = [at; 2];
        if self.version >= Version::V3_14 {
            let op = |unit: u32| self.units.get(unit as usize).map(|unit| unit.op);
            let is_whole = op(next) == Some(Op::NotTaken) && *self.before(next) == [branch.start];
            let before = op(branch.target.wrapping_sub(1));
            // Its event could not be told from that of an END.
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

    /// Whether two ways may lead on from an instruction without an event: its sides have nothing in
    /// common, nor has either with the other side of a split from which there is a way here. If so,
    /// it is a split from now on.
    fn splits(&mut self, at: u32) -> bool {
        let known = self.searches;
        self.searches += 3;
        let sides = self.units[at as usize].ways();
        if !(self.search(sides[0], known, known + 1) && self.search(sides[1], known, known + 2)) {
            return false;
        }
        let mut origins = vec![at];
        let mut seen = FxHashSet::default();
        while let Some(on) = origins.pop() {
            for index in self.before_from[on as usize]..self.before_from[on as usize + 1] {
                let from = self.before[index as usize];
                let ways = self.silent_successors(from);
                if !ways.contains(&on) || !seen.insert(from) {
                    continue;
                }
                if self.budget == 0 {
                    return false;
                }
                self.budget -= 1;
                let other = if ways[0] == on { ways[1] } else { ways[0] };
                if self.is_split[from as usize] && !self.search(other, known, known + 3) {
                    return false;
                }
                origins.push(from);
            }
        }
        self.is_split[at as usize] = true;
        true
    }

    /// Meets an instruction's region, for `search`. False if an earlier search after `known` met a part
    /// of it, or it goes on outside of the code, or would take too long.
    fn search(&mut self, from: u32, known: u32, search: u32) -> bool {
        self.path.clear();
        self.path.push(from);
        while let Some(at) = self.path.pop() {
            let is_start = self.units.get(at as usize).is_some_and(|unit| unit.is_start);
            if !is_start || self.budget == 0 {
                return false;
            }
            let met = std::mem::replace(&mut self.met[at as usize], search);
            if met == search {
                continue;
            }
            if met > known {
                return false;
            }
            self.budget -= 1;
            let ways = self.silent_successors(at);
            self.path.extend(ways.into_iter().filter(|way| *way != NO_UNIT));
        }
        true
    }
}

#[cfg(test)]
mod tests;
