//! The instruction sets are those of the interpreters.

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
