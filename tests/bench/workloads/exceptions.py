"""Exception-heavy: raise / except / finally / re-raise / chained."""
from contract import run


class MyErr(Exception):
    def __init__(self, n):
        super().__init__(n)
        self.n = n


def leaf(i):
    if i % 3 == 0:
        raise MyErr(i)
    if i % 3 == 1:
        raise ValueError("bad %d" % i)
    return {}["missing"]


def middle(i):
    try:
        return leaf(i)
    except MyErr:
        raise
    except ValueError as e:
        raise KeyError(i) from e
    finally:
        i += 1


def outer(i):
    acc = 0
    try:
        middle(i)
    except MyErr as e:
        acc += e.n & 3
    except KeyError as e:
        acc += 1 if e.__cause__ is not None else 2
    else:
        acc += 100
    finally:
        acc += 1
    try:
        int("x")
    except (TypeError, ValueError):
        acc += 1
    try:
        next(iter(()))
    except StopIteration:
        acc += 1
    return acc


def work(n):
    tot = 0
    for i in range(n):
        tot += outer(i)
    return tot


run(work, 260000)
