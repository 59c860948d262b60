"""A generator gives the length of each word; another is closed early."""
import sys


def lengths():
    for word in sys.argv[1:]:
        yield len(word)


def first():
    for length in lengths():
        return length


print(sum(lengths()), first())
