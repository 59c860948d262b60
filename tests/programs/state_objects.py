"""Every way to give an object an attribute, and to take it away."""
import enum
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
    q = Point(2).move(3); q.move(1)
    Point.kind = "changed"
    return vars(p), vars(q)


def others():
    s = Slotted()
    s.b = "two"; s.a = s.b
    del s.b
    m = Mixed(); m.b = 1; m.extra["k"] += [3]
    n = SimpleNamespace(a=1); n.b = 2; n.a += 1
    n.__dict__["c"] = m.extra
    many = Point(0)
    for i in range(34):
        setattr(many, f"a{i}", i)
    del many.a3; many.a0 = "last"
    m.extra = vars(many)
    m.extra.clear()
    return s.a, m.a, n, vars(many)


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
