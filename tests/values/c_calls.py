"""Calls of what is written in C, in every form that the bytecode has for them."""
import collections
import functools
import itertools
import math
import operator
import os
import re
import sqlite3
import struct


def positional(a, b, *rest, **named):
    len("four")
    abs(-3)
    max(a, b)
    max(a, b, key=abs)
    sorted([b, a, -5], key=abs, reverse=True)
    divmod(17, 5)
    print()
    print(a, b, sep="-", end="!\n")
    print(*rest)
    print(a, *rest, sep=",")
    print(*rest, **named)
    print(a, **named)
    print(*(), **{})
    print("x", *("y", "z"), sep="")
    dict(a=a, b=b)
    dict([(1, 2)], c=3)
    dict(**named)
    int("ff", 16)
    int("12", base=8)
    str(b"abc", "ascii")
    bytes(range(3))
    range(1, 10, 2)
    list((1, 2))
    tuple([1, 2])
    set("abc")
    isinstance(a, int)
    hash(a)


def methods():
    items = [3, 1, 2]
    items.append(4)
    items.extend([5, 6])
    items.insert(0, 7)
    items.sort(key=operator.neg)
    items.sort(reverse=True)
    items.pop()
    items.pop(0)
    items.index(3)
    append = items.append
    append(8)
    list.append(items, 9)
    pairs = {"a": 1}
    pairs.get("a")
    pairs.get("b", None)
    pairs.setdefault("c", [])
    pairs.update(d=4)
    pairs.update({"e": 5}, f=6)
    pairs.pop("a")
    dict.fromkeys("ab", 0)
    "a,b".split(",")
    "a b".split(maxsplit=1)
    "{} {x}".format(1, x=2)
    ",".join(str(i) for i in range(3))
    "abc".replace("b", "x", 1)
    b"abc".hex("-", 1)
    (5).to_bytes(2, "big")
    (5).to_bytes(length=2, byteorder="little")
    1.5.hex()
    queue = collections.deque([1, 2], maxlen=3)
    queue.append(3)
    queue.rotate(1)
    seen = {1}
    seen.add(2)
    seen.union([3], [4])


def nested():
    print(len(str(max(1, min(2, 3)))), end="\n")
    print(max(len("a"), len("bb")) if True else len("c"))
    list(map(str, [1, 2]))
    list(zip([1, 2], "ab"))
    list(itertools.chain([1], [2]))
    functools.reduce(operator.add, [1, 2, 3], 10)
    sum(x * x for x in range(4))
    [ord(c) for c in "ab"]
    {k: len(k) for k in ("x", "yy")}
    sum(isinstance(x, str) for x in [1, "a"])
    math.hypot(*[3, 4])
    math.hypot(*(3, 4), 12)
    partial = functools.partial(int, base=2)
    partial("101")
    operator.itemgetter(1)([4, 5])
    struct.pack("<hh", 1, 2)
    struct.unpack("<hh", b"\1\0\2\0")


def fails():
    for text in ("1", "x", ""):
        try:
            int(text)
        except ValueError:
            pass
    try:
        [].pop()
    except IndexError:
        pass
    try:
        len(5)
    except TypeError:
        pass
    next(iter([]), None)
    try:
        next(iter([]))
    except StopIteration:
        pass
    getattr(5, "missing", 6)


class Point:
    __slots__ = ("x",)

    def __init__(self, x):
        self.x = x

    def __len__(self):
        return len("three")

    def __lt__(self, other):
        return bool(self.x < other.x)


def back():
    """C code that calls Python code that calls C code."""
    points = [Point(2), Point(1)]
    len(points[0])
    sorted([3, 1], key=lambda value: abs(value))
    list(filter(lambda value: bool(value), [0, 1]))
    re.sub("[a-z]", lambda match: match.group().upper(), "ab")
    max([1, 2], key=lambda value: round(value, 1))


def many(a):
    print(a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, end="\n")
    max(a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, default=3) if False else None
    os.path.join("a", str(a), *[str(i) for i in range(3)])


def generator():
    for i in range(3):
        yield pow(i, 2)


def database():
    connection = sqlite3.connect(":memory:")
    with connection:
        connection.execute("create table t (a, b)")
        connection.executemany("insert into t values (?, ?)", [(1, "x"), (2, "y")])
    cursor = connection.cursor()
    cursor.execute("select * from t where a > :least", {"least": 1})
    cursor.fetchall()
    connection.close()


positional(5, -7, 1, 2, sep="+", end=";\n")
methods()
nested()
fails()
back()
many(0)
list(generator())
database()
