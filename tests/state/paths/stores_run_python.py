"""Instructions that store, and run code in Python to do it."""

import collections, fractions, pathlib, dataclasses, enum, operator
@dataclasses.dataclass(frozen=True)
class K:
    a: int
class E(enum.Enum):
    X = 1
    Y = 2
class Idx:
    def __init__(self, n): self.n = n
    def __index__(self): return self.n
def g():
    yield from (5, 6)
def main():
    d = {}
    d[K(1)] = "one"
    d[fractions.Fraction(1, 2)] = "half"
    d[pathlib.PurePath("a")] = 3
    d[(E.X, K(2))] = 4
    d[K(1)] += "x"
    n = len(d)
    l = [1, 2, 3, 4]
    l[Idx(1)] = 20
    l[Idx(-1)] += 5
    l[Idx(0):Idx(2)] = g()
    del l[Idx(0)]
    t = ([1], 2)
    try:
        t[0] += g()
    except TypeError:
        pass
    s = {1}
    s |= {K(3)}
    u = {"a": 1}
    u |= collections.UserDict(b=2)
    u.update(c=3)
    u.update({"d": 4}, e=5)
    u.setdefault("f", []).append(9)
    q = collections.deque([1, 2], maxlen=3)
    q += g()
    q.appendleft(0)
    q[Idx(1)] = 77
    q.rotate(1)
    m = {"k": [0]}
    m["k"][0] += 1
    m["k"] += g()
    x, m["k"][Idx(1)] = 3, 4
    for l[0] in g():
        pass
    with open("/dev/null") as m["f"]:
        m["f"] = None
    c = collections.Counter()
    c["z"] += 1
    c.update("zzy")
    c.subtract({"z": 2})
    c += collections.Counter("b")
    dd = collections.defaultdict(list)
    dd["p"].append(1)
    dd["p"] += g()
    od = collections.OrderedDict(a=1, b=2)
    od.move_to_end("a")
    od.popitem()
    od["q"] = 5
    cm = collections.ChainMap({}, {"w": 1})
    cm["w"] = 2
    cm.maps[1]["w"] = 3
    operator.setitem(u, "a", 10)
    operator.iadd(l, [8])
    operator.delitem(u, "c")
    b = bytearray(b"abc")
    b[0] = Idx(65)
    b += b"zz"
    b[1:2] = b"Q"
    b.extend(g())
    return d, l, u
r = main()
end = 1
