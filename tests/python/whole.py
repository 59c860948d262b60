"""Values that are recorded whole, and such that are not."""

import builtins
import collections


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
    return dict(locals())


class Own(list):
    pass


class set(Exception):  # A name that is taken.
    pass


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
    return "apart"


# Kept: before 3.13 nothing tells that an address is used again.
kept = whole()
apart()
