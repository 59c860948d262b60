"""Calls `step` once for each word."""
import sys


def step(n):
    return n * 2


total = 0
for word in sys.argv[1:]:
    total += step(int(word))
print(total)
