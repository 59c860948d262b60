"""Names of a module are bound by its functions, from outside, and in its dict."""

# Writes not followed: G1
import sys
import types

import other_module
import other_module as hm
from other_module import A


def main():
    m = other_module
    m.bump()
    a = m.counter
    other_module.bump()
    hm.counter += 5
    m.setconf(2)
    m.rebind()
    b = m.items
    m.bydict()
    c = m.counter
    setattr(m, "counter", 7)
    m.__dict__["counter"] = 8
    vars(m)["counter"] += 1
    d = sys.modules["other_module"]
    d.counter = -1
    A.add(3)
    A.add(4)
    x = A()
    x.inst()
    y = x.total
    x.total = 5
    A.reset()
    z = A.total
    class B(A):
        total = 50
    B.add(1)
    w = B.total
    k = A
    k.reg
    del x.total
    exec("counter = 55", m.__dict__)
    e = m.counter
    exec("global counter\ncounter = 56", m.__dict__)
    ns = {"v": 1}
    exec("v += 1\nw = [v]\ndef f():\n    global v\n    v += 10\n    w.append(v)\nf()\nf()", ns)
    f = ns["v"]
    ns["f"]()
    ns["f"]()
    g = ns["v"]
    loc = {}
    exec("q = 1\nfor q in range(3): pass\nimport os as zz\n", ns, loc)
    h = loc["q"]
    eval("(u := 5)", ns, loc)
    fn = types.FunctionType(ns["f"].__code__, ns)
    fn()
    i = ns["v"]
    return m
r = main()
r.counter = 9
n = other_module.counter
G1 = 1
def setg():
    global G1
    G1 += 1
me = sys.modules["__main__"]
setg()
setg()
me.G1 = 10
gl = globals()
gl["G1"] = 20
setg()
lo = locals()
lo["G1"] = 30
setg()
end = me.G1
