//! The tables of instructions are those of the interpreters.

use dashcam_schema::bytecode::effects::Effect;
use dashcam_schema::bytecode::opcodes::Version;
use dashcam_tests::{Python, run, tests_path, text};
use serde_json::Value;

fn version_of(python: &Python) -> Option<Version> {
    let magic = "int.from_bytes(__import__('importlib.util').util.MAGIC_NUMBER[:2], 'little')";
    let version = Version::from_magic(python.eval(magic).parse().unwrap());
    if version.is_none() {
        // 3.16 is the oldest version without rules.
        assert!(python.version >= (3, 16), "{python} has no rules");
        println!("SKIPPED: {python} has no rules");
    }
    version
}

#[test]
fn opcode_tables_match_the_interpreters() {
    for python in Python::all().into_iter().filter(|python| version_of(python).is_some()) {
        let output = run(python.bare().arg(tests_path("tools/opcodes.py")).arg("--check"));
        assert!(output.status.success(), "{python}: {}", text(&output.stderr));
    }
}

const EFFECTS: &str = "\
import dis, json, opcode
operands = [0, 1, 2, 3, 4, 5, 8, 12, 15, 255, 258]
def effect(number, operand):
    try:
        return dis.stack_effect(number, operand if number in has_operand else None, jump=False)
    except ValueError:
        return None
has_operand = set(getattr(dis, 'hasarg', ())) or {n for n in opcode.opmap.values() if n >= dis.HAVE_ARGUMENT}
table = {name: [number, [effect(number, operand) for operand in operands]]
         for name, number in opcode.opmap.items() if number < 256 and not name.startswith('INSTRUMENTED')}
print(json.dumps({'operands': operands, 'table': table}))
";

#[test]
fn stack_effects_match_the_interpreters() {
    for python in Python::all() {
        let Some(version) = version_of(&python) else { continue };
        let output = run(python.bare().args(["-c", EFFECTS]));
        let printed: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
        let operands: Vec<u32> = printed["operands"]
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n.as_u64().unwrap() as u32)
            .collect();
        let mut compared = 0;
        for (name, entry) in printed["table"].as_object().unwrap() {
            let does = version.does(entry[0].as_u64().unwrap() as u8);
            for (operand, effect) in operands.iter().zip(entry[1].as_array().unwrap()) {
                // The interpreter refuses operands that make no sense to it. The old one seems to
                // refuse every instruction that stores under a name.
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
