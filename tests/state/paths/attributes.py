"""Attributes are set in every way there is."""

import types, threading, weakref, functools
class Slots:
    __slots__ = ("a", "b", "__weakref__")
class Desc:
    def __get__(self, o, t=None): return 5 if o is None else o.__dict__.get("_d", 0)
    def __set__(self, o, v): o.__dict__["_d"] = v
class Base:
    def __setattr__(self, k, v):
        object.__setattr__(self, k, v)
class Child(Base):
    d = Desc()
    def __init__(self):
        self.x = 1
        super().__setattr__("y", 2)
        setattr(self, "z", 3)
        vars(self)["w"] = 4
        self.__dict__["v"] = 5
        self.__dict__.update(u=6)
        self.d = 9
    @property
    def p(self): return self._p
    @p.setter
    def p(self, v):
        self._p = v
        self.x += 1
class Meta(type):
    pass
class Cls(metaclass=Meta):
    k = 1
    @classmethod
    def inc(cls):
        cls.k += 1
        return cls.k
def fn(): pass
def main():
    s = Slots()
    s.a = 1
    s.b = 2
    s.a += 10
    Slots.a.__set__(s, 50)
    del s.b
    object.__setattr__(s, "b", 7)
    c = Child()
    c.p = 11
    delattr(c, "w")
    c.__dict__.pop("v")
    c.__dict__ |= {"n": 1}
    c.__dict__ = {"fresh": 1, "x": 0}
    c.x = 2
    put = c.__setattr__
    put("x", 3)
    Base.__setattr__(c, "x", 4)
    type(c).__setattr__(c, "x", 5)
    object.__delattr__(c, "x")
    ns = types.SimpleNamespace(a=1)
    ns.a = 2
    setattr(ns, "b", 3)
    ns.__dict__["c"] = 4
    fn.count = 1
    fn.count += 1
    mod = types.ModuleType("m")
    mod.q = 1
    mod.__dict__["q"] = 2
    loc = threading.local()
    loc.v = 1
    loc.v = 2
    px = weakref.proxy(c)
    px.viaproxy = 1
    px.viaproxy += 1
    Cls.k = 10
    Cls.inc()
    setattr(Cls, "k", 20)
    type.__setattr__(Cls, "k", 30)
    kk = Cls.k
    ps = functools.partial(setattr, c)
    ps("hi", 1)
    list(map(c.__dict__.__setitem__, "ab", (1, 2)))
    c.a = 5
    for c.loopv in range(3):
        pass
    (c.t1, c.t2), *c.rest = (1, 2), 3, 4
    e = [c]
    e[0].x = 100
    e[0].x -= 1
    return c
r = main()
r.x = 12
end = r.x
