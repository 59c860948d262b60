"""Calls that end by an exception: through several frames, with finally in between, caught in a caller or not."""
import contextlib


def raises(n):
    if n == 0:
        raise ValueError(n)
    raises(n - 1)
    return n


def passes(n):
    raises(n)
    print("never")


def cleans(n):
    try:
        passes(n)
    finally:
        print("cleaned")


def returns_in_finally(n):
    try:
        passes(n)
        return "never"
    finally:
        return "swallowed"


def returns_twice():
    for i in range(3):
        try:
            return i
        finally:
            if i == 0:
                continue


def converts(n):
    try:
        cleans(n)
    except ValueError as error:
        raise KeyError(n) from error


def catches(n):
    try: converts(n)
    except (KeyError, OSError): return "caught"
    else: return "never"


class Context:
    def __init__(self, swallows):
        self.swallows = swallows

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        return self.swallows


@contextlib.contextmanager
def generated():
    try:
        yield "in"
    except ValueError:
        print("inside")
    finally:
        print("over")


def with_them():
    with Context(True), Context(False) as inner:
        raises(1)
    with generated() as got:
        print(got, inner.swallows)
        raises(0)
    with generated():
        return "out"


class Lazy:
    def __getattr__(self, name):
        raise AttributeError(name)

    def __bool__(self):
        raise TypeError("bool")


def asks():
    lazy = Lazy()
    print(hasattr(lazy, "a"), getattr(lazy, "b", "default"))
    try:
        if lazy:
            pass
    except TypeError:
        pass


print(returns_in_finally(2))
print(returns_twice())
print(catches(1))
print(with_them())
asks()
try:
    cleans(3)
except ValueError:
    print("at the top")
converts(1)
