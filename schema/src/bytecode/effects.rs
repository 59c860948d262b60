//! The values that instructions pop from the evaluation stack and push onto it.
//!
//! A test compares the numbers with `dis.stack_effect` of the running interpreters.

use super::opcodes::Version;
use super::tables::Name;

/// What an instruction does with the evaluation stack. In the comments, to *take* a value is to pop
/// it, and to *put* one is to push it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Does {
    Nothing,
    /// Names the last arguments of the CALL that follows.
    KwNames,
    /// Takes this many values.
    Take(u8),
    EndFor,
    Raise,
    Return,
    ReturnConst,
    /// Takes the value that is yielded and puts the value that is sent.
    Yield,
    Const,
    Null,
    Generator,
    /// Puts the local of the operand.
    Fast,
    /// Puts two locals, the one in the operand's high four bits first.
    FastPair,
    /// Puts a local, which becomes unbound.
    FastAndClear,
    /// Stores the local in the operand's high four bits and puts the other local.
    StoreLoadFast,
    /// Puts the content of the cell in a slot.
    Deref,
    Name,
    Global,
    DictOrGlobal,
    DictOrDeref,
    Locals,
    /// Puts a copy of the value at the depth in the operand; 1 is the top.
    Copy,
    /// Exchanges the top with the value at the depth in the operand.
    Swap,
    Attribute,
    SuperAttribute,
    /// `with`: takes the context manager, puts its exit method and the result of entering it.
    Enter,
    Special,
    Subscript,
    Binary,
    /// Takes this many values and puts one that is computed from them.
    Compute(u8),
    Format,
    Slice,
    Interpolation,
    Text,
    /// `GET_ITER`: takes an object and puts its iterator, which may be the object itself. From 3.15
    /// on it also puts the index of the next item on top, or NULL if the iterator keeps the index
    /// itself.
    Iterate,
    /// Takes an object and puts its iterator or awaitable, which may be the object itself.
    Await,
    /// Takes the values that `GET_ITER` put.
    PopIter,
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
    /// Takes keys and values by turns, and puts a dict.
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
    /// Puts the exception that was being handled before below the one on top.
    Handle,
    CleanupThrow,
    /// Takes and puts this many values; which ones does not matter here.
    Match(u8, u8),
}

/// The numbers of values that an instruction takes from the top of the stack and puts there. Values
/// that it only reads are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect {
    pub takes: u32,
    pub puts: u32,
}

