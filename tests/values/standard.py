"""Values of the standard library's classes, of some ninety kinds: each is returned by `show`."""

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import ipaddress
import pathlib
import re
import time
import types
import typing
import uuid
import zoneinfo
from datetime import timedelta, timezone


class Color(enum.Enum):
    RED = 1
    BLUE = "b"


class Level(enum.IntEnum):
    LOW = 1


class Mode(enum.StrEnum):
    A = "a"


class Access(enum.Flag):
    R = 1
    W = 2


class IntAccess(enum.IntFlag):
    R = 1
    W = 2


Named = collections.namedtuple("Named", "a b")


class Typed(typing.NamedTuple):
    x: int
    y: str = "q"


@dataclasses.dataclass
class Point:
    x: int
    y: float = 1.5
    hidden: int = dataclasses.field(default=0, repr=False)
    shared: typing.ClassVar[int] = 7


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    when: datetime.date


@dataclasses.dataclass
class Derived(Point):
    z: int = 3


class Inherits(Derived):
    pass


@dataclasses.dataclass
class Node:
    value: int
    next: "Node | None" = None


class Outer:
    @dataclasses.dataclass
    class Inner:
        x: int


def show(value):
    return value


def days():
    D = datetime.datetime
    hour = timezone(timedelta(hours=1))
    west = timezone(timedelta(hours=-5, minutes=30), "X")
    yield from (datetime.date(2024, 1, 2), datetime.date.min, datetime.date.max)
    yield from (D(2024, 1, 2, 3, 4), D(2024, 1, 2, 3, 4, 5), D(2024, 1, 2, 3, 4, 5, 6), D(2024, 1, 2))
    yield from (D(2024, 1, 2, 3, 4, 5, 6, tzinfo=timezone.utc), D(2024, 1, 2, 3, 4, fold=1))
    yield from (D(2024, 1, 2, 3, 4, fold=1, tzinfo=west), D(2024, 1, 2, tzinfo=zoneinfo.ZoneInfo("UTC")))
    yield from (datetime.time(1, 2), datetime.time(1, 2, 3), datetime.time(0, 0, 0, 5, tzinfo=hour, fold=1))
    yield from (timedelta(), timedelta(days=-1, seconds=5), timedelta(microseconds=1), timedelta.max)
    yield from (timezone.utc, hour, timezone(timedelta(0)), west, zoneinfo.ZoneInfo("UTC"))
    yield [datetime.date(2024, 1, 2), {"at": D(2024, 1, 2, 3, 4)}]


def numbers():
    texts = "1.50 -0 1E+5 1e-10 NaN -Infinity sNaN12 0.000001 0.0000001 12E2 0E-8 100 -1.5E-7 1E+999999"
    yield from map(decimal.Decimal, texts.split())
    yield decimal.Decimal("123456789012345678901234567890.12")
    yield from (fractions.Fraction(1, 3), fractions.Fraction(-7), [fractions.Fraction(10**30, 7)])
    yield from (uuid.UUID(int=5), uuid.UUID("12345678-1234-5678-1234-567812345678"), uuid.UUID(int=2**128 - 1))


def places():
    path = pathlib.Path("a/b")
    str(path)
    yield from (pathlib.Path("/a/b"), pathlib.Path("a", "../b", "./c/"), pathlib.Path(""), path, path.parent)
    yield from (pathlib.PurePosixPath("//x/y"), pathlib.Path("/a").joinpath("b") / "c", pathlib.Path("é/€"))
    texts = "127.0.0.1 ::1 :: 2001:db8::ff00:42:8329 fe80::1%eth0 1:0:0:2:0:0:0:3 255.255.255.255"
    yield from map(ipaddress.ip_address, texts.split())


def members():
    yield from (Color.RED, Color.BLUE, Level.LOW, Mode.A, [Color.RED], {"c": Color.BLUE})
    yield from (Access.R, Access.R | Access.W, Access(0), IntAccess.R | IntAccess.W, IntAccess(8))


def records():
    yield from (Named(1, 2), Typed(1), Named((1,), Color.RED), [Named(1, "x")], Typed(-1, "it's"))
    yield from (Point(1), Frozen("n", datetime.date(2024, 1, 1)), Derived(1, 2.0), Inherits(1), Outer.Inner(1))
    circle = Node(1)
    circle.next = circle
    yield from (Node(1), circle, types.SimpleNamespace(a=1, b="x"))
    yield from (time.gmtime(0), time.struct_time(range(9)))


def collected():
    yield from (collections.UserDict({"a": 1}), collections.UserList([1, 2]), collections.UserString("abc"))
    yield from (collections.ChainMap({"a": 1}, {"b": 2}), types.MappingProxyType({"a": 1}))
    plain, ordered = {"a": 1, "b": (1,)}, collections.OrderedDict(a=1)
    yield from (plain.keys(), plain.values(), plain.items(), {}.keys())
    yield from (ordered.keys(), ordered.values(), ordered.items())


def expressions():
    yield from (re.compile("a+"), re.compile("a+", re.I | re.S), re.compile(b"x", re.M), re.compile("é", re.A))
    yield from (re.match("a+", "aab"), re.search(b"b+", b"abb"), re.match("(a)(b)?", "ac"), re.search("é+", "cafééx"))


if __name__ == "__main__":
    for kind in (days, numbers, places, members, records, collected, expressions):
        for value in kind():
            show(value)
