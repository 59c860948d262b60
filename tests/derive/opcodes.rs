//! The instruction sets are those of the interpreters.

use dashcam_schema::bytecode::effects::{Does, Effect};
use dashcam_schema::bytecode::opcodes::{Op, Version};
use dashcam_tests::{Python, run, text};
use serde_json::Value;

const TABLE: &str = "\
import importlib.util, json, opcode
entries = opcode._inline_cache_entries
def caches(name, number):
    return entries.get(name, 0) if isinstance(entries, dict) else entries[number]
# Beyond 255 there are pseudo-instructions, which only the compiler sees.
table = {name: [number, caches(name, number)] for name, number in opcode.opmap.items() if number < 256
         and not name.startswith('INSTRUMENTED')}
print(json.dumps({'magic': int.from_bytes(importlib.util.MAGIC_NUMBER[:2], 'little'), 'table': table}))
";

fn op(name: &str) -> Op {
    match name {
        "CACHE" => Op::Cache,
        "RESUME" => Op::Resume,
        "EXTENDED_ARG" => Op::ExtendedArg,
        "FOR_ITER" => Op::ForIter,
        "SEND" => Op::Send,
        "YIELD_VALUE" => Op::YieldValue,
        "JUMP_FORWARD" => Op::JumpForward,
        "JUMP_BACKWARD" => Op::JumpBackward,
        "JUMP_BACKWARD_NO_INTERRUPT" => Op::JumpBackwardNoInterrupt,
        "RETURN_VALUE" | "RETURN_CONST" => Op::Return,
        "RAISE_VARARGS" => Op::RaiseVarargs,
        "RERAISE" => Op::Reraise,
        "CALL" => Op::Call,
        "CALL_KW" => Op::CallKw,
        "CALL_FUNCTION_EX" => Op::CallFunctionEx,
        "LOAD_SUPER_ATTR" => Op::LoadSuperAttr,
        "POP_ITER" => Op::PopIter,
        "END_FOR" => Op::EndFor,
        "END_SEND" => Op::EndSend,
        "END_ASYNC_FOR" => Op::EndAsyncFor,
        "NOT_TAKEN" => Op::NotTaken,
        name if name.starts_with("POP_JUMP_IF_") => Op::PopJump,
        _ => Op::Other,
    }
}

#[test]
fn the_tables_are_the_interpreters() {
    for python in Python::all() {
        let output = run(python.bare().args(["-c", TABLE]));
        let said: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
        let magic = said["magic"].as_u64().unwrap() as u16;
        let version = Version::from_magic(magic);
        let Some(version) = version else {
            assert!(python.version > (3, 14), "{python}: no rules for bytecode {magic}");
            println!("SKIPPED: {python} has no rules");
            continue;
        };
        let table = said["table"].as_object().unwrap();
        assert!(table.len() > 100, "{python}: {table:?}");
        for (name, entry) in table {
            let [number, caches] = [0, 1].map(|i| entry[i].as_u64().unwrap() as u8);
            assert_eq!(version.op(number), op(name), "{python}: {name}");
            assert_eq!(version.caches(number), caches, "{python}: cache of {name}");
        }
    }
}

const EFFECTS: &str = "\
import dis, importlib.util, json, opcode
operands = [0, 1, 2, 3, 4, 5, 8, 12, 15, 255, 258]
def effect(number, operand):
    try:
        return dis.stack_effect(number, operand if number in has_operand else None, jump=False)
    except ValueError:
        return None
has_operand = set(getattr(dis, 'hasarg', ())) or {n for n in opcode.opmap.values() if n >= dis.HAVE_ARGUMENT}
table = {name: [number, [effect(number, operand) for operand in operands]]
         for name, number in opcode.opmap.items() if number < 256 and not name.startswith('INSTRUMENTED')}
print(json.dumps({'magic': int.from_bytes(importlib.util.MAGIC_NUMBER[:2], 'little'),
                  'operands': operands, 'table': table}))
";

