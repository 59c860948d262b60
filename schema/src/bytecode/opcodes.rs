//! The instruction sets of CPython, with what matters to control flow, monitoring and stores.
//!
//! The instructions of each version, their numbers and caches are generated from the interpreters
//! ([`tables`](super::tables)). The meaning of an instruction follows from its name.

use super::effects::Does;
use super::tables::{self, Name, Published};

/// An instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    V3_12,
    V3_13,
    V3_14,
    V3_15,
}

/// What an instruction does to control flow, or how monitoring treats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    Other,
    Cache,
    Resume,
    ExtendedArg,
    ForIter,
    Send,
    YieldValue,
    /// `POP_JUMP_IF_*`
    PopJump,
    JumpForward,
    JumpBackward,
    JumpBackwardNoInterrupt,
    /// `RETURN_VALUE` and `RETURN_CONST`
    Return,
    RaiseVarargs,
    Reraise,
    Call,
    CallKw,
    CallFunctionEx,
    LoadSuperAttr,
    PopIter,
    EndFor,
    EndSend,
    EndAsyncFor,
    NotTaken,
}

/// What an instruction stores, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreOp {
    /// The instruction stores nothing.
    Nothing,
    Fast,
    /// The local in the operand's high four bits is stored; the other is loaded.
    FastLoadFast,
    /// Both locals in the operand are stored, the one in its high four bits first.
    FastStoreFast,
    /// The local becomes unbound.
    FastAndClear,
    DeleteFast,
    Deref,
    DeleteDeref,
    Name,
    DeleteName,
    Global,
    DeleteGlobal,
    /// `__annotations__` is created if it does not exist.
    SetupAnnotations,
    MakeCell,
    CopyFreeVars,
    Attr,
    DeleteAttr,
    Subscr,
    DeleteSubscr,
    Slice,
    /// The operand is the number of the operation.
    BinaryOp,
    BinarySubscr,
}

impl Op {
    const fn of(name: Name) -> Op {
        match name {
            Name::Cache => Op::Cache,
            Name::Resume => Op::Resume,
            Name::ExtendedArg => Op::ExtendedArg,
            Name::ForIter => Op::ForIter,
            Name::Send => Op::Send,
            Name::YieldValue => Op::YieldValue,
            Name::PopJumpIfFalse
            | Name::PopJumpIfTrue
            | Name::PopJumpIfNone
            | Name::PopJumpIfNotNone => Op::PopJump,
            Name::JumpForward => Op::JumpForward,
            Name::JumpBackward => Op::JumpBackward,
            Name::JumpBackwardNoInterrupt => Op::JumpBackwardNoInterrupt,
            Name::ReturnValue | Name::ReturnConst => Op::Return,
            Name::RaiseVarargs => Op::RaiseVarargs,
            Name::Reraise => Op::Reraise,
            Name::Call => Op::Call,
            Name::CallKw => Op::CallKw,
            Name::CallFunctionEx => Op::CallFunctionEx,
            Name::LoadSuperAttr => Op::LoadSuperAttr,
            Name::PopIter => Op::PopIter,
            Name::EndFor => Op::EndFor,
            Name::EndSend => Op::EndSend,
            Name::EndAsyncFor => Op::EndAsyncFor,
            Name::NotTaken => Op::NotTaken,
            _ => Op::Other,
        }
    }
}

impl StoreOp {
    const fn of(name: Name) -> StoreOp {
        match name {
            Name::StoreFast => StoreOp::Fast,
            Name::StoreFastLoadFast => StoreOp::FastLoadFast,
            Name::StoreFastStoreFast => StoreOp::FastStoreFast,
            Name::LoadFastAndClear => StoreOp::FastAndClear,
            Name::DeleteFast => StoreOp::DeleteFast,
            Name::StoreDeref => StoreOp::Deref,
            Name::DeleteDeref => StoreOp::DeleteDeref,
            Name::StoreName => StoreOp::Name,
            Name::DeleteName => StoreOp::DeleteName,
            Name::StoreGlobal => StoreOp::Global,
            Name::DeleteGlobal => StoreOp::DeleteGlobal,
            Name::SetupAnnotations => StoreOp::SetupAnnotations,
            Name::MakeCell => StoreOp::MakeCell,
            Name::CopyFreeVars => StoreOp::CopyFreeVars,
            Name::StoreAttr => StoreOp::Attr,
            Name::DeleteAttr => StoreOp::DeleteAttr,
            Name::StoreSubscr => StoreOp::Subscr,
            Name::DeleteSubscr => StoreOp::DeleteSubscr,
            Name::StoreSlice => StoreOp::Slice,
            Name::BinaryOp => StoreOp::BinaryOp,
            Name::BinarySubscr => StoreOp::BinarySubscr,
            _ => StoreOp::Nothing,
        }
    }
}

