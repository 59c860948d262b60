"""Fibonacci numbers, with a leaf that is what the word says."""
import sys


def leaf(n):
    return n * len(sys.argv[1])


def fib(n):
    if n < 2:
        return leaf(n)
    return fib(n - 1) + fib(n - 2)


fib(6)
