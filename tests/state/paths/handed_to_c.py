"""Methods in C that change an object are handed to code in C, which calls them when it likes."""

import collections
import contextvars
import functools
import itertools
import weakref


class Held:
    pass


def main():
    held = Held()
    held.items = [1, 2, 3]
    held.map = {}
    collections.deque(map(held.items.append, (7, 8)), maxlen=0)
    here = 1
    list(filter(held.items.remove, [7]))
    here = 2
    for _ in map(held.items.append, "ab"):
        here = 3
    for item in iter(held.items.pop, 3):
        here = item
    collections.deque(map(held.map.__setitem__, "ab", (1, 2)), 0)
    here = 4
    any(map(held.map.__setitem__, "ab", (3, 0)))
    here = 5
    context = contextvars.copy_context()
    context.run(setattr, held, "n", 8)
    here = 6
    context.run(held.items.clear)
    here = 7
    arguments = (held, "n")
    context.run(setattr, *arguments, 9)
    here = 8
    setting = functools.partial(setattr, held)
    setting("n", 10)
    here = 9
    adding = functools.partial(held.items.append, "p")
    adding()
    here = 10
    functools.reduce(held.map.setdefault, ["x", "y"])
    here = 11
    list(itertools.accumulate([1, 2], held.map.setdefault))
    here = 12
    list(itertools.takewhile(held.items.append, "z"))
    here = 13
    other = Held()
    reference = weakref.ref(other, held.items.append)
    del other
    here = 14
    held.items.clear()
    return here


end = main()
