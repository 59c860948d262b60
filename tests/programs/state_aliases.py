"""Objects changed where the variable that is looked at is not named."""
import functools
import operator


class Node:
    def __init__(self, value):
        self.value = value
        self.children = []
        self.d = 0


class Holder:
    def __init__(self):
        self.b = Node("b")
        self.b.c = [Node("c")]
        self.notes = {}


def chains():
    a = Holder()
    leaf = a.b.c[0]
    a.b.c[0].d = 1
    a.b.c[0].d += 1
    a.b.c[0].children.append("x")
    a.notes["k"] = leaf.children
    a.notes["k"] += ["y"]
    a.b.c[0].children[0], a.b.c[0].d = "z", -1
    leaf.children = leaf.children[:1]
    return leaf.d, leaf.children, a.notes


def grids():
    grid = [[0] * 2 for _ in range(2)]
    row = grid[1]
    grid[1][0] = 5
    row[1] = 6
    same = [[]] * 3
    same[0].append(1)
    table = {"rows": grid, "first": grid[0]}
    table["first"][0] -= 1
    table["rows"][0], table["first"] = [9], "gone"
    pair = (row, {"in": row})
    pair[1]["in"].append(7)
    try:
        pair[0] += [8]
    except TypeError:
        row.append("kept")
    back = []
    back.append(back); back.append(1)
    return grid, same, table, pair, len(back)


def give(items, mapping):
    items.append("given")
    mapping["given"] = items
    items = []
    items.append("own")
    return items


def watch():
    mine, table = [], {}
    alias = mine

    def by_closure():
        mine.append("closure")
        return len(alias)

    own = give(mine, table)
    n = by_closure()
    give(*(mine, {}))
    give(items=alias, mapping=table)
    return own, n, mine, sorted(table)


def callbacks():
    seen, totals = [], {"n": 0}

    def note(x):
        seen.append(x)
        totals["n"] += x
        return x * 2

    doubled = list(map(note, [1, 2]))
    kept = list(filter(lambda x: note(x) > 4, [1, 3]))
    reduced = functools.reduce(lambda a, b: seen.append(b) or a + b, doubled)
    bound = functools.partial(note, 10)
    result = bound()
    lazy = map(seen.append, "ab")
    next(lazy)
    largest = max([3, 9, 4], key=note)
    each = [operator.iadd(seen, [k]) for k in "z"]
    operator.setitem(totals, "set", seen[0])
    for method in (seen.clear, totals.clear):
        method()
    return doubled, kept, reduced, result, largest, len(each)


@functools.lru_cache(maxsize=None)
def fibonacci(n, calls=[]):
    calls.append(n)
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def collect(n, into):
    if n:
        into.append(n)
        collect(n - 1, into)
        into[0] += n
    return into


shared = [0]
view = {"shared": shared}
shared.append(1)
view["shared"] *= 2
print(chains(), grids(), watch(), callbacks(), fibonacci(8), collect(4, [0]), shared)
