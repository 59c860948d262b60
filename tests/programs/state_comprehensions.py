"""Comprehensions of every sort, in functions, class bodies and modules; class bodies."""


def comprehensions(rows):
    x = "outer"
    flat = [
        x
        for row in rows
        for x in row
        if x
    ]
    squares = {x: x * x for x in flat}
    odd = {x for x in flat if x % 2}
    last = [seen := x for x in flat]
    tables = [[x * y for y in range(2)] for x in (1, 2)]
    lazy = (x + seen for x in flat)
    n = next(lazy)
    rest = list(lazy)
    shared = [lambda: (n, k) for k in (1, 2)]
    called = [f() for f in shared]
    total = sum(
        y
        for y in rest
        if y
    )
    return x, squares, odd, last, tables, n, rest, called, total


class Body:
    size = 2
    items = [i for i in range(3)]
    pairs = {
        str(j): [j]
        for j in items
    }
    for at in items:
        size += at
    del at
    lookup = dict(pairs)
    lookup["n"] = size

    def method(self, k, extra=lookup):
        extra[k] = size = self.size
        return __class__, size

    class Inner:
        depth = 1
        depth += 1

    inner, size = Inner.depth, "last"


cubes = [
    n ** 3
    for n in range(3)
]
nested = [[a * b for b in range(2)] for a in range(2)]
last = {kept := n for n in cubes}
by_name = {
    name: [
        len(name) + n
        for n in (0, 1)
    ]
    for name in ("a", "bc")
}
lazy = (kept + n for n in cubes)
first = next(lazy)
kept = "changed before the rest"
del lazy
several = [
    (a, b)
    for a, *b in ["xyz", "pq"]
    if (pair := (a, b))
]
print(comprehensions([[1, 2], [0, 3]]), Body().method("k")[1], Body.lookup, cubes, nested, by_name, first, pair)
