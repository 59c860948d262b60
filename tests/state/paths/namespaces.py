"""Variables are bound by way of f_locals and of namespaces."""

# Writes not followed: a c x i h
import sys, types, collections
class Log(dict):
    def __setitem__(self, k, v):
        dict.__setitem__(self, k, v)
class M(type):
    @classmethod
    def __prepare__(m, n, b): return Log()
def poke(n, v):
    sys._getframe(1).f_locals[n] = v
def pokeup(**kw):
    sys._getframe(1).f_locals.update(kw)
def main():
    a = 1
    b = [1]
    c = 0
    poke("a", 99)
    d = a
    pokeup(a=5, c=[1, 2])
    e = c
    f = a
    loc = sys._getframe().f_locals
    loc["a"] = 7
    g = a
    loc["extra"] = 1
    for i in range(3):
        poke("i", i * 10)
        j = i
    def cell():
        return h
    h = 1
    poke("h", 2)
    k = cell()
    class C(metaclass=M):
        x = 1
        x += 1
        y = [x]
        y.append(3)
        locals()["dyn"] = 5
        z = dyn
    ns = collections.OrderedDict()
    exec("q = 1\nq += 1\nr = [q]", {}, ns)
    u = ns["q"]
    glob = {"base": 1}
    exec("def t():\n    global base\n    base += 1\n    return base\nt()", glob)
    glob["t"]()
    w = glob["base"]
    eval("b.append(2)")
    eval("[b.append(x) for x in (3, 4)]", {"b": b})
    return a, b
def gen():
    x = 1
    while x < 100:
        yield x
        x += 1
g = gen()
next(g)
g.gi_frame.f_locals["x"] = 50
v = next(g)
w = main()
