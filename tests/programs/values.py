"""Values of every builtin type, as arguments, results and what is yielded and raised."""

import array
import collections


def take(value):
    return value


def sent():
    got = None
    while got != "stop":
        got = yield [got]


def every_parameter(a, b=2, /, c=3, *rest, d, e=(5,), **more):
    return a, b, c, rest, d, e, more


def closure(cell, plain):
    def inner():
        return cell
    cell += 1
    return inner() + plain


def rebinds(x):
    x = x * 2
    return x


class Point:
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def moved(self, by):
        return Point(self.x + by, self.y)


class Slotted:
    __slots__ = ("left", "right")

    def __init__(self, left):
        self.left = left


class Names(list):
    pass


SCALARS = [
    None, False, True, Ellipsis, NotImplemented, 0, 1, -1, 255, 256, -257,
    2**25 - 1, 2**25, -(2**25), -(2**25) - 1, 2**30 - 1, 2**30, 2**31, 2**32, -(2**32),
    2**60 - 1, 2**60, 2**62, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 10**30, -(10**200),
    0.0, -0.0, 1.5, -2.25, 1e16, 1e-5, 0.1, 1e300 * 1e10, -1e300 * 1e10, 5e-324, 1 / 3,
    1j, -2.5 + 0.5j, complex(0, -0.0),
]
TEXTS = [
    "", "a", "abc", "abcd", "abcde", "it's", 'say "x"', "both ' and \"", "tab\tnew\nline\r", "\x00\x7f",
    "back\\slash", "é", "naïve", "\xa0", "€5", "日本語", "😀", "a😀é", "\udc80", "x\ud800y", "\u2028",
    "exactly twenty-four char", "twenty-five characters!!!", "long " * 30, "ü" * 150,
    b"", b"abc", b"it's", b"\x00\xff\n", b"b" * 150, bytearray(b""), bytearray(b"x'\xff"),
]
CONTAINERS = [
    [], [1], [1, "two", 3.0], (), (1,), (1, 2), {}, {"k": 1}, {1: "a", (2, 3): [4]}, set(), {1},
    frozenset(), frozenset([7]), [[1, [2]], (3,)], {"a": {"b": [1]}}, range(3), range(1, 10, 2),
    slice(None), slice(1, None, -1), collections.deque([1, 2]), collections.deque([1], maxlen=3),
    collections.OrderedDict(a=1, b=2), collections.Counter("hello"), collections.Counter(),
    collections.defaultdict(list, {"x": [1]}), collections.defaultdict(None), list(range(50)),
    [None] * 3, {None: None}, [True, 0, ""], {"nested": ({"deep": 1},)},
    array.array("i", [1, -2, 3]), array.array("d", [0.5]), array.array("b"),
]


def recursive():
    cycle = [1]
    cycle.append(cycle)
    knot = {}
    knot["self"] = knot
    return take(cycle), take(knot)


def moved():
    order = collections.OrderedDict(a=1, b=2, c=3)
    order.move_to_end("a")
    take(order)
    order["z"] = order.pop("b")
    take(order)


def changing():
    grows = []
    for i in range(3):
        grows.append(i)
        take(grows)
    table = {}
    for i in range(3):
        table[i] = str(i)
        take(table)
        del table[i]
        take(table)


def raising(*args):
    raise ValueError(*args)


def main():
    for group in (SCALARS, TEXTS, CONTAINERS):
        for value in group:
            take(value)
    every_parameter(1, d=4)
    every_parameter(1, 20, 30, 40, 50, d=None, e="e", f=6.0, g=[7])
    closure(1, 2)
    rebinds(21)
    recursive()
    moved()
    changing()
    point = Point(1, 2).moved(3)
    take(point)
    point.x = [point]
    take(point)
    take(Slotted(5))
    names = Names([1, 2])
    names.extra = "more"
    take(names)
    take(take)
    take(len)
    take([].append)
    take(Point)
    take(collections)
    take(lambda: None)
    generator = sent()
    next(generator)
    generator.send(5)
    take(generator)
    try:
        generator.send("stop")
    except StopIteration:
        pass
    for args in ((), ("message",), (1, [2]), ("a", ("b",))):
        try:
            raising(*args)
        except ValueError as error:
            take(error)
    try:
        {}["missing"]
    except KeyError as error:
        take(error)


main()
