"""Every sort of plain value, up to the limits of what is kept, and long code without a call."""


def values():
    v = None
    v = True; w = False
    v = ...; w = NotImplemented
    v = float("nan"); w = float("inf"); u = -0.0
    v = -w; w = 1e300; u = 5e-324; t = 0.1
    v = 2**63 - 1; w = 2**63; u = -2**63; t = -2**63 - 1
    v = 10**299; w = "x" * 200; u = b"\x00\xff'\"" * 3
    v = "ж\ud800\U0001f600\t'"; w = 'it"s'; u = "it's"
    v = 3 - 4j; w = range(3); u = slice(1, None, 2)
    v = (1, [2, {3: {4}}]); w = ((), [], {}, set(), frozenset())
    v = []; v.append(v); w = {}; w["me"] = w
    v = [[1, [2]], w]; w = frozenset({1})
    v = "str"; v = 1; v = [v]; v = {1: v}; v = (v, v); v = 1.0
    return t


def limits():
    many = list(range(48))
    many.append("one more")
    many += ["fifty"]
    many.append("too many")
    many.append("far too many"); many[0] = -1
    del many[2:]
    text = "x" * 199
    text += "y"
    text += "z"
    text = text[:200]
    number = 10**298
    number *= 10
    number *= 1000
    number //= 10**300
    deep = [[[1]]]
    deep = [deep]
    deep[0][0][0].append(2)
    deep = deep[0]
    deep[0][0].append(3)
    wide = [[i] for i in range(14)]
    wide.append([14])
    wide.append([15]); wide[0].append("changed")
    wide[3:] = ["few"]
    table = {i: str(i) for i in range(50)}
    table["more"] = 1
    del table[0], table[1]
    table["last"] = []; table["last"].append(1)
    return many, deep, wide, len(text), number


def shared():
    inner = [1]
    outer = [inner, inner, (inner,)]
    inner.append(2)
    outer[0].append(outer[1])
    tangled = {"in": inner}
    inner.append(tangled)
    inner.clear()
    tangled["in"] = tangled
    return outer, len(tangled)


def straight():
    x = 1; x = 2; x = 3; x = "a"; x = x + "b"; x = 1.5
    x = 1
    x = 2
    x = x
    x = 300
    x = x + 1
    y = x
    x = y = -x
    x = "s"; y = x; x = 5; y = [x]; x = y; y = 6
    x = [x, y]
    x = [x]
    x = x[0][0]
    y = x[0]
    x = {}
    x["a"] = 1; x["b"] = 2
    x["a"] = x
    x = y = None
    x = True
    x = not x
    x = -1 if x else 1
    return x


def silent(n):
    i = total = 0
    odd = even = 0
    while i < n:
        i += 1
        if i % 3 == 0:
            continue
        if i & 1:
            odd += i
        else:
            even = even - i
        total = odd * even
    return total


x = 1
x = 2; y = x; x = "three"
x = 4
x = [x]; y = x
x = 5.5
print(values(), limits(), shared(), straight(), silent(60), x, y)
