"""Values that are recorded whole, and such that are not."""

import builtins
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import ipaddress
import pathlib
import types
import uuid
import zoneinfo
from datetime import timedelta, timezone


def whole():
    none, yes, no, dots, niet = None, True, False, ..., NotImplemented
    ints = [0, -1, 2**63 - 1, -(2**63), 2**63, -(2**64), 10**200, 7**300]
    floats = (0.0, -0.0, 1e22, 1e-7, 0.1, float("inf"), -float("inf"), float("nan"), 5e-324)
    complexes = (1j, -2.5j, 1 + 2j, complex(-0.0, 0.0), complex("nan+infj"))
    strs = ["", "a", "'", '"', "'\"", "\\", "\n\t\r\0\x7f", "ü€😀", "\ud800x", "\ufffd", "\u2028"]
    marks = ["[...]", "… 9 more", "'a'… (9 characters)", "<redacted>", "...", "None", "set()"]
    byte = [b"", b"a", b"'", b"'\"", bytes(range(0, 120)), bytes(range(120, 256))]
    array = bytearray(b"a'\"\xff")
    nested = {"a": [(), (1,)], ("b", 1): {"c": {}}, None: builtins.set(), 1.5: b"x"}
    sets = [{1, "a", (2,)}, builtins.set(), frozenset(), frozenset({frozenset({1}), b"x"})]
    ranges = (range(3), range(1, 9, -2), slice(None), slice(1, None, 2))
    deques = [collections.deque(), collections.deque([1, 2], 5)]
    ordered = [collections.OrderedDict(b=1, a=2), collections.OrderedDict()]
    counter = [collections.Counter("abca"), collections.Counter()]
    west = timezone(timedelta(hours=-5, minutes=30), "X")
    days = [datetime.date(2024, 1, 2), datetime.datetime(2024, 1, 2, 3, 4, tzinfo=west, fold=1), datetime.time(1, 2)]
    zones = [timezone.utc, west, zoneinfo.ZoneInfo("UTC"), timedelta(days=-1, microseconds=5), timedelta()]
    numbers = [decimal.Decimal("-1.50"), decimal.Decimal("1E+5"), fractions.Fraction(1, -3), uuid.UUID(int=5)]
    places = (pathlib.Path("/a/../b"), pathlib.PurePosixPath("c"), *map(ipaddress.ip_address, ["::1", "10.0.0.1"]))
    wrapped = [types.MappingProxyType({"a": datetime.date(2024, 1, 2)}), types.MappingProxyType({})]
    return dict(locals())


class Own(list):
    pass


class set(Exception):  # A name that is taken.
    pass


class Fraction(Exception):  # Another one.
    pass


class Color(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Point:
    x: int
    y: str


class P:
    def __init__(self):
        self.x, self.y = 1, [2, {"z": 3}]


def apart():
    long = "x" * 5000
    bytelong = b"y" * 5000
    items = list(range(1000))
    pairs = {n: n for n in range(1000)}
    huge = 10**5000
    many = frozenset(range(1000))
    own = Own([1, 2])
    point = P()
    error = set(1)
    function = apart
    kind = P
    default = collections.defaultdict(int, a=1)
    token = "secret-4f2a91"
    cycle = [1]
    cycle.append(cycle)
    deep = [[[[[[1]]]]]]
    third = Fraction(1, 3)
    red = Color.RED
    place = Point(1, "z" * 5000)
    return "apart"


# Kept: before 3.13 nothing tells that an address is used again.
kept = whole()
apart()
