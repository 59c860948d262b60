"""Raises what builtin classes of exceptions there are, and prints what str() gives, a line each."""
import importlib
import json
import os


def bad():
    yield 1
    raise StopIteration


class Own(Exception):
    pass


class Many(OSError):
    pass


def group():
    raise ExceptionGroup("several", [ValueError(1), Own("x"), ExceptionGroup("in", [KeyError("k")])])


RAISE = [
    lambda: importlib.import_module("no_such_module"),
    lambda: __import__("os.no_such_module"),
    lambda: b"\xff".decode(),
    lambda: "\u20ac".encode("ascii"),
    lambda: (_ for _ in ()).throw(UnicodeTranslateError("ab\u20ac", 2, 3, "no")),
    lambda: compile("a b", "some/file.py", "exec"),
    lambda: compile("if 1:\nx", "other.py", "exec"),
    lambda: open("/no/such/file"),
    lambda: os.rename("/no/such/file", "/no/other"),
    lambda: {}["key"],
    lambda: {}[("a", 1)],
    lambda: {}[None],
    lambda: [].pop(),
    lambda: int("x"),
    lambda: 1 / 0,
    lambda: list(bad()),
    lambda: json.loads("{"),
    lambda: None.x,
    lambda: nothing,
    lambda: (_ for _ in ()).throw(Own("a", 1)),
    lambda: (_ for _ in ()).throw(Own([1, {"a": (2.5, None)}])),
    lambda: (_ for _ in ()).throw(Own(ValueError("within"))),
    lambda: (_ for _ in ()).throw(Own(1, KeyError("within"))),
    lambda: (_ for _ in ()).throw(Own()),
    lambda: (_ for _ in ()).throw(Many(2, "not there", "some/file")),
    lambda: (_ for _ in ()).throw(ImportError("cannot", name="a", path="b")),
    lambda: (_ for _ in ()).throw(SystemExit(3)),
    group,
]

for call in RAISE:
    try:
        call()
    except BaseException as error:
        print(f"{type(error).__name__}: {error}")
