"""A local variable, three calls deep, is as large as the word; a branch depends on it."""
import sys


def inner():
    size = len(sys.argv[1])
    kind = "none"
    if size > 2:
        kind = "long"
    return kind == ""


def middle():
    return inner()


def outer():
    return middle()


outer()
