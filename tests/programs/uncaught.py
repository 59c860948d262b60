"""Ends by an exception nobody handles."""


def outer(n):
    return inner(n) + 1


def inner(n):
    return 10 // n


print(outer(5))
outer(0)
