"""Whose variable it is: cells, globals, comprehensions, class bodies, namespaces of exec."""
import functools

total = 0
log = []


def globals_change(n):
    global total, made
    total += n
    made = [total]
    log.append(total)
    if n > 1:
        globals_change(n - 1)
        del made
        made = n


def counter():
    count, history = 0, []

    def step(by=1):
        nonlocal count
        count += by
        history.append(count)
        return count

    def reset():
        nonlocal count, history
        del count
        count = 0; history = []

    a = step()
    b = step(5)
    before = count
    reset()
    after = count, history
    step()
    return a, b, before, after, count


def deep(x):
    y = [x]

    def middle():
        nonlocal x
        z = x + 1
        x = z

        def inner():
            nonlocal z, y
            z *= 10
            y = y + [z]
            return x + z

        first = inner()
        inner()
        return first, z

    found = middle()
    return found, x, y


def over_loops():
    functions = []
    for i in range(3):
        functions.append(lambda: i)
        i = -i
    late = [f() for f in functions]
    bound = [(lambda k=k: k * i)() for k in range(3)]
    i = "after"
    return late, bound, functions[0]()


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


def decorate(prefix):
    calls = []

    def decorator(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            calls.append(prefix)
            result = function(*args, **kwargs)
            return result, calls[:]
        return wrapper
    return decorator


@decorate("a")
@decorate("b")
def decorated(n, *, scale=2):
    n *= scale
    return n


def local_class(base):
    attribute = base

    class Local:
        nonlocal attribute
        held = attribute + 1
        attribute = held

        def get(self):
            return attribute, self.held

    attribute += 1
    return Local().get()


space = {"n": 1}
exec("n += 1; items = [n]; items.append(n)\nfor k in items: n += k", space)
del space["__builtins__"]
outer, inner = {"g": []}, {}
exec(compile("made = 1\ng.append(made)\nmade = g\ndel made\nlast = 3", __file__, "exec"), outer, inner)
globals_change(3)
cubes = [
    n ** 3
    for n in range(3)
]
globals()["written"] = cubes
vars()["written"] = written + [total]
nested = [[a * b for b in range(2)] for a in range(2)]
print(counter(), deep(1), over_loops(), comprehensions([[1, 2], [0, 3]]), local_class(4))
print(decorated(3), decorated(4, scale=3), Body().method("k")[1], Body.lookup, total, made, log, written, inner)
