import warnings
warnings.simplefilter("ignore")
"""Objects of every odd layout there is, handed around so that they are looked at."""
import array, ast, collections, ctypes, datetime, decimal, enum, fractions, functools, io, itertools, operator, re
import sqlite3, struct, threading, types, weakref, gc, contextvars, random, string, sys, queue, hashlib, zlib, json, csv


def take(value):
    kept = value
    other = [value]
    return kept


def every():
    yield object()
    yield ast.parse("a = [b.c(1, *d, e=2) for b in f if g]\nasync def h(x: int = 3) -> None: await i")
    for name in dir(ast):
        kind = getattr(ast, name)
        if isinstance(kind, type) and issubclass(kind, ast.AST):
            try:
                yield kind()
            except TypeError:
                continue  # deprecated ones that are no nodes
            class Child(kind):
                pass
            yield Child()
            class Slotted(kind):
                __slots__ = ("one", "two")
            child = Slotted()
            child.two = 2
            yield child
    class Point(ctypes.Structure):
        _fields_ = [("x", ctypes.c_int), ("y", ctypes.py_object)]
    yield Point(1, "y")
    class Union(ctypes.Union):
        _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]
    yield Union()
    yield (ctypes.c_int * 5)()
    yield ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 1)
    yield ctypes.pointer(ctypes.c_int(3))
    bases = [int, float, complex, str, bytes, bytearray, tuple, list, dict, set, frozenset, collections.deque,
             collections.OrderedDict, collections.defaultdict, collections.Counter, array.array, datetime.datetime,
             datetime.date, datetime.timedelta, datetime.timezone, decimal.Decimal, decimal.Context, fractions.Fraction,
             Exception, OSError, StopIteration, UnicodeDecodeError, ImportError, BaseExceptionGroup, SyntaxError, types.ModuleType,
             types.SimpleNamespace, weakref.ref, functools.partial, itertools.count, itertools.chain, io.StringIO, io.BytesIO,
             threading.local, type, property, classmethod, staticmethod, super, struct.Struct, random.Random, enumerate, zip, map,
             filter, reversed, memoryview, contextvars.ContextVar, sqlite3.Connection, sqlite3.Row, queue.SimpleQueue,
             re.Pattern, operator.itemgetter, functools.lru_cache, slice, range, collections.ChainMap, enum.Enum,
             json.JSONEncoder, json.JSONDecoder, csv.Dialect, io.TextIOWrapper, io.BufferedReader, io.FileIO, string.Template]
    made = {int: [2**100], str: ["é" * 50], bytes: [b"x" * 99], tuple: [(1, 2, 3)], list: [[1, 2]], dict: [{1: 2}], array.array: ["d", [1.5]],
            datetime.datetime: [2020, 1, 1], datetime.date: [2020, 1, 1], datetime.timezone: [datetime.timedelta(0)],
            weakref.ref: [take], functools.partial: [take, 1], types.ModuleType: ["m"], type: ["T", (), {}], classmethod: [take],
            staticmethod: [take], struct.Struct: ["i"], enumerate: [[1]], map: [take, [1]], filter: [None, [1]], reversed: [[1]],
            BaseExceptionGroup: ["m", [ValueError(1)]], UnicodeDecodeError: ["utf-8", b"a", 0, 1, "r"], sqlite3.Connection: [":memory:"],
            string.Template: ["$x"], collections.deque: [range(200)], collections.OrderedDict: [{1: 2, 3: 4}], set: [range(99)], frozenset: [[1]]}
    for base in bases:
        for body in ({}, {"__slots__": ()}, {"__slots__": ("one", "two")}, {"__slots__": ("__dict__",)}, {"__slots__": ("__weakref__", "one")}):
            for more in ((), (Mixin,)):
                try:
                    kind = type("Kind", (base, *more), dict(body))
                    made_one = kind(*made.get(base, []))
                except Exception:
                    continue
                yield made_one
                for name in ("one", "two", "three"):
                    try:
                        setattr(made_one, name, name)
                    except Exception:
                        pass
                yield made_one
                try:
                    yield kind.__new__(kind)
                except Exception:
                    pass
        try:
            yield base.__new__(base)
        except Exception:
            pass
    class Changed:
        pass
    class Other:
        pass
    changed = Changed()
    changed.one = 1
    changed.__class__ = Other
    changed.two = 2
    yield changed
    class Metaclass(type):
        own = 1
    yield Metaclass("Made", (int,), {"one": 1})
    def generator():
        received = yield 1
        yield received
    going = generator()
    yield going
    next(going)
    yield going
    yield going.gi_frame
    yield going.gi_code
    yield sys._getframe()
    yield sys._getframe().f_locals
    yield types.CellType()
    yield types.MethodType(take, 1)
    yield (lambda: 1).__get__(1)
    yield [].append
    yield list.append
    yield type.__call__
    yield [].__len__
    yield dict.__dict__["fromkeys"]
    yield iter([1]); yield iter({1: 2}); yield {1: 2}.keys(); yield {1}.__iter__()
    yield re.compile("a(b)").match("ab")
    yield hashlib.md5(b""); yield zlib.compressobj(); yield contextvars.copy_context(); yield sys.flags; yield sys.float_info
    cursor = sqlite3.connect(":memory:").execute("select 1, 'a'")
    yield cursor
    yield gc.get_objects()[:50]
    for made_one in gc.get_objects()[::40]:
        yield made_one


