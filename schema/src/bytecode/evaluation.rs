//! The depth of the evaluation stack at each instruction of a code object. The compiler ensures
//! that the depth is the same on all paths to the instruction.

use super::code::{Unit, handlers, plain_instructions};
use super::effects::{Does, Effect};
use super::opcodes::{Op, Version};

/// A depth that no compiled code reaches.
const DEPTH_MAX: u32 = 1 << 16;
const UNKNOWN: u32 = u32::MAX;

/// An instruction and its use of the evaluation stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    pub does: Does,
    pub operand: u32,
    /// The number of values on the stack before it is executed; `None` if it is never executed.
    pub depth: Option<u32>,
    /// Whether an exception handler begins here, with the exception on top.
    pub is_handler: bool,
}

/// The instructions of one code object.
#[derive(Debug, Clone)]
pub struct Evaluation {
    pub version: Version,
    units: Box<[Entry]>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    does: Does,
    operand: u32,
    depth: u32,
    is_start: bool,
    is_handler: bool,
}

impl Evaluation {
    /// Reads a code object. Invalid bytes give meaningless instructions, but no panic.
    pub fn new(version: Version, bytecode: &[u8], exception_table: &[u8]) -> Evaluation {
        let units = plain_instructions(version, bytecode);
        let mut entries = Vec::with_capacity(units.len());
        for (unit, [opcode, _]) in units.iter().zip(bytecode.as_chunks::<2>().0) {
            let mut entry = Entry {
                does: Does::Nothing,
                operand: unit.operand,
                depth: UNKNOWN,
                is_start: unit.is_start,
                is_handler: false,
            };
            if unit.is_start {
                entry.does = version.does(*opcode);
            }
            entries.push(entry);
        }
        let mut evaluation = Evaluation { version, units: entries.into() };
        evaluation.flow(&units, exception_table);
        evaluation
    }

    /// The instruction that begins at a unit; `None` if none begins there.
    pub fn instruction(&self, unit: u32) -> Option<Instruction> {
        let entry = self.units.get(unit as usize).filter(|entry| entry.is_start)?;
        Some(Instruction {
            does: entry.does,
            operand: entry.operand,
            depth: Some(entry.depth).filter(|depth| *depth != UNKNOWN),
            is_handler: entry.is_handler,
        })
    }

    /// The numbers of values that the instruction takes and puts.
    pub fn effect(&self, instruction: &Instruction) -> Effect {
        instruction.does.effect(self.version, instruction.operand)
    }

    fn flow(&mut self, units: &[Unit], exception_table: &[u8]) {
        let mut queue = vec![(0, 0)];
        for (handler, depth) in handlers(exception_table) {
            if let Some(entry) = self.units.get_mut(handler as usize) {
                entry.is_handler = true;
                queue.push((handler, depth));
            }
        }
        while let Some((at, depth)) = queue.pop() {
            let Some(entry) = self.units.get_mut(at as usize) else { continue };
            if entry.depth != UNKNOWN || depth > DEPTH_MAX {
                continue;
            }
            entry.depth = depth;
            let Effect { takes, puts } = entry.does.effect(self.version, entry.operand);
            let after = depth.saturating_sub(takes).saturating_add(puts);
            let unit = &units[at as usize];
            for to in unit.successors() {
                // At the end of a loop, POP_ITER takes the iterator from 3.14 on.
                let ends = unit.op == Op::ForIter && to == unit.target;
                let depth = match ends {
                    true if self.version >= Version::V3_14 => depth,
                    true => depth.saturating_sub(1),
                    false => after,
                };
                queue.push((to, depth));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `def f(a):\n    for x in a:\n        g(x)` of 3.13.
    #[test]
    fn depths_of_a_loop() {
        let code = [
            149, 0, // RESUME
            85, 0, 19, 0, // LOAD_FAST a, GET_ITER
            72, 14, 0, 0, // FOR_ITER
            110, 1, // STORE_FAST x
            91, 1, 0, 0, 0, 0, 0, 0, 0, 0, // LOAD_GLOBAL g
            85, 1, // LOAD_FAST x
            53, 1, 0, 0, 0, 0, 0, 0, // CALL
            32, 0, // POP_TOP
            77, 16, 0, 0, // JUMP_BACKWARD
            11, 0, 32, 0, // END_FOR, POP_TOP
            103, 0, // RETURN_CONST
        ];
        let code = Evaluation::new(Version::V3_13, &code, &[]);
        let depth = |unit| code.instruction(unit).and_then(|instruction| instruction.depth);
        assert_eq!([0, 1, 2, 3, 5].map(depth), [0, 0, 1, 1, 2].map(Some));
        assert_eq!([6, 11, 12, 16, 17].map(depth), [1, 3, 4, 2, 1].map(Some));
        assert_eq!(depth(4), None, "a cache");
    }

    #[test]
    fn garbage_makes_no_panic() {
        for seed in 0..2000u32 {
            let bytes: Vec<u8> =
                (0..40).map(|i| (seed.wrapping_mul(2_654_435_761 + i) >> 13) as u8).collect();
            for version in Version::ALL {
                let code = Evaluation::new(version, &bytes, &bytes[..9]);
                assert!((0..25).filter_map(|unit| code.instruction(unit)).count() <= 20);
            }
        }
    }
}
