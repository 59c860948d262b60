"""C code changes what it is handed."""

import json, re, itertools, functools, struct, io, csv, operator, collections, configparser, argparse, string, types, copy, pickle, ctypes
class P(ctypes.Structure):
    _fields_ = [("a", ctypes.c_int), ("b", ctypes.c_double)]
class Obj: pass
def main():
    o = Obj()
    o.l = [3, 1, 2]
    sorted(o.l)
    o.l.sort()
    it = iter(o.l)
    next(it)
    d = {}
    list(map(d.setdefault, "abc", itertools.count()))
    functools.reduce(lambda a, b: (d.__setitem__(b, a), a + 1)[1], "xyz", 0)
    buf = bytearray(16)
    struct.pack_into("<i", buf, 4, 1000)
    mv = memoryview(buf)
    mv[0] = 255
    io.BytesIO(b"zzzz").readinto(buf)
    p = P(1, 2.0)
    p.a = 5
    o2 = pickle.loads(pickle.dumps(o))
    o2.l.append(1)
    o3 = copy.copy(o)
    o3.new = 1
    ns = argparse.Namespace()
    ap = argparse.ArgumentParser()
    ap.add_argument("--n", type=int, default=4)
    ap.parse_args(["--n", "9"], namespace=ns)
    n = ns.n
    o.l[:] = reversed(o.l)
    operator.setitem(o.l, 0, "Z")
    operator.attrgetter("l")(o).append(4)
    dict.update(d, q=1)
    dict.__setitem__(d, "r", 2)
    dict.pop(d, "q")
    list.append(o.l, 5)
    list.__setitem__(o.l, slice(0, 1), [1, 1])
    list.__iadd__(o.l, [6])
    set_ = set()
    set.add(set_, 1)
    set_.update([2], [3])
    set_.symmetric_difference_update({3, 4})
    setattr(*(o, "star", 1))
    d2 = dict.fromkeys("ab", 0)
    d2["a"] += 1
    for k in list(d2): d2[k] = k * 2
    d2.clear()
    any(map(d2.__setitem__, "mn", (1, 2)))
    max([1, 2], key=lambda v: o.l.append(v) or v)
    o.l.sort(key=lambda v: setattr(o, "seen", v) or str(v))
    w = o.seen
    s = io.StringIO()
    s.write("x")
    re.sub("a", lambda mm: (d.update(sub=mm.group()), "b")[1], "aa")
    js = json.loads('{"a": [1, 2]}', object_hook=lambda h: (o.__dict__.update(hook=1), h)[1])
    js["a"][0] = 5
    types.MethodType(setattr, o)("meth", 3)
    e = o.meth
    return o
z = main()
z.q = 1
end = z.q