class Mixin:
    __slots__ = ()


class Items:
    __slots__ = ()
    def __setitem__(self, key, value): pass
    def __getitem__(self, key): return key
    def __delitem__(self, key): pass
    def __iadd__(self, other): return self


def nothing_behind():
    for _ in range(40):
        empty = Items()
        empty[1] = 2
        empty["a"] = empty[1]
        empty += 1
        del empty[0]
        empty[1:2] = [3]
        try:
            list.append(empty, 1)
        except TypeError:
            pass
        try:
            list.sort(empty)
        except TypeError:
            pass
        try:
            list.append()
        except TypeError:
            pass


class Last:
    def __init__(self, *held):
        self.held = held
    def __del__(self):
        take(self)
        take(self.held)
        for one in self.held:
            take(one)


def at_the_end():
    for made in ([1, 2], {1: 2}, {1, 2}, collections.deque([1]), collections.OrderedDict(a=1), array.array("i", [1])):
        last = Last(made)
        if hasattr(made, "append") and not isinstance(made, array.array):
            made.append(last)
        elif isinstance(made, dict):
            made["last"] = last
        last.me = last
        weakref.finalize(last, take, made)
        del last, made
        gc.collect()
    held = collections.deque(Last(i) for i in range(130))
    held.clear()
    many = collections.OrderedDict((i, Last(i)) for i in range(50))
    many.clear()
    listed = [Last(i) for i in range(50)]
    listed[10:40] = []
    listed.clear()
    mapped = {i: Last(i) for i in range(50)}
    mapped.clear()


class Sorted:
    def __init__(self, value, owner):
        self.value, self.owner = value, owner
    def __lt__(self, other):
        take(self.owner)
        return self.value < other.value


def while_mutated():
    values = []
    values.extend(Sorted(i % 7, values) for i in range(30))
    values.sort()
    line = collections.deque(range(100))
    for i in range(300):
        line.rotate(i)
        line.append(i)
        line.popleft()
        take(line)
    class Key:
        def __hash__(self): return 1
        def __eq__(self, other):
            take(held)
            return self is other
    held = {}
    for i in range(6):
        held[Key()] = i
    tuple(take(held) for i in range(3))
    def half():
        for i in range(5):
            found = [o for o in gc.get_referrers(marker) if type(o) is tuple]
            take(found)
            yield marker
    marker = object()
    tuple(half())


def main():
    count = 0
    for value in every():
        take(value)
        count += 1
    nothing_behind()
    at_the_end()
    while_mutated()
    return count


print(main() > 900)
