//! The instructions of one code object: where each begins, where it leads, and what monitoring
//! reports there. All of this follows from `co_code`, `co_exceptiontable` and the line table.
//!
//! The rules are those of `Python/instrumentation.c`; offsets are in code units of two bytes.

use super::branches::{Branches, silent_successors};
use super::lines::{LineTable, NO_LINE};
use super::opcodes::{Op, Version};
use rustc_hash::FxHashSet;

/// Means "no code unit".
pub const NO_UNIT: u32 = u32::MAX;
/// The maximum number of code units. No compiler makes as many; further units are ignored.
const UNITS_MAX: usize = 1 << 24;

/// One code unit.
#[derive(Debug, Clone, Copy)]
pub struct Unit {
    /// The instruction that begins here; [`Op::Cache`] inside of an instruction.
    pub op: Op,
    /// The number of units of the instruction, caches included; 1 inside of an instruction.
    pub len: u8,
    /// Whether an instruction begins here.
    pub is_start: bool,
    /// Whether monitoring may report a LINE here.
    pub has_line_event: bool,
    /// Whether monitoring reports an INSTRUCTION here.
    pub has_instruction_event: bool,
    /// The line of the instruction that begins here, or [`NO_LINE`].
    pub line: u32,
    /// The unit where the instruction that contains this unit begins.
    pub start: u32,
    /// The operand of the instruction that begins here, with the bits that EXTENDED_ARG adds; 0
    /// inside of an instruction.
    pub operand: u32,
    /// Where the instruction may jump to, or [`NO_UNIT`]. For 3.14's END_ASYNC_FOR: the unit that
    /// its branch is reported to come from.
    pub target: u32,
}

impl Unit {
    /// The units where control may go on after the instruction that begins here, exceptions aside:
    /// the next instruction, and where it jumps to; [`NO_UNIT`] for either that is not possible.
    pub(super) fn successor_pair(&self) -> [u32; 2] {
        let next = self.start + u32::from(self.len);
        match self.op {
            Op::Return | Op::RaiseVarargs | Op::Reraise => [NO_UNIT, NO_UNIT],
            Op::JumpForward | Op::JumpBackward | Op::JumpBackwardNoInterrupt => {
                [NO_UNIT, self.target]
            }
            Op::PopJump | Op::ForIter | Op::Send => [next, self.target],
            _ => [next, NO_UNIT],
        }
    }

    /// The units where control may go on after the instruction that begins here, exceptions aside.
    pub(super) fn successors(&self) -> impl Iterator<Item = u32> + use<> {
        self.successor_pair().into_iter().filter(|unit| *unit != NO_UNIT)
    }
}

/// A code object's instructions.
#[derive(Debug, Clone)]
pub struct Code {
    pub version: Version,
    units: Box<[Unit]>,
    /// The RESUME that reports PY_START.
    first_resume: u32,
    pub control: Control,
}

/// The branches and JUMPs of a code object that have to be recorded.
#[derive(Debug, Clone, Default)]
pub struct Control {
    /// Whether there is a loop without an event that is always recorded. Its JUMPs have to be
    /// recorded then.
    pub has_silent_cycle: bool,
    /// The branches that need not be recorded.
    pub branches: Branches,
}

impl Control {
    /// Finds what has to be recorded of this bytecode.
    pub fn of(version: Version, bytecode: &[u8]) -> Control {
        Control::new(version, &plain_instructions(version, bytecode))
    }

    fn new(version: Version, units: &[Unit]) -> Control {
        let has_silent_cycle = has_silent_cycle(version, units);
        // If JUMPs are recorded, all branches are, too: such code is rare.
        let branches = if has_silent_cycle { None } else { Some(Branches::find(version, units)) };
        Control { has_silent_cycle, branches: branches.unwrap_or_default() }
    }
}

