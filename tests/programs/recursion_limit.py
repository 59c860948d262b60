"""Runs into the recursion limit."""
import sys

sys.setrecursionlimit(200)


def down(n):
    return down(n + 1)


try:
    down(0)
except RecursionError as error:
    print(error)