fn does(name: &str) -> Does {
    match name {
        "CACHE"
        | "NOP"
        | "RESERVED"
        | "RESUME"
        | "EXTENDED_ARG"
        | "JUMP_FORWARD"
        | "JUMP_BACKWARD"
        | "JUMP_BACKWARD_NO_INTERRUPT"
        | "MAKE_CELL"
        | "COPY_FREE_VARS"
        | "DELETE_FAST"
        | "DELETE_DEREF"
        | "DELETE_NAME"
        | "DELETE_GLOBAL"
        | "SETUP_ANNOTATIONS"
        | "NOT_TAKEN"
        | "ENTER_EXECUTOR" => Does::Nothing,
        "POP_TOP"
        | "STORE_FAST"
        | "STORE_DEREF"
        | "STORE_NAME"
        | "STORE_GLOBAL"
        | "DELETE_ATTR"
        | "POP_EXCEPT"
        | "POP_ITER"
        | "POP_JUMP_IF_FALSE"
        | "POP_JUMP_IF_TRUE"
        | "POP_JUMP_IF_NONE"
        | "POP_JUMP_IF_NOT_NONE"
        | "LIST_APPEND"
        | "LIST_EXTEND"
        | "SET_ADD"
        | "SET_UPDATE"
        | "DICT_MERGE"
        | "DICT_UPDATE"
        | "RERAISE"
        | "INTERPRETER_EXIT"
        | "EXIT_INIT_CHECK" => Does::Take(1),
        "STORE_FAST_STORE_FAST" | "STORE_ATTR" | "DELETE_SUBSCR" | "MAP_ADD" | "END_ASYNC_FOR" => {
            Does::Take(2)
        }
        "STORE_SUBSCR" => Does::Take(3),
        "STORE_SLICE" => Does::Take(4),
        "END_FOR" => Does::EndFor,
        "RAISE_VARARGS" => Does::Raise,
        "RETURN_VALUE" => Does::Return,
        "RETURN_CONST" => Does::ReturnConst,
        "YIELD_VALUE" => Does::Yield,
        "LOAD_CONST"
        | "LOAD_SMALL_INT"
        | "LOAD_COMMON_CONSTANT"
        | "LOAD_ASSERTION_ERROR"
        | "LOAD_BUILD_CLASS" => Does::Const,
        "PUSH_NULL" => Does::Null,
        "RETURN_GENERATOR" => Does::Generator,
        "LOAD_FAST" | "LOAD_FAST_CHECK" | "LOAD_FAST_BORROW" | "LOAD_CLOSURE" => Does::Fast,
        "LOAD_FAST_LOAD_FAST" | "LOAD_FAST_BORROW_LOAD_FAST_BORROW" => Does::FastPair,
        "LOAD_FAST_AND_CLEAR" => Does::FastAndClear,
        "STORE_FAST_LOAD_FAST" => Does::StoreLoadFast,
        "LOAD_DEREF" => Does::Deref,
        "LOAD_NAME" => Does::Name,
        "LOAD_GLOBAL" => Does::Global,
        "LOAD_FROM_DICT_OR_GLOBALS" => Does::DictOrGlobal,
        "LOAD_FROM_DICT_OR_DEREF" => Does::DictOrDeref,
        "LOAD_LOCALS" => Does::Locals,
        "COPY" => Does::Copy,
        "SWAP" => Does::Swap,
        "LOAD_ATTR" => Does::Attribute,
        "LOAD_SUPER_ATTR" => Does::SuperAttribute,
        "BEFORE_WITH" | "BEFORE_ASYNC_WITH" => Does::Enter,
        "LOAD_SPECIAL" => Does::Special,
        "BINARY_SUBSCR" => Does::Subscript,
        "BINARY_OP" => Does::Binary,
        "UNARY_NEGATIVE" | "UNARY_NOT" | "UNARY_INVERT" | "TO_BOOL" | "CONVERT_VALUE"
        | "FORMAT_SIMPLE" => Does::Compute(1),
        "COMPARE_OP" | "IS_OP" | "CONTAINS_OP" | "FORMAT_WITH_SPEC" | "BUILD_TEMPLATE" => {
            Does::Compute(2)
        }
        "BINARY_SLICE" => Does::Compute(3),
        "FORMAT_VALUE" => Does::Format,
        "BUILD_SLICE" => Does::Slice,
        "BUILD_INTERPOLATION" => Does::Interpolation,
        "BUILD_STRING" => Does::Text,
        "GET_ITER" | "GET_YIELD_FROM_ITER" | "GET_AITER" | "GET_AWAITABLE" => Does::Iterate,
        "FOR_ITER" => Does::Next,
        "GET_ANEXT" => Does::AsyncNext,
        "SEND" => Does::Send,
        "END_SEND" => Does::EndSend,
        "UNPACK_SEQUENCE" => Does::Unpack,
        "UNPACK_EX" => Does::UnpackRest,
        "BUILD_TUPLE" => Does::Tuple,
        "BUILD_LIST" => Does::List,
        "BUILD_SET" => Does::Set,
        "BUILD_MAP" => Does::Map,
        "BUILD_CONST_KEY_MAP" => Does::ConstKeyMap,
        "CALL" => Does::Call,
        "CALL_KW" => Does::CallKw,
        "CALL_FUNCTION_EX" => Does::CallEx,
        "CALL_INTRINSIC_1" => Does::Intrinsic,
        "CALL_INTRINSIC_2" => Does::Intrinsic2,
        "IMPORT_NAME" => Does::Import,
        "IMPORT_FROM" => Does::ImportFrom,
        "MAKE_FUNCTION" => Does::Function,
        "SET_FUNCTION_ATTRIBUTE" => Does::FunctionPart,
        "PUSH_EXC_INFO" => Does::Handle,
        "CHECK_EXC_MATCH" => Does::Match(1, 1),
        "CHECK_EG_MATCH" => Does::Match(2, 2),
        "WITH_EXCEPT_START" | "GET_LEN" | "MATCH_MAPPING" | "MATCH_SEQUENCE" | "MATCH_KEYS" => {
            Does::Match(0, 1)
        }
        "MATCH_CLASS" => Does::Match(3, 1),
        "CLEANUP_THROW" => Does::Match(3, 2),
        "KW_NAMES" => Does::KwNames,
        name => panic!("what does {name} do?"),
    }
}

#[test]
fn the_stack_effects_are_the_interpreters() {
    for python in Python::all() {
        let output = run(python.bare().args(["-c", EFFECTS]));
        let said: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
        let Some(version) = Version::from_magic(said["magic"].as_u64().unwrap() as u16) else {
            println!("SKIPPED: {python} has no rules");
            continue;
        };
        let operands: Vec<u32> = said["operands"]
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n.as_u64().unwrap() as u32)
            .collect();
        let mut compared = 0;
        for (name, entry) in said["table"].as_object().unwrap() {
            let does = does(name);
            assert_eq!(version.does(entry[0].as_u64().unwrap() as u8), does, "{python}: {name}");
            for (operand, effect) in operands.iter().zip(entry[1].as_array().unwrap()) {
                // What makes no sense to the interpreter is refused, as it seems to the old one
                // whatever stores under a name.
                let Some(expected) = effect.as_i64() else { continue };
                let Effect { takes, puts } = does.effect(version, *operand);
                let found = i64::from(puts) - i64::from(takes);
                assert_eq!(found, expected, "{python}: {name} {operand}");
                compared += 1;
            }
        }
        assert!(compared > 1000, "{python}: {compared}");
    }
}