impl Code {
    /// Reads a code object. Invalid bytes give meaningless instructions, but no panic.
    pub fn new(
        version: Version,
        bytecode: &[u8],
        exception_table: &[u8],
        lines: &LineTable,
    ) -> Code {
        let bytes = bytecode.as_chunks::<2>().0;
        let bytes = &bytes[..bytes.len().min(UNITS_MAX)];
        let mut units = instructions(version, bytes, lines);
        mark(version, &mut units, exception_table);
        let control = Control::new(version, &units);
        let first_resume = units.iter().position(|unit| unit.op == Op::Resume).unwrap_or(0) as u32;
        Code { version, units: units.into(), first_resume, control }
    }

    /// A code unit; `None` beyond the end.
    pub fn unit(&self, unit: u32) -> Option<&Unit> {
        self.units.get(unit as usize)
    }

    /// All code units.
    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// Whether the instruction at a unit is executed before PY_START is reported, but an exception
    /// that it raises is reported. The first event of its frame is that RAISE then.
    pub fn may_begin_by_raising(&self, unit: u32) -> bool {
        let Some(found) = self.unit(unit) else { return false };
        // From 3.15 on, a generator expression gets its iterator first.
        found.op == Op::Resume || self.version >= Version::V3_15 && unit < self.first_resume
    }

    /// Returns the side of an implied branch from which the next event may be at `wanted`, where an
    /// instruction begins. `None` if `wanted` cannot be reached without another event.
    pub fn side_towards(&self, branch: &Unit, wanted: u32) -> Option<u32> {
        branch.successors().find(|side| self.reaches(*side, wanted))
    }

    fn reaches(&self, from: u32, wanted: u32) -> bool {
        let mut path = vec![from];
        let mut visited = FxHashSet::default();
        while let Some(at) = path.pop() {
            let Some(unit) = self.unit(at).filter(|_| visited.insert(at)) else { continue };
            if at == wanted {
                return true;
            }
            let is_implied = self.control.branches.is_implied(at);
            path.extend(silent_successors(self.version, unit, is_implied));
        }
        false
    }
}

/// Returns the instructions of a code object and where they jump to, without lines.
pub fn plain_instructions(version: Version, bytecode: &[u8]) -> Vec<Unit> {
    let bytes = bytecode.as_chunks::<2>().0;
    instructions(version, &bytes[..bytes.len().min(UNITS_MAX)], &LineTable::default())
}

/// Returns where instructions begin and jump to. Monitoring reports nothing before the first
/// RESUME.
fn instructions(version: Version, bytes: &[[u8; 2]], lines: &LineTable) -> Vec<Unit> {
    let end = bytes.len() as u32;
    let inside = |start: u32| Unit {
        op: Op::Cache,
        len: 1,
        is_start: false,
        has_line_event: false,
        has_instruction_event: false,
        line: NO_LINE,
        start,
        operand: 0,
        target: NO_UNIT,
    };
    let mut units = Vec::with_capacity(bytes.len());
    let mut extended = 0u32;
    let mut is_traceable = false;
    while let Some(&[opcode, argument]) = bytes.get(units.len()) {
        let at = units.len() as u32;
        let argument = u32::from(argument) | extended;
        let op = match version.op(opcode) {
            Op::Resume if version.is_silent_resume(argument) => Op::Other,
            op => op,
        };
        extended = if op == Op::ExtendedArg { argument << 8 } else { 0 };
        let len = 1 + version.caches(opcode);
        let next = at + u32::from(len);
        let forward = |more: u32| next.saturating_add(argument).saturating_add(more);
        let target = match op {
            Op::PopJump | Op::JumpForward | Op::Send => forward(0),
            // It skips END_FOR, and in 3.13 its POP_TOP. In 3.14 POP_ITER is executed.
            Op::ForIter => forward(if version == Version::V3_13 { 2 } else { 1 }),
            Op::JumpBackward | Op::JumpBackwardNoInterrupt => next.wrapping_sub(argument),
            Op::EndAsyncFor if version >= Version::V3_14 => (at + 1).wrapping_sub(argument),
            _ => NO_UNIT,
        };
        is_traceable |= op == Op::Resume;
        units.push(Unit {
            op,
            len,
            is_start: true,
            has_line_event: false,
            has_instruction_event: is_traceable && !matches!(op, Op::Resume | Op::EndFor),
            line: lines.by_unit().get(at as usize).copied().unwrap_or(NO_LINE),
            start: at,
            operand: argument,
            target: if target < end { target } else { NO_UNIT },
        });
        units.extend((at + 1..next.min(end)).map(|_| inside(at)));
    }
    units
}

