"""Every statement that binds or unbinds a name."""
import os.path as path_module
import string as text_module
from keyword import *
from os.path import basename as base, join


def assignments():
    a = 1
    b: str = "text"
    c: int
    a += 2
    a = b = []
    a += [1]
    b = b + [2]
    c = d = e = (a, b)
    x = 1; y = x + 1; x, y = y, x; z = x * y
    a[0] = 5; b[1] = a[0]; w = a[0]
    x = None; x = x or []; x.append(1); x = x and 0
    big = 2**64; big *= 2**200; big = -big
    f = 1.5; f /= 0.25; f //= 4; f %= 0.4
    s = "a"; s += "é"; s *= 3
    t = (1,); t += (2,)
    p = 5 if z > 3 else 6; p <<= 2; p |= 1; p ^= 7; p &= ~2; p >>= 1; p **= 2; p -= 1
    return c, d, e, w, x, big, f, s, t, p


def unpacking():
    a, b = 1, 2
    (a, b), c = [3, 4], 5
    first, *rest = range(5)
    *most, last = "abc"
    head, (left, *middle, right), *tail = 0, [1, 2, 3, 4], 5, 6
    [one, [two, [three]]] = [1, [2, [3]]]
    held = [0, 0, 0]
    names = {}
    held[0], names["k"], d = 1, 2, 3
    i, held[i] = 2, "at two"
    held[1:], e = ["x", "y", "z"], "sliced"
    a = b = c = held
    *a, = c
    return a, b, first, rest, most, last, head, left, middle, right, tail, one, two, three, d, e


class Box:
    def __init__(self):
        self.item = None


def targets():
    box, held, seen = Box(), [0, 0], {}
    for i in range(2):
        seen[i] = i
    for box.item in "ab":
        seen[box.item] = True
    for held[1] in (7, 8):
        pass
    for seen["k"], (held[0], *rest) in [(1, "xyz"), (2, "uv")]:
        rest.append(held[0])
    for i, c in enumerate("pq"):
        continue
    while (n := len(rest)) < 4:
        rest.append(n)
    if (m := n * 2) > 7 and (k := m - 1):
        m = [k, (k := k + 1), k]
    return box, held, seen, i, c, m


class Manager:
    def __enter__(self):
        return [1, 2]

    def __exit__(self, *exc):
        return True


def contexts():
    box = Box()
    with Manager() as pair:
        pair.append(3)
    with Manager() as (a, b), Manager() as box.item:
        a = b
    with Manager() as [c, *d]:
        c = 1 / 0
    try:
        e = int("x")
    except ValueError as error:
        e = "caught"
        word = error.args[0][:7]
    try:
        raise KeyError(3)
    except (KeyError, IndexError) as error:
        key = error.args[0]
        del error
    try:
        raise ExceptionGroup("g", [ValueError(1)])
    except* ValueError as group:
        count = len(group.exceptions)
    return pair, a, b, box, c, d, e, word, key, count


def imports():
    import string
    import string as other
    import os.path
    from string import digits, ascii_letters as letters
    string = digits[:3]
    letters = letters[:3]
    return string, letters, other, os


def removals():
    a = b = c = [1, 2, 3, 4]
    box = Box()
    del a
    del b[0], b[0:1]
    del box.item
    d = {"x": 1, "y": 2}
    del d["x"]
    a = "again"
    del (a, d)
    a = d = None
    return b, c


def chosen(a, b=2, /, c=[3], *args, d, e={"k": 5}, **kwargs):
    c.append(d); e[d] = a
    args += (b,)
    kwargs["more"] = len(args)
    return lambda *rest, k=d: (rest, k, a)


def generic[T: int](first: T, *, second: T = 2) -> T:
    type Pair = tuple[T, T]
    third = first + second
    return third


type Number = int | float
number, other = 1, [2]
number += 1; other *= 2
print(assignments(), unpacking(), contexts()[:2], removals())
print(targets()[1:], imports()[:2])
print(chosen(1, d=4)(5), chosen(1, 2, [3], 4, d=6, f=7)(k=8), base("a/b"), join("a", "b"), path_module.sep)
for letter in "ab":
    other.append(letter)
del number, letter
text: str = text_module.digits
later: int
print(other, text, generic(1), len(kwlist))
