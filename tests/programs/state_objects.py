"""Every way to give an object an attribute, and to take it away."""
import enum
import operator
from dataclasses import dataclass, field, replace
from types import SimpleNamespace


class Point:
    kind = "plain"

    def __init__(self, x, y=0):
        self.x = x
        self.y = y

    def move(self, by):
        self.x += by; self.y -= by
        self.moved = True
        return self


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self):
        self.a = [1]
        self.a.append(2)


class Mixed(Slotted):
    def __init__(self):
        super().__init__()
        self.extra = {"k": self.a}


class Guarded:
    def __init__(self):
        self.count = 0

    @property
    def value(self):
        return self._value

    @value.setter
    def value(self, new):
        self.count += 1
        self._value = new

    @value.deleter
    def value(self):
        del self._value


class Typed:
    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __get__(self, instance, owner):
        return self if instance is None else getattr(instance, self.name, None)

    def __set__(self, instance, value):
        instance.__dict__[self.name] = int(value)


class Measured:
    width = Typed()
    height = Typed()


class Proxy:
    def __init__(self):
        object.__setattr__(self, "data", {})
        object.__setattr__(self, "log", [])

    def __setattr__(self, name, value):
        self.log.append(name)
        self.data[name] = value

    def __delattr__(self, name):
        self.log.append("-" + name)
        del self.data[name]

    def __setitem__(self, key, value):
        self.data[key] = [value]

    def __delitem__(self, key):
        self.data.pop(key, None)


@dataclass
class Record:
    name: str
    tags: list = field(default_factory=list)
    size: int = 0

    def __post_init__(self):
        self.size = len(self.tags)


@dataclass(frozen=True, slots=True)
class Frozen:
    x: int
    seen: tuple = ()

    def mark(self, what):
        object.__setattr__(self, "seen", self.seen + (what,))


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


def plain():
    p = Point(1)
    q = p
    p.x = 5; q.y = p.x + 1
    p.x += 1
    setattr(p, "z", [])
    p.z.append(3)
    delattr(p, "y")
    p.__dict__["w"] = 7
    vars(p).update(v=8, x=None)
    del p.x
    p.__dict__ = {"only": 1}
    p.only = 2
    p.__class__ = Measured
    q = Point(2).move(3); q.move(1)
    Point.kind = "changed"
    return vars(p), vars(q)


def others():
    s = Slotted()
    s.b = "two"; s.a = s.b
    del s.b
    m = Mixed(); m.b = 1; m.extra["k"] += [3]
    g = Guarded()
    g.value = 1; g.value = [g.value]
    g.value += [2]
    del g.value
    t = Measured(); t.width = "3"; t.height = 4.5
    t.width += 1
    r = Proxy(); r.name = 1; r["k"] = 2
    r.name = 3; del r.name; del r["k"]
    n = SimpleNamespace(a=1); n.b = 2; n.a += 1
    operator.setitem(r.data, "o", 1); operator.delitem(r.data, "o")
    operator.attrgetter("a")(n); r.log[:] = []
    return s.a, m.a, g.count, vars(t), r.data, n


def data():
    a = Record("a", ["x"])
    b = replace(a, name="b", tags=a.tags + ["y"])
    a.tags.append("z"); b.size += 10
    f = Frozen(1)
    f.mark("one"); f.mark("two")
    try:
        f.x = 2
    except AttributeError as error:
        caught = type(error).__name__
    level = Level.LOW
    level = Level["HIGH"]
    return a, b, f, caught, level.name


point = Point("module")
point.x = [point.x]
print(plain(), others(), data(), vars(point.move.__self__))
