"""Values of a recording as Python objects.

A value of a builtin class, or of some classes of the standard library, is made again if it was
recorded whole. Any other value is a `Recorded`. `replayer/cli/src/serve/tagged.rs` defines the JSON in
which values arrive.
"""

import ast
import builtins
import collections
import importlib
import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, final

_CONSTANTS = {"Ellipsis": ..., "NotImplemented": NotImplemented}
_SEQUENCES: dict[str, Any] = {"tuple": tuple, "list": list}
_CALLED: dict[str, Any] = {"range": range, "slice": slice}
_SETS: dict[str, Any] = {"set": set, "frozenset": frozenset}
_DICTS: dict[str, Any] = {
    "dict": dict,
    "OrderedDict": collections.OrderedDict,
    "Counter": collections.Counter,
}
# Module and name of classes whose text does not begin with these, by the word it begins with.
_STANDARD: dict[str, tuple[str, str]] = {
    "Decimal": ("decimal", "Decimal"),
    "Fraction": ("fractions", "Fraction"),
    "IPv4Address": ("ipaddress", "IPv4Address"),
    "IPv6Address": ("ipaddress", "IPv6Address"),
    # The program may have run on another system than this process.
    "PosixPath": ("pathlib", "PosixPath" if os.name == "posix" else "PurePosixPath"),
    "PurePosixPath": ("pathlib", "PurePosixPath"),
    "UUID": ("uuid", "UUID"),
    "mappingproxy": ("types", "MappingProxyType"),
    "namespace": ("types", "SimpleNamespace"),
}
# A builtin class from Python 3.15 on.
_FROZENDICT: Any = getattr(builtins, "frozendict", None)


@final
class Recorded:
    """What is known of an object that is not made again: an instance of one of the program's
    classes, a function, or a value of which a part is missing.

    Its `repr()` is the object's own, as far as that is known: `<app.Point object #17 x=1 y=2>`,
    `[1, 2, … 998 more]`. It is equal to itself only, because two objects with the same text may
    have been different. A field below is None if it is not known. An empty `attributes` may mean
    that the object was not examined.
    """

    __slots__ = (
        "args",
        "attributes",
        "held",
        "items",
        "kept",
        "length",
        "object_id",
        "text",
        "type",
    )

    text: str
    """The object as `repr` writes it."""
    type: str | None
    """The name of its class, with the module unless that is builtins or __main__."""
    object_id: int | None
    """A number that is the same wherever the object occurs in its process."""
    attributes: dict[str, Any]
    """The attributes that are known."""
    args: tuple[Any, ...] | None
    """The arguments of an exception."""
    held: Any
    """For an instance of a subclass of a builtin class: its value as one of that builtin class."""
    items: list[Any] | None
    """The items of a container that were kept; those of a dict are pairs."""
    kept: str | bytes | None
    """The part of a str or bytes that was kept, from its beginning."""
    length: int | None
    """The real number of items, characters or bytes of a value that was cut."""

    def __init__(self, text: str, known: Mapping[str, Any]) -> None:
        self.text = text
        self.type = known.get("type")
        self.object_id = known.get("object_id")
        self.attributes = known.get("attributes", {})
        self.args = known.get("args")
        self.held = known.get("held")
        self.items = known.get("items")
        self.kept = known.get("kept")
        self.length = known.get("length")

    def __repr__(self) -> str:
        return self.text


class Variable(NamedTuple):
    """A variable that is bound."""

    name: str
    scope: str
    """`local`, `cell` (shared by functions) or `global`."""
    value: Any
    text: str
    """The value as `repr` writes it."""
    object_id: int | None


class Namespace(Mapping[str, Any]):
    """Names and their values, in order. Read-only."""

    __slots__ = ("_missing", "_values")

    def __init__(self, values: dict[str, Any], missing: int = 0) -> None:
        self._values = values
        self._missing = missing

    @property
    def missing(self) -> int:
        """The number of further names, which were not recorded."""
        return self._missing

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        more = f", … {self._missing} more" if self._missing else ""
        return f"{{{', '.join(f'{k!r}: {v!r}' for k, v in self._values.items())}{more}}}"

    def _repr_html_(self) -> str:
        from . import _html

        return _html.table(["name", "value"], self._values.items(), more=self._missing)