/// The properties of an instruction.
#[derive(Debug, Clone, Copy)]
struct Entry {
    op: Op,
    store: StoreOp,
    does: Does,
    caches: u8,
}

/// A version's instruction set.
struct Set {
    published: Published,
    by_number: [Entry; 256],
}

impl Set {
    const fn new(published: Published) -> Set {
        let unknown =
            Entry { op: Op::Other, store: StoreOp::Nothing, does: Does::Nothing, caches: 0 };
        let mut by_number = [unknown; 256];
        let mut i = 0;
        while i < published.instructions.len() {
            let (number, name, caches) = published.instructions[i];
            by_number[number as usize] =
                Entry { op: Op::of(name), store: StoreOp::of(name), does: Does::of(name), caches };
            i += 1;
        }
        Set { published, by_number }
    }
}

static V3_12: Set = Set::new(tables::V3_12);
static V3_13: Set = Set::new(tables::V3_13);
static V3_14: Set = Set::new(tables::V3_14);
static V3_15: Set = Set::new(tables::V3_15);

impl Version {
    /// All versions that there are rules for.
    pub const ALL: [Version; 4] = [Version::V3_12, Version::V3_13, Version::V3_14, Version::V3_15];

    fn set(self) -> &'static Set {
        match self {
            Version::V3_12 => &V3_12,
            Version::V3_13 => &V3_13,
            Version::V3_14 => &V3_14,
            Version::V3_15 => &V3_15,
        }
    }

    /// The instruction set of bytecode files with this magic number (their first two bytes); `None`
    /// if there are no rules for it.
    pub fn from_magic(magic: u16) -> Option<Version> {
        Version::ALL.into_iter().find(|version| version.set().published.magic == magic)
    }

    /// Whether an opcode makes a generator from the running frame.
    pub fn makes_generator(self, opcode: u8) -> bool {
        matches!(self.set().by_number[usize::from(opcode)].does, Does::Generator)
    }

    /// Whether an instruction makes a tuple from the list of arguments of a call with `*`.
    pub fn makes_arguments(self, [opcode, operand]: [u8; 2]) -> bool {
        const LIST_TO_TUPLE: u8 = 6;
        let does = &self.set().by_number[usize::from(opcode)].does;
        matches!(does, Does::Intrinsic) && operand == LIST_TO_TUPLE
    }

    /// Whether an opcode pushes NULL instead of an object.
    pub fn pushes_null(self, opcode: u8) -> bool {
        matches!(self.set().by_number[usize::from(opcode)].does, Does::Null)
    }

    /// What an opcode does to control flow.
    pub fn op(self, opcode: u8) -> Op {
        self.set().by_number[usize::from(opcode)].op
    }

    /// The number of code units of inline cache that follow the instruction.
    pub fn caches(self, opcode: u8) -> u8 {
        self.set().by_number[usize::from(opcode)].caches
    }

    /// What an instruction stores.
    pub fn store(self, opcode: u8) -> StoreOp {
        self.set().by_number[usize::from(opcode)].store
    }

    /// What an opcode does with the evaluation stack.
    pub fn does(self, opcode: u8) -> Does {
        self.set().by_number[usize::from(opcode)].does
    }

    /// Whether a RESUME with this operand reports no event. From 3.15 on, a generator expression
    /// has such a RESUME before the one that reports PY_START (`RESUME_AT_GEN_EXPR_START`).
    pub fn is_silent_resume(self, operand: u32) -> bool {
        self >= Version::V3_15 && operand & 7 == 4
    }

    /// The number of places on the evaluation stack that an iterator takes. From 3.15 on, the index
    /// of the next item is on top of it, or NULL if the iterator keeps the index itself.
    pub const fn iterator_places(self) -> u32 {
        match self {
            Version::V3_12 | Version::V3_13 | Version::V3_14 => 1,
            Version::V3_15 => 2,
        }
    }

    /// Whether a `BINARY_OP` with this operand is an in-place operator.
    pub fn is_in_place(self, operand: u32) -> bool {
        let (first, end) = self.set().published.in_place;
        operand >= first && operand < end
    }

    /// Whether a `BINARY_OP` with this operand is a subscript.
    pub fn is_subscript(self, operand: u32) -> bool {
        self.set().published.subscript == Some(operand)
    }

    /// The peculiarities of this version in reporting events, as sentences.
    pub const fn quirks(self) -> &'static [&'static str] {
        match self {
            Version::V3_12 => &[
                "JUMP is reported before signal handlers and garbage collection run",
                "a line with an inlined call may be reported again after the call",
                "CALL is not reported for f(*args) of a Python function",
            ],
            Version::V3_13 => {
                &["RAISE is reported at the last unit of an instruction, or before it after a call"]
            }
            Version::V3_14 | Version::V3_15 => &[
                "RAISE is reported at the last unit of an instruction, or before it after a call",
                "branches not taken and the ends of loops are reported by instructions of their own",
            ],
        }
    }
}
