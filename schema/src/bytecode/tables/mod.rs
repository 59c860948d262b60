//! What CPython publishes of its instruction sets, a file for each version. `tests/tools/opcodes.py` makes
//! them; a test has it compare them with the running interpreters.

mod names;
mod v3_12;
mod v3_13;
mod v3_14;
mod v3_15;

pub use names::Name;

/// One version's instruction set.
#[derive(Debug)]
pub struct Published {
    /// The first two bytes of its bytecode files.
    pub magic: u16,
    /// Operands of `BINARY_OP` that are in-place operators: the first, and the one after the last.
    pub in_place: (u32, u32),
    /// The operand of `BINARY_OP` that is a subscript.
    pub subscript: Option<u32>,
    /// What stands in memory for a RESUME: itself, specialised or instrumented.
    pub resuming: &'static [u8],
    /// The same of a YIELD_VALUE.
    pub yielding: &'static [u8],
    /// What stands in memory in the place of any instruction, which CPython keeps elsewhere.
    pub hiding: &'static [u8],
    /// Number, name and code units of inline cache of each instruction.
    pub instructions: &'static [(u8, Name, u8)],
}

pub use v3_12::TABLE as V3_12;
pub use v3_13::TABLE as V3_13;
pub use v3_14::TABLE as V3_14;
pub use v3_15::TABLE as V3_15;
