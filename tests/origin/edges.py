"""Values from classes, generators, threads and C, by the ways there are. As chains.py."""
import threading
from collections import namedtuple
Pair = namedtuple("Pair", "left right")

def gen(upto, step):
    at = 0
    while at < upto:
        got = yield at
        at += step if got is None else got  # upto step

def keyed(item):
    return -item

def outer(a, b=4):
    return middle(**{"c": a, "d": b})

def middle(c, d):
    kept = d  # d
    return kept

def delegating(n):
    back = yield from gen(n, 2)
    yield n

class Base:
    def __init__(self, name):
        self.name = name
    @classmethod
    def make(cls, name):
        made = cls(name)
        return made
    @staticmethod
    def twice(x):
        y = x
        return y
    def __getitem__(self, key):
        found = self.name
        return found
    def __enter__(self):
        return self.name
    def __exit__(self, *a):
        return None
    def __contains__(self, x):
        return True  # x self

class Child(Base):
    def __init__(self, name, extra):
        super().__init__(name)
        self.extra = extra

class Desc:
    def __get__(self, obj, owner):
        return 42

class Uses:
    d = Desc()
    def __getattr__(self, name):
        return name + "!"

def worker(box, value):
    box.append(value)
    inside = value
    return inside  # inside

async def agen(k):
    yield k

async def use():
    out = 0
    async for z in agen(8):
        out = z
    return out

def main():
    s = sum(gen(6, 2))
    g = gen(9, 3)
    n1 = next(g)
    n2 = g.send(5)
    o = outer(1)
    l = [w for w in delegating(3)]
    lst = list(gen(4, 1))
    c = Child("ann", extra=[1])
    nm = c.name
    ex = c.extra
    mk = Base.make("bob").name
    tw = c.twice(3)
    gi = c["zzz"]
    with c as en:
        pass
    ct = "q" in c
    u = Uses()
    ud = u.d
    ug = u.nothere
    p = Pair(1, right=2)
    pl = p.left
    box = []
    t = threading.Thread(target=worker, args=(box, 5))
    t.start(); t.join()
    b0 = box[0]
    m = max([3, 1, 2], key=keyed)
    fn = c.twice
    fv = fn(11)
    d = {}
    for k, v in [("a", 1), ("b", 2)]:
        d[k] = v
    dv = d["b"]
    for i, e in enumerate([7, 8]):
        last = e
    for kk, vv in d.items():
        pass
    try:
        int("x")
    except ValueError as err:
        er = err
    import json
    j = json.loads("[1, 2]")
    j1 = j[1]
    sw1, sw2, sw3 = 1, 2, 3
    sw1, sw2, sw3 = sw3, sw1, sw2
    ca = cb = [9]
    ca.extend([4, 5])
    cx = ca[1]
    cy = ca[0]
    match [1, [2, 3]]:
        case [aa, [bb, *cc]]:
            pass
    (wal := 5)
    lam = (lambda q: q)(6)
    te = s if s else 0
    del sw3
    sw3 = wal
    co = use()
    try:
        co.send(None)
    except StopIteration as st:
        ar = st.value
    tt = tuple(x for x in (1, 2))
    mx = tt[1]
    ss = [1,2,3,4][1:3]
    return s  # s n1 n2 o l lst nm ex mk tw gi en ct ud ug pl b0 m fv dv last i vv er j1 sw1 sw2 sw3 cx cy aa bb cc wal lam te ar tt mx ss g kk

main()
