#!/usr/bin/env python3
"""Makes schema/src/bytecode/tables/ from what CPython publishes about its instruction set.

    python3.15 tests/tools/opcodes.py            writes v3_15.rs, and rewrites names.rs
    python3.15 tests/tools/opcodes.py --check    writes nothing; exit status 1 if a file would change

Run it with the interpreter that the table is for. What it cannot find out is written by hand and checked by
the compiler: the meaning of each instruction, by name, in opcodes.rs and effects.rs beside the tables.
"""

import importlib.util
import opcode
import re
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "schema/src/bytecode/tables"
HEADER = "//! Made by `tests/tools/opcodes.py`; not to be edited.\n\n"


def camel(name):
    return "".join(part.capitalize() for part in name.split("_"))


def instructions():
    """Returns number, name and units of inline cache of each instruction that compiled code may have."""
    caches = opcode._inline_cache_entries
    for name, number in sorted(opcode.opmap.items(), key=lambda entry: entry[1]):
        # Beyond 255 there are pseudo-instructions, which only the compiler sees. The interpreter's own
        # instructions (instrumented, of its optimizer) are not in `co_code` either, but are in the tables.
        if number < 256 and not name.startswith("INSTRUMENTED_"):
            yield number, name, caches.get(name, 0) if hasattr(caches, "get") else caches[number]


def binary_operators():
    """Returns the operands of BINARY_OP that are in-place operators, and the one that is a subscript, if any."""
    names = [name for name, _ in opcode._nb_ops]
    in_place = [at for at, name in enumerate(names) if name.startswith("NB_INPLACE_")]
    assert in_place == list(range(in_place[0], in_place[-1] + 1))
    subscript = names.index("NB_SUBSCR") if "NB_SUBSCR" in names else None
    return in_place[0], in_place[-1] + 1, subscript


def stands(name):
    """Returns what may be in memory where compiled code has this instruction, if it can only take the place of
    this one: when the instruction is specialised or instrumented."""
    try:
        from _opcode_metadata import _specializations as specialisations, _specialized_opmap as specialised
    except ImportError:
        specialisations, specialised = opcode._specializations, {}
    numbers = opcode.opmap | dict(specialised)
    own = [name, *specialisations.get(name, ()), "INSTRUMENTED_" + name]
    return sorted(numbers[one] for one in own)


def hiding():
    """Returns what may be in memory in the place of any instruction."""
    names = ["INSTRUMENTED_LINE", "INSTRUMENTED_INSTRUCTION", "ENTER_EXECUTOR", "TRACE_RECORD"]
    return sorted(opcode.opmap[name] for name in names if name in opcode.opmap)


def table():
    first, end, subscript = binary_operators()
    magic = int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little")
    version = "%d.%d" % sys.version_info[:2]
    lines = [
        f"//! CPython {version}. Made by `tests/tools/opcodes.py`; not to be edited.\n",
        "use super::{Name::*, Published};\n",
        "pub const TABLE: Published = Published {",
        f"    magic: {magic},",
        f"    in_place: ({first}, {end}),",
        f"    subscript: {'None' if subscript is None else f'Some({subscript})'},",
        f"    resuming: &{stands('RESUME')},",
        f"    yielding: &{stands('YIELD_VALUE')},",
        f"    hiding: &{hiding()},",
        "    instructions: &[",
        *(f"        ({number}, {camel(name)}, {caches})," for number, name, caches in instructions()),
        "    ],",
        "};",
    ]
    return "\n".join(lines) + "\n"


def names(tables):
    found = {name for text in tables.values() for name in re.findall(r"\(\d+, (\w+), \d+\)", text)}
    lines = [
        HEADER.rstrip("\n") + "\n",
        "/// The instructions of all versions, by name.",
        "#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]",
        "pub enum Name {",
        *(f"    {name}," for name in sorted(found)),
        "}",
    ]
    return "\n".join(lines) + "\n"


def main():
    is_check = sys.argv[1:] == ["--check"]
    own = "v%d_%d.rs" % sys.version_info[:2]
    tables = {path.name: path.read_text() for path in FOLDER.glob("v3_*.rs")}
    tables[own] = table()
    status = 0
    for name, text in {own: tables[own], "names.rs": names(tables)}.items():
        path = FOLDER / name
        if path.exists() and path.read_text() == text:
            continue
        if is_check:
            print(f"{path.name} is not what Python {sys.version.split()[0]} publishes", file=sys.stderr)
            status = 1
        else:
            path.write_text(text)
            print(f"wrote {path.name}")
    sys.exit(status)


if __name__ == "__main__":
    main()
