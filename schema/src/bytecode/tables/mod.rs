//! The instruction sets that CPython publishes, one file per version. `tests/tools/opcodes.py`
//! makes the files, and a test uses it to compare them with the running interpreters.

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
    /// The operands of `BINARY_OP` that are in-place operators: the first, and the one after the
    /// last.
    pub in_place: (u32, u32),
    /// The operand of `BINARY_OP` that is a subscript.
    pub subscript: Option<u32>,
    /// The opcodes that a RESUME may have in memory: its own, specialised or instrumented.
    pub resuming: &'static [u8],
    /// The opcodes that a YIELD_VALUE may have in memory.
    pub yielding: &'static [u8],
    /// The opcodes that may replace any instruction in memory; CPython keeps the instruction
    /// elsewhere.
    pub hiding: &'static [u8],
    /// For each instruction: its number, its name, and its code units of inline cache.
    pub instructions: &'static [(u8, Name, u8)],
}

pub use v3_12::TABLE as V3_12;
pub use v3_13::TABLE as V3_13;
pub use v3_14::TABLE as V3_14;
pub use v3_15::TABLE as V3_15;
