"""Classes and objects that look like the standard library's and are not, are half made or were tampered with. None of
their code may run for a value: it would end the program."""

import collections
import collections.abc
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import pathlib
import re
import types
import uuid


def show(v): return v
def boom(*a, **k): raise SystemExit("user code was run")
@dataclasses.dataclass
class D:
    x: int
    y: int = 2
d = D(1)
D.__dataclass_fields__ = {"x": 5, 7: boom}
show(d)
D.__dataclass_fields__ = None
show(D(2))
@dataclasses.dataclass
class E: x: int
e = E(1); del e.x; show(e)
E.__repr__ = boom
show(E(3))
class Fake:
    __repr__ = enum.Enum.__repr__
f = Fake(); show(f); f._name_ = "a>b: '"; f._value_ = 1; show(f)
f._name_ = "A"; show(f)
class Fake2:
    __repr__ = fractions.Fraction.__repr__
    def __getattr__(self, n): boom()
g = Fake2(); show(g); g.__dict__["_numerator"] = g; g.__dict__["_denominator"] = g; show(g)
class Fake3:
    __repr__ = uuid.UUID.__repr__
h = Fake3(); h.int = -5; show(h); h.int = 2**200; show(h); h.int = "x"; show(h)
class Fake4(pathlib.PurePosixPath):
    pass
p = Fake4("a", "b"); show(p)
object.__setattr__(p, "_raw_paths", [1, 2]); show(p)
object.__setattr__(p, "_raw_paths", 7); show(p)
class Fake5:
    __repr__ = collections.UserDict.__repr__
k = Fake5(); k.data = k; show(k)
class Fake6:
    __repr__ = collections.ChainMap.__repr__
k = Fake6(); k.maps = [k, k]; show(k)
nt = collections.namedtuple("nt", "a b")
nt._fields = ("x",)
show(nt(1, 2)); nt._fields = 5; show(nt(3, 4))
class DT(datetime.datetime):
    def __new__(cls, *a): s = super().__new__(cls, *a); s.extra = 1; return s
    def __repr__(self): boom()
show(DT(2024, 1, 2)); 
class Dec(decimal.Decimal):
    __slots__ = ("z",)
    def __repr__(self): boom()
z = Dec("1.5"); z.z = 4; show(z)
class TZ(datetime.tzinfo):
    def utcoffset(self, d): boom()
    def __repr__(self): boom()
show(datetime.datetime(2024,1,2,tzinfo=TZ()))
pa = functools.partial(show, 1, a=2); pa.__setstate__((show, (3,), {}, None)); show(pa)
class P(functools.partial): pass
show(P(show, 5, q=P(show)))
class Meta(type):
    def __getattribute__(self, n): return super().__getattribute__(n)
    def mro(cls): return [cls, object]
class M(metaclass=Meta): 
    def __init__(self): self.a = 1
show(M())
big = {i: i for i in range(100)}
show(big.keys()); show(types.MappingProxyType(big)); show(types.MappingProxyType(collections.UserDict(a=1)))
class Mapping(collections.abc.Mapping):
    def __getitem__(s, k): boom()
    def __iter__(s): boom()
    def __len__(s): return 1
show(types.MappingProxyType(Mapping()))
show(re.compile("x" * 300)); m = re.match("(x)*", "x" * 300); show(m)
b = bytearray(b"aaa"); m = re.match(b"a+", b); show(m); b.extend(b"b" * 100); show(m)
class S(str): pass
show(re.match("a", S("abc")))
show(decimal.Decimal(10) ** 5000); show(decimal.Decimal("1E-999999"))
dd = {}; v = dd.values(); dd["v"] = v; show(v); show(dd)
pp = functools.partial(show); pp.__setstate__((pp, (pp,), {"k": pp}, {})) ; show(pp); pp.__setstate__((show, (), {}, {}))
show(types.SimpleNamespace(**{"a b": 1, "type": 2}))
class NS(types.SimpleNamespace): pass
show(NS(a=1))
class F(enum.Flag):
    A = 1; B = 2
show(F.A | F.B); show(~F.A)
c = types.SimpleNamespace(); c.self = c; show(c); show([c])
print("ok")
