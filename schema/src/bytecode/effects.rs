//! What an instruction takes from the evaluation stack and puts there.
//!
//! A test compares the numbers with `dis.stack_effect` of the running interpreters.

use super::opcodes::Version;

/// What an instruction does with the evaluation stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Does {
    Nothing,
    /// Says that the last arguments of the CALL that follows have names.
    KwNames,
    /// Takes so many.
    Take(u8),
    EndFor,
    Raise,
    Return,
    ReturnConst,
    /// Takes what is yielded and puts what is sent.
    Yield,
    Const,
    Null,
    Generator,
    /// Puts the local the operand names.
    Fast,
    /// Two locals, the one in the operand's high four bits first.
    FastPair,
    /// The local becomes unbound.
    FastAndClear,
    /// Stores the local in the operand's high four bits and puts the other.
    StoreLoadFast,
    /// What is in the cell of a slot.
    Deref,
    Name,
    Global,
    DictOrGlobal,
    DictOrDeref,
    Locals,
    /// Puts once more what lies as deep as the operand says; 1 is the top.
    Copy,
    /// Exchanges the top with what lies as deep as the operand says.
    Swap,
    Attribute,
    SuperAttribute,
    /// `with`: puts the method that leaves, and what entering gives.
    Enter,
    Special,
    Subscript,
    Binary,
    /// Takes so many and puts what follows from them.
    Compute(u8),
    Format,
    Slice,
    Interpolation,
    Text,
    /// Takes something and puts what goes over it: an iterator or awaitable, perhaps itself.
    Iterate,
    /// Puts the next item of the iterator on top, or ends the loop.
    Next,
    AsyncNext,
    Send,
    EndSend,
    /// Takes a sequence and puts its items, the first on top.
    Unpack,
    UnpackRest,
    Tuple,
    List,
    Set,
    /// Of keys and values, in turns.
    Map,
    ConstKeyMap,
    Call,
    CallKw,
    CallEx,
    Intrinsic,
    Intrinsic2,
    Import,
    ImportFrom,
    Function,
    FunctionPart,
    /// Puts the exception that was handled before below the one on top.
    Handle,
    /// Takes and puts so many, in ways that are of no interest.
    Match(u8, u8),
}

/// How many values an instruction takes from the top of the stack, and how many it puts there.
/// What it only looks at is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect {
    pub takes: u32,
    pub puts: u32,
}

impl Does {
    /// What it takes and puts with this operand, if it does not jump.
    pub fn effect(self, version: Version, operand: u32) -> Effect {
        use Does::*;
        let operand = operand.min(u32::MAX / 4);
        let bit = |bit: u32| operand >> bit & 1;
        let is_old = version == Version::V3_12;
        let (takes, puts) = match self {
            Nothing | KwNames | Swap => (0, 0),
            Take(takes) => (takes.into(), 0),
            EndFor => (if is_old { 2 } else { 1 }, 0),
            Raise => (operand, 0),
            Return => (1, u32::from(version >= Version::V3_14)),
            ReturnConst => (0, 0),
            Generator => (0, u32::from(!is_old)),
            Const | Null | Fast | FastAndClear | Deref | Name | Locals | Copy => (0, 1),
            Next | AsyncNext | ImportFrom => (0, 1),
            FastPair => (0, 2),
            Global => (0, 1 + bit(0)),
            Yield | StoreLoadFast | DictOrGlobal | DictOrDeref => (1, 1),
            Iterate | Send | Intrinsic => (1, 1),
            Attribute => (1, 1 + bit(0)),
            SuperAttribute => (3, 1 + bit(0)),
            Enter | Special | Handle => (1, 2),
            Subscript | Binary | EndSend | Intrinsic2 | Import | FunctionPart => (2, 1),
            Compute(takes) => (takes.into(), 1),
            Format => (1 + bit(2), 1),
            Slice if version >= Version::V3_14 => (operand, 1),
            Slice => (if operand == 3 { 3 } else { 2 }, 1),
            Interpolation => (2 + bit(0), 1),
            Text | Tuple | List | Set => (operand, 1),
            Unpack => (1, operand),
            UnpackRest => (1, (operand & 255) + 1 + (operand >> 8)),
            Map => (2 * operand, 1),
            ConstKeyMap => (operand + 1, 1),
            Call => (operand + 2, 1),
            CallKw => (operand + 3, 1),
            CallEx if version >= Version::V3_14 => (4, 1),
            CallEx => (3 + bit(0), 1),
            Function if is_old => (1 + (operand & 15).count_ones(), 1),
            Function => (1, 1),
            Match(takes, puts) => (takes.into(), puts.into()),
        };
        Effect { takes, puts }
    }
}

