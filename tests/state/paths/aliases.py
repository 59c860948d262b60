"""What is changed under one name is seen under another."""

import copy
class Node:
    def __init__(self, v, nxt=None):
        self.v, self.nxt = v, nxt
def mutate(x): x.v += 1
def mutlist(l): l.append(len(l))
def outer():
    n = 0
    acc = []
    def inner(k):
        nonlocal n
        n += k
        acc.append(n)
        return n
    for i in range(3):
        inner(i)
    return n, acc, inner
def gen(l):
    while True:
        x = yield len(l)
        if x is None: return
        l.append(x)
G = 0
def bump():
    global G
    G += 1
    globals()["H"] = G * 2
def main():
    a = Node(1)
    b = Node(2, a)
    c = b.nxt
    mutate(c)
    v = a.v
    b.nxt.v = 50
    v = a.v
    l = []
    m = l
    mutlist(m)
    mutlist(l)
    n, acc, inner = outer()
    inner(10)
    acc[0] = "first"
    g = gen(l)
    next(g)
    g.send("s")
    try: g.send(None)
    except StopIteration: pass
    bump()
    bump()
    h = G
    d = copy.deepcopy(b)
    d.nxt.v = 7
    e = copy.copy(b)
    e.v = 8
    w = [x.v for x in (a, b, c)]
    [mutate(x) for x in (a, b)]
    a.v, b.v = b.v, a.v
    li = [1, 2, 3]
    li[0], li[2] = li[2], li[0]
    for i, li[1] in enumerate("ab"):
        q = li[1]
    k = {}
    for k["i"] in range(2):
        pass
    def late(x=[]):
        x.append(1)
        return x
    late()
    r = late()
    exec("y = 5\na.v = 99")
    z = a.v
    class Body:
        items = []
        items.append(1)
        for i in range(3):
            items.append(i)
        total = sum(items)
        def f(self): return self.total
    bo = Body()
    bo.total += 1
    Body.total = 4
    del bo.total
    t = bo.total
    match {"k": [1, {"z": 2}]}:
        case {"k": [first, {"z": zz}], **rest}:
            first += 1
    try:
        raise ValueError("x")
    except ValueError as ex:
        ex.note = "n"
        msg = ex.args[0]
    if (wal := len(li)) > 1:
        wal += 1
    lst = [*li, *l]
    del lst[0], k["i"]
    return a
x = main()
x.v = -1
y = x.v
