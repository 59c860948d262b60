"""C calling Python: key functions, map, filter, reduce, sub, iter with a sentinel, a method slot."""
import functools
import re


def key(x):
    return -x


def odd(x):
    return x & 1


class Missing(dict):
    def __missing__(self, k):
        return k * 2


values = [3, 1, 2]
print(sorted(values, key=key), max(values, key=key), list(map(key, values)), list(filter(odd, values)))
values.sort(key=lambda v: v % 3)
print(functools.reduce(lambda a, b: a * 10 + b, values), re.sub("[ab]", lambda m: m[0].upper(), "abc"))
queue = iter([1, 2, 0])
print(list(iter(lambda: next(queue), 0)), Missing()[4], functools.partial(key, 5)())
try:
    sorted([1, "a"], key=lambda v: v + 1)
except TypeError as error:
    print(type(error).__name__)
