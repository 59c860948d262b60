//! The instruction sets of CPython, as far as control flow and monitoring go.
//!
//! Numbers and cache sizes are those of `opcode.opmap` and `opcode._inline_cache_entries`, which a
//! test compares with the running interpreters.

/// An instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    V3_12,
    V3_13,
    V3_14,
}

/// What an instruction does to the flow of control, or how monitoring treats it.
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
    /// Not such an instruction.
    Nothing,
    Fast,
    /// The local in the operand's high four bits is stored; the other is loaded.
    FastLoadFast,
    /// Both locals in the operand, the one in its high four bits first.
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
    /// `__annotations__` is made if it is not there.
    SetupAnnotations,
    MakeCell,
    CopyFreeVars,
    Attr,
    DeleteAttr,
    Subscr,
    DeleteSubscr,
    Slice,
    /// Which operation, the operand says.
    BinaryOp,
    BinarySubscr,
}

use Op::*;

type Table = ([Op; 256], [u8; 256]);

const fn table(ops: &[(u8, Op)], caches: &[(u8, &[u8])]) -> Table {
    let mut table = ([Other; 256], [0; 256]);
    let mut i = 0;
    while i < ops.len() {
        table.0[ops[i].0 as usize] = ops[i].1;
        i += 1;
    }
    i = 0;
    while i < caches.len() {
        let (size, with) = caches[i];
        let mut j = 0;
        while j < with.len() {
            table.1[with[j] as usize] = size;
            j += 1;
        }
        i += 1;
    }
    table
}

static V3_12: Table = table(
    &[
        (0, Cache),
        (151, Resume),
        (144, ExtendedArg),
        (93, ForIter),
        (123, Send),
        (150, YieldValue),
        (114, PopJump),
        (115, PopJump),
        (128, PopJump),
        (129, PopJump),
        (110, JumpForward),
        (140, JumpBackward),
        (134, JumpBackwardNoInterrupt),
        (83, Return),
        (121, Return),
        (130, RaiseVarargs),
        (119, Reraise),
        (171, Call),
        (142, CallFunctionEx),
        (141, LoadSuperAttr),
        (4, EndFor),
        (5, EndSend),
        (54, EndAsyncFor),
    ],
    &[(1, &[25, 60, 92, 93, 107, 122, 123, 141]), (3, &[171]), (4, &[95, 116]), (9, &[106])],
);

static V3_13: Table = table(
    &[
        (0, Cache),
        (149, Resume),
        (71, ExtendedArg),
        (72, ForIter),
        (104, Send),
        (118, YieldValue),
        (97, PopJump),
        (98, PopJump),
        (99, PopJump),
        (100, PopJump),
        (79, JumpForward),
        (77, JumpBackward),
        (78, JumpBackwardNoInterrupt),
        (36, Return),
        (103, Return),
        (101, RaiseVarargs),
        (102, Reraise),
        (53, Call),
        (57, CallKw),
        (54, CallFunctionEx),
        (93, LoadSuperAttr),
        (11, EndFor),
        (12, EndSend),
        (10, EndAsyncFor),
    ],
    &[
        (1, &[5, 39, 45, 58, 59, 72, 77, 93, 97, 98, 99, 100, 104, 117]),
        (3, &[40, 53]),
        (4, &[91, 108]),
        (9, &[82]),
    ],
);

static V3_14: Table = table(
    &[
        (0, Cache),
        (128, Resume),
        (69, ExtendedArg),
        (70, ForIter),
        (106, Send),
        (120, YieldValue),
        (100, PopJump),
        (101, PopJump),
        (102, PopJump),
        (103, PopJump),
        (77, JumpForward),
        (75, JumpBackward),
        (76, JumpBackwardNoInterrupt),
        (35, Return),
        (104, RaiseVarargs),
        (105, Reraise),
        (52, Call),
        (55, CallKw),
        (4, CallFunctionEx),
        (96, LoadSuperAttr),
        (30, PopIter),
        (9, EndFor),
        (10, EndSend),
        (68, EndAsyncFor),
        (28, NotTaken),
    ],
    &[
        (1, &[38, 56, 57, 70, 75, 96, 100, 101, 102, 103, 106, 119]),
        (3, &[39, 52, 55]),
        (4, &[92, 110]),
        (5, &[44]),
        (9, &[80]),
    ],
);

const fn store_table(ops: &[(u8, StoreOp)]) -> [StoreOp; 256] {
    let mut table = [StoreOp::Nothing; 256];
    let mut i = 0;
    while i < ops.len() {
        table[ops[i].0 as usize] = ops[i].1;
        i += 1;
    }
    table
}

