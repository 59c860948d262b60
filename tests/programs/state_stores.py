"""Stores whose instruction runs code in Python before it is over, and stores by bound special methods."""
import collections
import dataclasses
import enum
import fractions
import pathlib


class Color(enum.Enum):
    RED = 1
    GREEN = 2


class Key:
    """Its hash and comparison are code of the program's."""

    def __init__(self, name):
        self.name = name

    def __hash__(self):
        number = len(self.name)
        return number

    def __eq__(self, other):
        same = isinstance(other, Key) and self.name == other.name
        return same


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: int


class Index:
    def __init__(self, at):
        self.at = at

    def __index__(self):
        at = self.at
        return at


class Pairs:
    def keys(self):
        names = ["p", "q"]
        return names

    def __getitem__(self, name):
        text = name * 2
        return text


def squares(count):
    for number in range(count):
        square = number * number
        yield square


def keys_of_all_kinds():
    lengths = {}
    for key in (Color.RED, pathlib.PurePosixPath("a/b"), fractions.Fraction(1, 3), Point(1, 2), Key("k")):
        before = len(lengths)
        lengths[key] = "set"
        after = len(lengths)
        lengths[key] = "again"
        found = lengths[key]
        del lengths[key]
        last = len(lengths)
    return before, after, found, last


def counts():
    many = {}
    total = 0
    for name in ("ab", "cd", "ab", "e"):
        many[Key(name)] = total
        total = len(many)
    numbers = list(many.values())
    return numbers


def keys_in_tuples():
    table = {}
    row = []
    table[Color.RED, 1] = row
    row.append(1)
    first = table[Color.RED, 1]
    table[Key("a"), (Color.GREEN,)] = row
    size = len(table)
    values = list(table.values())
    return first, size, values


def in_place():
    acc = [0]
    acc += squares(3)
    here = 1
    acc[1:] = (letter for letter in "ab")
    here = 2
    acc[Index(0)] = "first"
    here = 3
    both = ([1], [2])
    held = both[1]
    try:
        both[1] += squares(2)
    except TypeError as error:
        text = str(error)
    here = 4
    names = {"a": 1}
    names |= Pairs()
    here = 5
    some = {1}
    some |= {number for number in (2, 3)}
    here = 6
    data = bytearray(b"xyz")
    data += bytes(squares(3))
    here = 7
    data[Index(1)] = 0x41
    here = 8
    del acc[Index(-1)]
    here = 9
    return acc, held, text, names, some, data


def deeper():
    outer = {"rows": [{"cells": {}}], "list": [[1], [2]]}
    cells = outer["rows"][0]["cells"]
    outer["rows"][0]["cells"]["x"] = 1
    here = 1
    outer["list"][1] += squares(2)
    here = 2
    inner = outer["list"][1]
    outer["rows"][0]["cells"][(1, "two")] = 3
    here = 3
    texts = list(cells.values())
    return inner, texts


def raises():
    def failing():
        yield 1
        raise ValueError("enough")

    acc = [0]
    try:
        acc += failing()
    except ValueError:
        caught = 1
    here = 1
    table = {"a": 1}
    try:
        table[[]] = 2
    except TypeError:
        caught = 2
    here = 2
    return acc, table, caught


class Celsius:
    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner=None):
        found = instance.__dict__.get(self.name)
        return found

    def __set__(self, instance, value):
        instance.__dict__[self.name] = value
        done = instance.__dict__[self.name]
        setattr(instance, "other", done)
        last = 1


class Room:
    warm = Celsius()

    def __init__(self):
        self._size = 0

    @property
    def size(self):
        return self._size

    @size.setter
    def size(self, value):
        before = self._size
        self._size = value
        vars(self)["seen"] = before
        after = self._size

    def grow(self):
        self.warm = 20
        here = 1
        self.size = 3
        here = 2
        self.size += 1
        here = 3
        return here


class Base:
    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        here = 1
        object.__setattr__(self, name + "_too", value)
        here = 2

    def __delattr__(self, name):
        super().__delattr__(name)
        here = 1


class Bound:
    def __init__(self, value):
        put = object.__setattr__
        put(self, "one", value)
        here = 1
        own = self.__setattr__
        own("two", value)
        here = 2
        self.__delattr__("one")
        here = 3


class Table(dict):
    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        here = 1
        dict.__setitem__(self, key + "!", value)
        here = 2

    def __delitem__(self, key):
        super().__delitem__(key)
        here = 1


class Items(list):
    def __setitem__(self, index, value):
        super().__setitem__(index, value)
        here = 1

    def append(self, value):
        super().append(value)
        here = 1

    def __iadd__(self, other):
        here = 0
        super().__iadd__(other)
        here = 1
        super().extend(other)
        here = 2
        return self


def bound_slots():
    table = {}
    put = table.__setitem__
    put("k", 1)
    here = 1
    take = table.__delitem__
    put("l", 2)
    take("k")
    here = 2
    items = [1, 2, 3]
    items.__setitem__(0, "a")
    here = 3
    list.append(items, 4)
    here = 4
    dict.__setitem__(table, "m", 3)
    here = 5
    add = items.append
    add(5)
    here = 6
    dict.update(table, n=4)
    here = 7
    list.__delitem__(items, -1)
    here = 8
    items.__iadd__((6, 7))
    here = 9
    return table, items


def derived():
    table = Table()
    table["a"] = 1
    plain = dict(table)
    del table["a"]
    rest = dict(table)
    items = Items("xy")
    items[0] = "z"
    seen = list(items)
    items.append("w")
    seen = list(items)
    items += "v"
    seen = list(items)
    base = Base()
    base.name = 1
    here = 1
    del base.name
    here = 2
    bound = Bound(3)
    here = 3
    point = Point(4, 5)
    moved = dataclasses.replace(point, x=6)
    here = 4
    return plain, rest, seen


def counters():
    counter = collections.Counter()
    counter["a"] += 1
    here = 1
    counter["b"] += 2
    here = 2
    del counter["a"]
    here = 3
    ordered = collections.OrderedDict()
    ordered["x"] = 1
    here = 4
    ordered["y", 2] = 2
    here = 5
    groups = collections.defaultdict(list)
    groups["g"].append(1)
    here = 6
    groups[1.5].append(2)
    here = 7
    groups[None] = [3]
    here = 8
    long = "k" * 60
    groups[long].append(4)
    here = 9
    return counter, ordered, groups


def recursive(depth):
    class Deep:
        def __hash__(self):
            if depth:
                recursive(depth - 1)
            return 1

        def __eq__(self, other):
            return self is other

    table = {"depth": depth}
    key = Deep()
    table[key] = depth
    size = len(table)
    del table[key]
    last = depth
    return size


def main():
    keys_of_all_kinds()
    counts()
    keys_in_tuples()
    in_place()
    deeper()
    raises()
    room = Room()
    room.grow()
    bound_slots()
    derived()
    counters()
    recursive(3)
    here = 1


main()
top = {}
top[Color.RED] = 1
acc = [1]
acc += squares(2)
again = top[Color.RED]
acc[Index(0)] = 5
put = top.__setitem__
put("k", acc)
last = 1
