"""Memory used again at once, and values that die in the middle of a line."""


class P:
    def __init__(self, i):
        self.i = i


class Slot:
    __slots__ = ("v",)


class Noisy:
    def __init__(self, name, log):
        self.name = name
        self.log = log

    def __del__(self):
        self.log.append(self.name)
        mine = self.log[:]
        self.name = mine


def fresh_lists(n):
    for i in range(n):
        row = [i]
        row = [i, i]
        last = row
        row = None
        row = {i: last}
        last = (i, row)
        i = i * 2
    return row


def fresh_objects(n):
    p = None
    for i in range(n):
        p = P(i)
        p.i += 1
        p = Slot()
        p.v = [i]
        p = None
        p = [P, i]
        p = P([i])
        p.i.append(p.i[0])
    return p.i


def beneath(n):
    """Deeper than is looked at, where others were before."""
    for i in range(n):
        dead = [i, [i, "dead"], "dead"]
        dead = None
        deep = [[[[[[i]]]]]]
        deep = [[[[[[i, i]]]]], deep]
    return deep


def fresh_values(n):
    for i in range(n):
        f = i + 0.5
        big = i + 2**70
        text = "long enough to be an object " + str(i)
        f = f * 2
        big += 1
        text = text[:28]
        pair = (f, big)
        pair = {pair}
        pair = frozenset(pair)


def swaps(n):
    a, b = [1], [2]
    while n:
        a, b = b, a
        b[0] += n
        a = b = [n] if n % 2 else (n,)
        a, b = [n], [n + 1]
        n -= 1
    return a, b


def look(one, *rest):
    same = one
    one = [same]
    return one


def passed(n):
    found = None
    for i in range(n):
        found = look([i])
        found = look([i], [i + 1], i)[0]
        found = look(P(i)); found = look((i, [i]))
        found = [look(look([i])), i]
    return len(found)


def dies():
    log = []
    a = Noisy("first", log)
    a = Noisy("second", log); b = len(log)
    a = b
    held = [Noisy("third", log)]
    held[0] = 1
    held = {"k": Noisy("fourth", log)}
    held.pop("k"); held["k"] = log[:]
    a, b = Noisy("fifth", log), Noisy("sixth", log)
    a = b = None
    Noisy("never bound", log)
    c = [Noisy("list", log), log.append("between")]
    del c
    return log


def moves(n):
    left, right = [0, 1, 2, 3], []
    while left and n:
        right += left[:1]
        left[:1] = []
        left = left if n % 2 else left[::-1]
        n -= 1
    return left, right


x = 1
x = 2; x = [x]
x = {"x": x}
x = x["x"]
i = 0
while i < 20:
    i += 1
    x = [i] if i % 2 else (i, x[0])
    y = P(x)
    y = [y.i]
print(fresh_lists(12), fresh_objects(12), beneath(9), fresh_values(8), swaps(7), dies(), moves(9), passed(6), x, y)