static STORES_3_12: [StoreOp; 256] = store_table(&[
    (125, StoreOp::Fast),
    (143, StoreOp::FastAndClear),
    (126, StoreOp::DeleteFast),
    (138, StoreOp::Deref),
    (139, StoreOp::DeleteDeref),
    (90, StoreOp::Name),
    (91, StoreOp::DeleteName),
    (97, StoreOp::Global),
    (98, StoreOp::DeleteGlobal),
    (85, StoreOp::SetupAnnotations),
    (135, StoreOp::MakeCell),
    (149, StoreOp::CopyFreeVars),
    (95, StoreOp::Attr),
    (96, StoreOp::DeleteAttr),
    (60, StoreOp::Subscr),
    (61, StoreOp::DeleteSubscr),
    (27, StoreOp::Slice),
    (122, StoreOp::BinaryOp),
    (25, StoreOp::BinarySubscr),
]);

static STORES_3_13: [StoreOp; 256] = store_table(&[
    (110, StoreOp::Fast),
    (111, StoreOp::FastLoadFast),
    (112, StoreOp::FastStoreFast),
    (86, StoreOp::FastAndClear),
    (65, StoreOp::DeleteFast),
    (109, StoreOp::Deref),
    (64, StoreOp::DeleteDeref),
    (114, StoreOp::Name),
    (67, StoreOp::DeleteName),
    (113, StoreOp::Global),
    (66, StoreOp::DeleteGlobal),
    (37, StoreOp::SetupAnnotations),
    (94, StoreOp::MakeCell),
    (62, StoreOp::CopyFreeVars),
    (108, StoreOp::Attr),
    (63, StoreOp::DeleteAttr),
    (39, StoreOp::Subscr),
    (9, StoreOp::DeleteSubscr),
    (38, StoreOp::Slice),
    (45, StoreOp::BinaryOp),
    (5, StoreOp::BinarySubscr),
]);

static STORES_3_14: [StoreOp; 256] = store_table(&[
    (112, StoreOp::Fast),
    (113, StoreOp::FastLoadFast),
    (114, StoreOp::FastStoreFast),
    (85, StoreOp::FastAndClear),
    (63, StoreOp::DeleteFast),
    (111, StoreOp::Deref),
    (62, StoreOp::DeleteDeref),
    (116, StoreOp::Name),
    (65, StoreOp::DeleteName),
    (115, StoreOp::Global),
    (64, StoreOp::DeleteGlobal),
    (36, StoreOp::SetupAnnotations),
    (97, StoreOp::MakeCell),
    (60, StoreOp::CopyFreeVars),
    (110, StoreOp::Attr),
    (61, StoreOp::DeleteAttr),
    (38, StoreOp::Subscr),
    (8, StoreOp::DeleteSubscr),
    (37, StoreOp::Slice),
    (44, StoreOp::BinaryOp),
]);

/// Operands of `BINARY_OP` from here on are in-place operators: the same in all three versions.
const FIRST_IN_PLACE: u32 = 13;
/// In 3.14, the operand of `BINARY_OP` that is a subscript.
const SUBSCRIPT: u32 = 26;

impl Version {
    /// What an instruction stores.
    pub fn store(self, opcode: u8) -> StoreOp {
        let table = match self {
            Version::V3_12 => &STORES_3_12,
            Version::V3_13 => &STORES_3_13,
            Version::V3_14 => &STORES_3_14,
        };
        table[usize::from(opcode)]
    }

    /// Whether a `BINARY_OP` with this operand is an in-place operator.
    pub const fn is_in_place(self, operand: u32) -> bool {
        operand >= FIRST_IN_PLACE && operand < SUBSCRIPT
    }

    /// Whether a `BINARY_OP` with this operand is a subscript.
    pub const fn is_subscript(self, operand: u32) -> bool {
        matches!(self, Version::V3_14) && operand == SUBSCRIPT
    }

    /// The instruction set of bytecode files with this magic number (their first two bytes);
    /// `None` if its rules are not known here.
    pub const fn from_magic(magic: u16) -> Option<Version> {
        match magic {
            3531 => Some(Version::V3_12),
            3571 => Some(Version::V3_13),
            3627 => Some(Version::V3_14),
            _ => None,
        }
    }

    /// Where this version reports events in a way of its own, as sentences.
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
            Version::V3_14 => &[
                "RAISE is reported at the last unit of an instruction, or before it after a call",
                "branches not taken and the ends of loops are reported by instructions of their own",
            ],
        }
    }

    fn table(self) -> &'static Table {
        match self {
            Version::V3_12 => &V3_12,
            Version::V3_13 => &V3_13,
            Version::V3_14 => &V3_14,
        }
    }

    /// What an opcode does.
    pub fn op(self, opcode: u8) -> Op {
        self.table().0[usize::from(opcode)]
    }

    /// Code units of inline cache that follow the instruction.
    pub fn caches(self, opcode: u8) -> u8 {
        self.table().1[usize::from(opcode)]
    }
}
