"""Variables of a frame that another frame changes, and class bodies whose namespace runs code."""
import sys


def poke(v):
    sys._getframe(1).f_locals["a"] = v


def deep(v):
    poke2(v)


def poke2(v):
    sys._getframe(2).f_locals["a"] = v
    here = 1


def many(**values):
    sys._getframe(1).f_locals.update(values)


def f():
    a = 1
    poke(99)
    b = a
    deep(7)
    c = a
    for i in range(3):
        poke(i)
        d = a
        e = d
    many(a=5, b=6)
    here = 1
    try:
        raises(8)
    except ValueError:
        here = 2
    g = a
    return b


def raises(v):
    sys._getframe(1).f_locals["a"] = v
    raise ValueError


def gen():
    x = 1
    while True:
        y = yield x
        z = x


def h():
    g = gen()
    next(g)
    g.gi_frame.f_locals["x"] = 50
    w = g.send(1)
    w = g.send(2)
    return w


class Namespace(dict):
    def __setitem__(self, name, value):
        super().__setitem__(name, value)
        here = 1


class Meta(type):
    @classmethod
    def __prepare__(cls, name, bases):
        return Namespace()


class Made(metaclass=Meta):
    x = 1
    x = 2
    y = [x]
    y = (x, y)
    del x

    def method(self):
        pass


f()
h()