impl Does {
    /// The effect with this operand, if the instruction does not jump.
    pub fn effect(self, version: Version, operand: u32) -> Effect {
        use Does::*;
        let operand = operand.min(u32::MAX / 4);
        let bit = |bit: u32| operand >> bit & 1;
        let is_old = version == Version::V3_12;
        let iterator = version.iterator_places();
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
            Iterate => (1, iterator),
            PopIter => (iterator, 0),
            Await | Send | Intrinsic => (1, 1),
            Attribute => (1, 1 + bit(0)),
            SuperAttribute => (3, 1 + bit(0)),
            Enter | Special | Handle => (1, 2),
            EndSend => (iterator + 1, 1),
            CleanupThrow => (iterator + 2, iterator + 1),
            Subscript | Binary | Intrinsic2 | Import | FunctionPart => (2, 1),
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

    /// What the instruction with this name does.
    pub(super) const fn of(name: Name) -> Does {
        match name {
            Name::Cache
            | Name::Nop
            | Name::Reserved
            | Name::Resume
            | Name::ExtendedArg
            | Name::JumpForward
            | Name::JumpBackward
            | Name::JumpBackwardNoInterrupt
            | Name::MakeCell
            | Name::CopyFreeVars
            | Name::DeleteFast
            | Name::DeleteDeref
            | Name::DeleteName
            | Name::DeleteGlobal
            | Name::SetupAnnotations
            | Name::NotTaken
            | Name::EnterExecutor
            | Name::TraceRecord => Does::Nothing,
            Name::PopTop
            | Name::StoreFast
            | Name::StoreDeref
            | Name::StoreName
            | Name::StoreGlobal
            | Name::DeleteAttr
            | Name::PopExcept
            | Name::PopJumpIfFalse
            | Name::PopJumpIfTrue
            | Name::PopJumpIfNone
            | Name::PopJumpIfNotNone
            | Name::ListAppend
            | Name::ListExtend
            | Name::SetAdd
            | Name::SetUpdate
            | Name::DictMerge
            | Name::DictUpdate
            | Name::Reraise
            | Name::InterpreterExit
            | Name::ExitInitCheck => Does::Take(1),
            Name::StoreFastStoreFast
            | Name::StoreAttr
            | Name::DeleteSubscr
            | Name::MapAdd
            | Name::EndAsyncFor => Does::Take(2),
            Name::StoreSubscr => Does::Take(3),
            Name::StoreSlice => Does::Take(4),
            Name::EndFor => Does::EndFor,
            Name::RaiseVarargs => Does::Raise,
            Name::ReturnValue => Does::Return,
            Name::ReturnConst => Does::ReturnConst,
            Name::YieldValue => Does::Yield,
            Name::LoadConst
            | Name::LoadSmallInt
            | Name::LoadCommonConstant
            | Name::LoadAssertionError
            | Name::LoadBuildClass => Does::Const,
            Name::PushNull => Does::Null,
            Name::ReturnGenerator => Does::Generator,
            Name::LoadFast | Name::LoadFastCheck | Name::LoadFastBorrow | Name::LoadClosure => {
                Does::Fast
            }
            Name::LoadFastLoadFast | Name::LoadFastBorrowLoadFastBorrow => Does::FastPair,
            Name::LoadFastAndClear => Does::FastAndClear,
            Name::StoreFastLoadFast => Does::StoreLoadFast,
            Name::LoadDeref => Does::Deref,
            Name::LoadName => Does::Name,
            Name::LoadGlobal => Does::Global,
            Name::LoadFromDictOrGlobals => Does::DictOrGlobal,
            Name::LoadFromDictOrDeref => Does::DictOrDeref,
            Name::LoadLocals => Does::Locals,
            Name::Copy => Does::Copy,
            Name::Swap => Does::Swap,
            Name::LoadAttr => Does::Attribute,
            Name::LoadSuperAttr => Does::SuperAttribute,
            Name::BeforeWith | Name::BeforeAsyncWith => Does::Enter,
            Name::LoadSpecial => Does::Special,
            Name::BinarySubscr => Does::Subscript,
            Name::BinaryOp => Does::Binary,
            Name::UnaryNegative
            | Name::UnaryNot
            | Name::UnaryInvert
            | Name::ToBool
            | Name::ConvertValue
            | Name::FormatSimple => Does::Compute(1),
            Name::CompareOp
            | Name::IsOp
            | Name::ContainsOp
            | Name::FormatWithSpec
            | Name::BuildTemplate => Does::Compute(2),
            Name::BinarySlice => Does::Compute(3),
            Name::FormatValue => Does::Format,
            Name::BuildSlice => Does::Slice,
            Name::BuildInterpolation => Does::Interpolation,
            Name::BuildString => Does::Text,
            Name::GetYieldFromIter | Name::GetAiter | Name::GetAwaitable => Does::Await,
            Name::GetIter => Does::Iterate,
            Name::PopIter => Does::PopIter,
            Name::ForIter => Does::Next,
            Name::GetAnext => Does::AsyncNext,
            Name::Send => Does::Send,
            Name::EndSend => Does::EndSend,
            Name::UnpackSequence => Does::Unpack,
            Name::UnpackEx => Does::UnpackRest,
            Name::BuildTuple => Does::Tuple,
            Name::BuildList => Does::List,
            Name::BuildSet => Does::Set,
            Name::BuildMap => Does::Map,
            Name::BuildConstKeyMap => Does::ConstKeyMap,
            Name::Call => Does::Call,
            Name::CallKw => Does::CallKw,
            Name::CallFunctionEx => Does::CallEx,
            Name::CallIntrinsic1 => Does::Intrinsic,
            Name::CallIntrinsic2 => Does::Intrinsic2,
            Name::ImportName => Does::Import,
            Name::ImportFrom => Does::ImportFrom,
            Name::MakeFunction => Does::Function,
            Name::SetFunctionAttribute => Does::FunctionPart,
            Name::PushExcInfo => Does::Handle,
            Name::CheckExcMatch => Does::Match(1, 1),
            Name::CheckEgMatch => Does::Match(2, 2),
            Name::WithExceptStart
            | Name::GetLen
            | Name::MatchMapping
            | Name::MatchSequence
            | Name::MatchKeys => Does::Match(0, 1),
            Name::MatchClass => Does::Match(3, 1),
            Name::CleanupThrow => Does::CleanupThrow,
            Name::KwNames => Does::KwNames,
        }
    }
}