/// Marks the instructions whose line may be reported, as `initialize_lines` of CPython.
fn mark(version: Version, units: &mut [Unit], exception_table: &[u8]) {
    let Some(first) = units.iter().position(|unit| unit.op == Op::Resume) else { return };
    let is_silent = |op: Op| {
        matches!(op, Op::EndAsyncFor | Op::EndFor | Op::EndSend | Op::Resume | Op::PopIter)
    };
    let mut current = NO_LINE;
    for unit in units[first..].iter_mut().filter(|unit| unit.is_start && !is_silent(unit.op)) {
        unit.has_line_event = unit.line != current && unit.line != NO_LINE;
        current = unit.line;
    }
    for at in first..units.len() {
        let Unit { op, is_start, target, len, .. } = units[at];
        let target = match op {
            _ if !is_start || target == NO_UNIT => continue,
            // The instruction that CPython takes as the target, even if execution skips it.
            Op::ForIter if version == Version::V3_13 => target - 1,
            Op::ForIter => target,
            Op::Send => target + 1,
            Op::PopJump | Op::JumpForward => target,
            Op::JumpBackward | Op::JumpBackwardNoInterrupt => target,
            _ => continue,
        };
        debug_assert!(len > 0);
        if let Some(unit) = units.get_mut(target as usize)
            && unit.line != NO_LINE
            && unit.op != Op::PopIter
        {
            unit.has_line_event = true;
        }
    }
    for (handler, _) in handlers(exception_table) {
        if let Some(unit) = units.get_mut(handler as usize)
            && unit.line != NO_LINE
            && unit.op != Op::EndAsyncFor
        {
            unit.has_line_event = true;
        }
    }
}

/// The exception handlers of a table: the code unit where each begins, and the depth of the stack
/// there. An entry has start, length, handler, and depth, whose lowest bit is whether the place
/// where the exception was raised is pushed. Numbers have six bits per byte, highest first.
pub fn handlers(table: &[u8]) -> impl Iterator<Item = (u32, u32)> {
    let mut bytes = table.iter();
    let mut number = move || {
        let mut byte = *bytes.next()?;
        let mut value = u32::from(byte & 63);
        while byte & 64 != 0 {
            byte = *bytes.next()?;
            value = value << 6 | u32::from(byte & 63);
        }
        Some(value)
    };
    std::iter::from_fn(move || {
        let (_start, _length, handler, depth) = (number()?, number()?, number()?, number()?);
        // The exception is on top, and below it the place where it was raised, if it is pushed.
        Some((handler, (depth >> 1) + (depth & 1) + 1))
    })
}

/// Whether there is a loop without an event that is always recorded.
fn has_silent_cycle(version: Version, units: &[Unit]) -> bool {
    let successors = |at: u32| silent_successors(version, &units[at as usize], false);
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; units.len()];
    // The path of a depth-first search, with the successors still to be visited.
    let mut path: Vec<(u32, [u32; 2])> = Vec::new();
    for start in 0..units.len() as u32 {
        if !units[start as usize].is_start || marks[start as usize] != Mark::New {
            continue;
        }
        marks[start as usize] = Mark::Open;
        path.push((start, successors(start)));
        while let Some((at, left)) = path.last_mut() {
            let Some(next) = left.iter_mut().find(|next| **next != NO_UNIT) else {
                marks[*at as usize] = Mark::Done;
                path.pop();
                continue;
            };
            let to = std::mem::replace(next, NO_UNIT);
            match marks.get(to as usize) {
                Some(Mark::Open) => return true,
                Some(Mark::New) => {
                    marks[to as usize] = Mark::Open;
                    path.push((to, successors(to)));
                }
                _ => {}
            }
        }
    }
    false
}
