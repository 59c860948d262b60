"""Changes that code in C makes on its own, and changes from afar: nothing at the line names what changes."""
import io
import itertools
import operator
import struct
import sys
import weakref
from collections import deque


class Sink:
    """Its special methods are those of a list, bound: Python calls them without a call in the code."""

    def __init__(self, items):
        self.items = items
        self.write = items.append


def iterations():
    seen = []
    for nothing in map(seen.append, "ab"):
        pass
    a, b = map(seen.append, (1, 2))
    *rest, = map(seen.append, (3,))
    rest = [*map(seen.append, (4,)), *filter(seen.append, (5,))]
    found = 6 in map(seen.append, (6, 7))
    rest = {**dict(zip("k", map(seen.append, (8,))))}
    deque(map(seen.append, (9,)), maxlen=0)
    pairs = any(seen.append(x) for x in "xy"); text = "".join(seen.append(x) or x for x in "z")
    left = iter(seen); first = next(left)
    popped = list(iter(seen.pop, 1))
    grouped = [list(group) for _, group in itertools.groupby("aab", key=lambda x: seen.append(x) or x)]
    return seen, rest, popped, grouped, text, first, found


def special_methods():
    log = []

    class Kind:
        __eq__ = __lt__ = __contains__ = __getattr__ = log.append
        __iadd__ = __matmul__ = log.append

        def __bool__(self):
            log.append("bool")
            return True

        def __hash__(self):
            log.append("hash")
            return 1

        def __format__(self, spec):
            log.append(spec)
            return spec

        def __index__(self):
            log.append("index")
            return 0

        __set_name__ = __init_subclass__ = None

    k = Kind()
    r = k == 1
    r = k < 2; r = k.missing
    if k:
        log.append("then")
    r = {k: 1}
    r = f"{k:spec}"
    log[k] = "first"
    r = k @ 3
    r = 4 in Kind()
    k += 5
    return log, k, r


def buffers():
    data = bytearray(6)
    struct.pack_into("<H", data, 1, 0x0102)
    io.BytesIO(b"xyz").readinto(data)
    view = memoryview(data)[3:]
    view[:2] = b"!!"
    view.release()
    items = [3, 1]
    list.__init__(items, "ab"); list.__iadd__(items, [1])
    operator.iconcat(items, [2]); operator.delitem(items, 0)
    items.__setitem__(0, "set"); items.sort(key=str)
    table = {}
    dict.__init__(table, a=1); table.__ior__({"b": 2}); dict.__setitem__(table, "c", items)
    print("x", file=Sink(items))
    sorted([2, 1], key=items.append and (lambda x: items.append(x) or x))
    return data, items, table


def from_afar():
    a, held = 1, [0]

    def inner():
        return a, held

    inner.__closure__[0].cell_contents = "through the cell"
    held = a
    del inner.__closure__[1].cell_contents
    held = []
    sink = Sink(held)
    sink.write(1); append = sink.write
    append(2)
    sink.__dict__["items"] = held + [3]
    attribute = sink.__dict__
    attribute["items"].append(4); attribute["new"] = 5
    del attribute["new"]
    attribute.clear(); attribute["only"] = held
    held = held[:1]
    return a, held, sorted(attribute)


def weak():
    log = []

    class Thing(set):
        pass

    thing = Thing()
    reference = weakref.ref(thing, log.append)
    thing = None
    log = [type(one).__name__ for one in log]
    thing = Thing(); finalizer = weakref.finalize(thing, log.append, "final")
    del thing
    return log, reference(), finalizer.alive


class Other:
    pass


def changed_class():
    other = Other()
    other.x = 1
    other.__class__ = type("Another", (), {})
    return other.x


def defaults(x=[0], *, y={"n": 0}):
    x.append(len(x)); y["n"] += 1
    return x[-1]


main = sys.modules["__main__"]
main.extra = [1]
main.extra.append(2)
setattr(main, "extra", (main.extra,)); main.__dict__["more"] = extra
sys._getframe().f_globals["more"] = [extra]
del main.extra
defaults(); defaults.__defaults__[0].append("from outside")
defaults()
defaults.__kwdefaults__ = {"y": {"n": 10}}
print(iterations(), special_methods()[0], buffers(), from_afar(), weak(), changed_class(), more, defaults())