use Does::*;

const fn table(groups: &[(Does, &[u8])]) -> [Does; 256] {
    let mut table = [Nothing; 256];
    let mut i = 0;
    while i < groups.len() {
        let (does, opcodes) = groups[i];
        let mut j = 0;
        while j < opcodes.len() {
            table[opcodes[j] as usize] = does;
            j += 1;
        }
        i += 1;
    }
    table
}

static V3_12: [Does; 256] = table(&[
    (Nothing, &[0, 9, 17, 85, 91, 98, 110, 126, 134, 135, 139, 140, 144, 149, 151]),
    (KwNames, &[172]),
    (
        Take(1),
        &[1, 3, 89, 90, 96, 97, 114, 115, 119, 125, 128, 129, 138, 145, 146, 162, 163, 164, 165],
    ),
    (Take(2), &[54, 61, 95, 147]),
    (Take(3), &[60]),
    (Take(4), &[27]),
    (EndFor, &[4]),
    (Raise, &[130]),
    (Return, &[83]),
    (ReturnConst, &[121]),
    (Yield, &[150]),
    (Const, &[71, 74, 100]),
    (Null, &[2]),
    (Generator, &[75]),
    (Fast, &[124, 127, 136]),
    (FastAndClear, &[143]),
    (Deref, &[137]),
    (Name, &[101]),
    (Global, &[116]),
    (DictOrGlobal, &[175]),
    (DictOrDeref, &[176]),
    (Locals, &[87]),
    (Copy, &[120]),
    (Swap, &[99]),
    (Attribute, &[106]),
    (SuperAttribute, &[141]),
    (Enter, &[52, 53]),
    (Subscript, &[25]),
    (Binary, &[122]),
    (Compute(1), &[11, 12, 15]),
    (Compute(2), &[107, 117, 118]),
    (Compute(3), &[26]),
    (Format, &[155]),
    (Slice, &[133]),
    (Text, &[157]),
    (Iterate, &[50, 68, 69, 131]),
    (Next, &[93]),
    (AsyncNext, &[51]),
    (Send, &[123]),
    (EndSend, &[5]),
    (Unpack, &[92]),
    (UnpackRest, &[94]),
    (Tuple, &[102]),
    (List, &[103]),
    (Set, &[104]),
    (Map, &[105]),
    (ConstKeyMap, &[156]),
    (Call, &[171]),
    (CallEx, &[142]),
    (Intrinsic, &[173]),
    (Intrinsic2, &[174]),
    (Import, &[108]),
    (ImportFrom, &[109]),
    (Function, &[132]),
    (Handle, &[35]),
    (Match(1, 1), &[36]),
    (Match(2, 2), &[37]),
    (Match(0, 1), &[30, 31, 32, 33, 49]),
    (Match(3, 1), &[152]),
    (Match(3, 2), &[55]),
]);

