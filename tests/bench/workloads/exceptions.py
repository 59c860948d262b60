"""Exceptions raised, caught, passed on, replaced, and the common ones from C."""
from contract import run


class Refused(Exception):
    def __init__(self, number):
        super().__init__(number)
        self.number = number


def leaf(i):
    if i % 3 == 0:
        raise Refused(i)
    if i % 3 == 1:
        return int("x")
    return {}["missing"]


def middle(i):
    try:
        return leaf(i)
    except Refused:
        raise
    except ValueError as error:
        raise LookupError(i) from error
    finally:
        i += 1


def outer(i):
    total = 0
    try:
        middle(i)
    except Refused as error:
        total += error.number & 3
    except LookupError as error:
        total += 1 if error.__cause__ else 2
    finally:
        total += 1
    try:
        next(iter(()))
    except StopIteration:
        total += 1
    return total


def kernel(n):
    return sum(outer(i) for i in range(n))


run(kernel, 130_000)
