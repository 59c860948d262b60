"""Every method of dicts and sets that changes them."""
from collections import Counter, OrderedDict, defaultdict


def dicts():
    d = {"a": 1}
    d["b"] = 2; d["a"] += 10
    d.update(c=3)
    d.update([("e", 5), ("a", 0)], f=6)
    got = d.setdefault("g", [])
    d.setdefault("g", None).append(1)
    got += [2]
    out = d.pop("b")
    out = d.pop("zz", out)
    last = d.popitem()
    d |= {"h": 8}
    e = d | {"i": 9}
    del d["h"], d["a"]
    d = {**d, "new": None}
    d.clear()
    e.update({1: "one", (1, 2): "pair", None: 0})
    f = dict.fromkeys("xy", 0); f["x"] -= 1
    for k in list(f):
        f[k] = f.pop(k), k
    return d, e, f, got, out, last


def equal_hashes():
    # -1 and -2 have one hash, as have 5 and 5 + 2**61 - 1, 1 and True and 1.0.
    d = {-2: "two"}
    d[-1] = "one"
    del d[-2]
    d[-2] = "again"; d[-1] += "!"
    try:
        del d[-1], d[-1]
    except KeyError:
        d[5] = 5
    d[5 + 2**61 - 1] = "long"; d[5] += 1
    d[1] = "int"; d[True] = "bool"; d[1.0] = "float"
    many = dict.fromkeys(range(300)); many[-2] = 2
    many[-1] = 1; size = len(many)
    missing = defaultdict(list, {-2: []})
    missing[-1].append(1)
    missing[-2].append(2)
    return d, many, missing, size


def more_dicts():
    groups = defaultdict(list)
    groups["a"].append(1)
    groups["b"]
    groups["a"] += [2]
    nested = defaultdict(lambda: defaultdict(int)); nested["x"]["y"] += 1
    inner = nested["x"]; inner["z"] += 5
    c = Counter("abca")
    c.update("bb")
    c.subtract({"a": 5, "z": 1})
    c["new"] += 1
    c += Counter(q=2)
    c = -c - c
    o = OrderedDict(a=1, b=2, c=3)
    o.move_to_end("a")
    o.move_to_end("c", last=False)
    out = o.popitem(last=False)
    o["d"] = 4; del o["b"]; o["b"] = 5
    o.update(a=0); o |= {"e": 1}
    return groups, c, o, out, inner


def sets():
    s = {1, 2}
    s.add(3); s.add(1)
    s.discard(9); s.remove(1)
    s |= {4, 5}
    s &= {2, 4, 6, 5}
    s ^= {5, 7}
    s -= {2}
    s.update([8], (9,))
    s.difference_update({8}); s.intersection_update({4, 7, 9}); s.symmetric_difference_update({4, 10})
    out = s.pop()
    f = frozenset(s); f |= {99}
    s.clear()
    s = set("ab"); s.update("cd")
    return out, f, sorted(s)


for function in (dicts, equal_hashes, sets):
    result = function()
    print(function.__name__, result)
groups, counts, order, out, inner = more_dicts()
print(groups, counts, order, out, dict(inner))
