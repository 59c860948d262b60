"""Whose variable it is: cells, globals, namespaces of exec."""
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
globals()["written"] = [0]
vars()["written"] = written + [total]
exec("added = [1]; added += written")
globals().update(updated=[added], log=log + ["new"])
del globals()["updated"]
print(counter(), deep(1), over_loops(), local_class(4))
print(decorated(3), decorated(4, scale=3), total, made, log, written, inner)
