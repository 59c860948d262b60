//! The depth of a frame's stack before each instruction: where the instruction's operands are.
//!
//! 3.12 and 3.13 do not report the depth at an INSTRUCTION event. It follows from the bytecode
//! alone, with the stack effect that the interpreter's own compiler computes for each instruction.

use dashcam_schema::bytecode::code::{NO_UNIT, Unit, handlers};
use dashcam_schema::bytecode::opcodes::{Op, Version};
use std::ffi::c_int;

unsafe extern "C" {
    fn PyCompile_OpcodeStackEffectWithJump(opcode: c_int, operand: c_int, jump: c_int) -> c_int;
}

/// The depth is not known.
pub(in crate::shim) const NO_DEPTH: u16 = u16::MAX;
/// A stack deeper than this is treated as a mistake.
const DEPTH_MAX: i32 = 1 << 14;

/// Returns the stack depth before the instruction at each code unit, [`NO_DEPTH`] where no
/// instruction begins or where it cannot be reached. The units are of the same code as the
/// bytecode.
pub(in crate::shim) fn depths(
    version: Version,
    bytecode: &[u8],
    exception_table: &[u8],
    units: &[Unit],
) -> Box<[u16]> {
    let bytes = bytecode.as_chunks::<2>().0;
    let mut depths = vec![NO_DEPTH; units.len()];
    let mut queue = vec![(0, 0)];
    queue.extend(handlers(exception_table).map(|(unit, depth)| (unit, depth.cast_signed())));
    while let Some((at, depth)) = queue.pop() {
        let Some(known) = depths.get_mut(at as usize) else { continue };
        if *known != NO_DEPTH || !(0..DEPTH_MAX).contains(&depth) {
            continue;
        }
        *known = depth as u16;
        let unit = &units[at as usize];
        let effect = |jump| {
            // SAFETY: the function looks opcode and operand up in a table of its own; for unknown
            // ones it returns an impossible effect.
            unsafe {
                PyCompile_OpcodeStackEffectWithJump(
                    bytes[at as usize][0].into(),
                    unit.operand as c_int,
                    jump,
                )
            }
        };
        let next = at + u32::from(unit.len);
        let mut go = |to: u32, effect: i32| {
            if to != NO_UNIT
                && let Some(depth) = depth.checked_add(effect)
            {
                queue.push((to, depth));
            }
        };
        match unit.op {
            Op::Return | Op::RaiseVarargs | Op::Reraise => {}
            Op::JumpForward | Op::JumpBackward | Op::JumpBackwardNoInterrupt => go(unit.target, 0),
            Op::PopJump => {
                go(next, effect(0));
                go(unit.target, effect(1));
            }
            Op::ForIter => {
                go(next, 1);
                // The jump leads past END_FOR. 3.14 leaves the iterator to POP_ITER.
                go(unit.target, if version >= Version::V3_14 { 0 } else { -1 });
            }
            // When the generator first resumes, the value sent to it is on the stack. The compiler
            // of 3.12 does not count it.
            _ if version.makes_generator(bytes[at as usize][0]) => go(next, 1),
            Op::Send => {
                go(next, 0);
                go(unit.target, 0);
            }
            _ => go(next, effect(0)),
        }
    }
    depths.into()
}