static V3_13: [Does; 256] = table(&[
    (Nothing, &[0, 17, 30, 37, 62, 64, 65, 66, 67, 70, 71, 77, 78, 79, 94, 149]),
    (
        Take(1),
        &[13, 22, 31, 32, 63, 68, 69, 80, 81, 97, 98, 99, 100, 102, 105, 107, 109, 110, 113, 114],
    ),
    (Take(2), &[9, 10, 95, 108, 112]),
    (Take(3), &[39]),
    (Take(4), &[38]),
    (EndFor, &[11]),
    (Raise, &[101]),
    (Return, &[36]),
    (ReturnConst, &[103]),
    (Yield, &[118]),
    (Const, &[23, 24, 83]),
    (Null, &[34]),
    (Generator, &[35]),
    (Fast, &[85, 87]),
    (FastPair, &[88]),
    (FastAndClear, &[86]),
    (StoreLoadFast, &[111]),
    (Deref, &[84]),
    (Name, &[92]),
    (Global, &[91]),
    (DictOrGlobal, &[90]),
    (DictOrDeref, &[89]),
    (Locals, &[25]),
    (Copy, &[61]),
    (Swap, &[115]),
    (Attribute, &[82]),
    (SuperAttribute, &[93]),
    (Enter, &[1, 2]),
    (Subscript, &[5]),
    (Binary, &[45]),
    (Compute(1), &[14, 40, 41, 42, 43, 60]),
    (Compute(2), &[15, 58, 59, 76]),
    (Compute(3), &[4]),
    (Slice, &[50]),
    (Text, &[51]),
    (Iterate, &[16, 19, 21, 73]),
    (Next, &[72]),
    (AsyncNext, &[18]),
    (Send, &[104]),
    (EndSend, &[12]),
    (Unpack, &[117]),
    (UnpackRest, &[116]),
    (Tuple, &[52]),
    (List, &[47]),
    (Set, &[49]),
    (Map, &[48]),
    (ConstKeyMap, &[46]),
    (Call, &[53]),
    (CallKw, &[57]),
    (CallEx, &[54]),
    (Intrinsic, &[55]),
    (Intrinsic2, &[56]),
    (Import, &[75]),
    (ImportFrom, &[74]),
    (Function, &[26]),
    (FunctionPart, &[106]),
    (Handle, &[33]),
    (Match(1, 1), &[7]),
    (Match(2, 2), &[6]),
    (Match(0, 1), &[20, 27, 28, 29, 44]),
    (Match(3, 1), &[96]),
    (Match(3, 2), &[8]),
]);

static V3_14: [Does; 256] = table(&[
    (Nothing, &[0, 17, 27, 28, 36, 60, 62, 63, 64, 65, 69, 75, 76, 77, 97, 128, 255]),
    (
        Take(1),
        &[
            11, 20, 29, 30, 31, 61, 66, 67, 78, 79, 100, 101, 102, 103, 105, 107, 109, 111, 112,
            115, 116,
        ],
    ),
    (Take(2), &[8, 68, 98, 110, 114]),
    (Take(3), &[38]),
    (Take(4), &[37]),
    (EndFor, &[9]),
    (Raise, &[104]),
    (Return, &[35]),
    (Yield, &[120]),
    (Const, &[21, 81, 82, 94]),
    (Null, &[33]),
    (Generator, &[34]),
    (Fast, &[84, 86, 88]),
    (FastPair, &[87, 89]),
    (FastAndClear, &[85]),
    (StoreLoadFast, &[113]),
    (Deref, &[83]),
    (Name, &[93]),
    (Global, &[92]),
    (DictOrGlobal, &[91]),
    (DictOrDeref, &[90]),
    (Locals, &[22]),
    (Copy, &[59]),
    (Swap, &[117]),
    (Attribute, &[80]),
    (SuperAttribute, &[96]),
    (Special, &[95]),
    (Binary, &[44]),
    (Compute(1), &[12, 39, 40, 41, 42, 58]),
    (Compute(2), &[2, 13, 56, 57, 74]),
    (Compute(3), &[1]),
    (Slice, &[49]),
    (Interpolation, &[45]),
    (Text, &[50]),
    (Iterate, &[14, 16, 19, 71]),
    (Next, &[70]),
    (AsyncNext, &[15]),
    (Send, &[106]),
    (EndSend, &[10]),
    (Unpack, &[119]),
    (UnpackRest, &[118]),
    (Tuple, &[51]),
    (List, &[46]),
    (Set, &[48]),
    (Map, &[47]),
    (Call, &[52]),
    (CallKw, &[55]),
    (CallEx, &[4]),
    (Intrinsic, &[53]),
    (Intrinsic2, &[54]),
    (Import, &[73]),
    (ImportFrom, &[72]),
    (Function, &[23]),
    (FunctionPart, &[108]),
    (Handle, &[32]),
    (Match(1, 1), &[6]),
    (Match(2, 2), &[5]),
    (Match(0, 1), &[18, 24, 25, 26, 43]),
    (Match(3, 1), &[99]),
    (Match(3, 2), &[7]),
]);

impl Version {
    /// What an opcode does with the evaluation stack.
    pub fn does(self, opcode: u8) -> Does {
        let table = match self {
            Version::V3_12 => &V3_12,
            Version::V3_13 => &V3_13,
            Version::V3_14 => &V3_14,
        };
        table[usize::from(opcode)]
    }
}
