"""Code in C holds methods of many objects, and calls them much later: more than were ever kept in a list."""

import collections
import functools
import itertools
import tracemalloc

COUNT = 400


class Held:
    def __init__(self, n):
        self.n = n


def make(count):
    every = []
    for n in range(count):
        held = Held(n)
        held.map = {"n": n, "kept": n}
        held.items = [n, n]
        # What these store has the same size as what was there, so only examining it shows that it changed.
        held.putting = map(held.map.__setitem__, itertools.repeat("n"), itertools.count(n + 1))
        held.setting = functools.partial(held.items.__setitem__, 0)
        every.append(held)
    return every


def change(held):
    here = 1
    next(held.putting)
    here = 2
    held.setting("set")
    here = 3
    next(held.putting)
    here = 4
    return here


def end(held):
    """Lets go of the methods. What the last call did has to be seen all the same."""
    here = 1
    last = held.putting
    del held.putting, held.setting
    next(last); del last
    here = 2
    held.map["n"] = "after"
    here = 3
    return here


def at_once():
    held = Held(0)
    held.map = {"n": 0, "x": 0}
    collections.deque(map(held.map.__setitem__, "nx", (1, 2)), 0)
    here = 1
    functools.reduce(held.map.setdefault, ["n", "y"])
    here = 2
    here = 3
    put = held.map.__setitem__
    list(map(put, "nx", (3, 4)))
    here = 4
    for nothing in map(put, "nx", (5, 6)):
        here = 5
    return here


def while_traced():
    """`tracemalloc` takes the place of the recorder's own tracer."""
    found = []
    tracemalloc.start()
    for n in range(8):
        held = Held([n])
        held.n.append(n)
        here = n
        found.append(held.n[-1])
        del held
    many = [[] for n in range(200)]
    del many[-1]
    made = []
    del many
    place = tracemalloc.get_object_traceback(made)[0].lineno
    # Its tracer has to be called all the same: the list has the place in memory of an earlier one.
    assert place == while_traced.__code__.co_firstlineno + 12
    tracemalloc.stop()
    assert not tracemalloc.is_tracing()
    for n in range(8):
        held = Held([n, n])
        held.n.append(n)
        here = n
        found.append(held.n[-1])
        del held
    return found


def main():
    every = make(COUNT)
    near, far = every[:12], every[-12:]
    for held in near + far:
        change(held)
    for held in near[:4] + far[:4]:
        end(held)
    at_once()
    while_traced()
    return len(every)


end_of_all = main()