def value(tagged: Any, text: str) -> Any:
    """The Python object for a value, of which `text` is the text and `tagged` the JSON."""
    try:
        return _value(tagged, text)
    except (TypeError, ValueError, SyntaxError, RecursionError, OverflowError):
        # There is no such Python value, so the file is damaged. (Or an int is too long for `int`.)
        return Recorded(text, {})


def namespace(tagged: Any, text: str) -> Namespace:
    """Named values, such as a call's arguments."""
    return Namespace({name: value(held, text) for name, held in tagged["names"]}, tagged["more"])


def variables(found: list[dict[str, Any]]) -> list[Variable]:
    """Variables of a frame. Those that held the same object share one Python object here, too."""
    known: dict[int, Any] = {}
    made = []
    for variable in found:
        text, number = variable["value"], variable["object_id"]
        if number is None:
            held = value(variable["held"], text)
        elif number in known:
            held = known[number]
        else:
            held = known[number] = value(variable["held"], text)
        made.append(Variable(variable["name"], variable["scope"], held, text, number))
    return made


def _value(tagged: Any, text: str) -> Any:
    if isinstance(tagged, list):
        return [_value(item, text) for item in tagged]
    if not isinstance(tagged, dict):
        return tagged
    if "recorded" in tagged:
        return _recorded(tagged, text)
    if "standard" in tagged:
        return _standard(tagged, text)
    if "deque" in tagged:
        items = [_value(item, text) for item in tagged["deque"]]
        return collections.deque(items, tagged.get("maxlen"))
    [(kind, held)] = tagged.items()
    if kind in _DICTS:
        pairs = [(_value(key, text), _value(item, text)) for key, item in held]
        return _whole(_DICTS[kind](dict(pairs)), pairs)
    if kind == "bytearray":
        return bytearray(_value(held, text))
    if isinstance(held, list):
        items = [_value(item, text) for item in held]
        if kind in _SETS:
            return _whole(_SETS[kind](items), items)
        return _CALLED[kind](*items) if kind in _CALLED else _SEQUENCES[kind](items)
    if kind == "int":
        return int(held, 0)
    if kind == "float":
        return float(held)
    if kind == "complex":
        return complex(held)
    if kind == "constant":
        return _CONSTANTS[held]
    return ast.literal_eval(held)


def _standard(tagged: dict[str, Any], text: str) -> Any:
    """An object of a class of the standard library."""
    name = tagged["standard"]
    module, _, path = name.rpartition(".")
    module, path = _STANDARD.get(name, (module, path))
    if name == "datetime.timezone.utc":
        return importlib.import_module("datetime").timezone.utc
    made = getattr(importlib.import_module(module), path)
    args = [_value(held, text) for held in tagged["args"]]
    return made(*args, **{key: _value(held, text) for key, held in tagged["named"]})


def _whole(made: Any, items: list[Any]) -> Any:
    """Returns `made`. Raises ValueError if some of the items that it was made of are missing,
    because they are equal to others."""
    if len(made) != len(items):
        raise ValueError("two that are equal")
    return made


def _recorded(tagged: dict[str, Any], text: str) -> Any:
    known = dict(tagged)
    begin, end = known.pop("recorded")
    if "attributes" in known:
        known["attributes"] = {name: _value(held, text) for name, held in known["attributes"]}
    for name in ("args", "held", "items", "kept"):
        if name in known:
            known[name] = _value(known[name], text)
    if "args" in known:
        known["args"] = tuple(known["args"])
    if known.get("type") == "frozendict" and _FROZENDICT is not None:
        items = known.get("items")
        if items is not None and known.get("length") == len(items):
            return _whole(_FROZENDICT(dict(items)), items)
    return Recorded(text[begin:end], known)
