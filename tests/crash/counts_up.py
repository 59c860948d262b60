"""Counts up, and says so when it has counted as far as the argument says."""

import os
import sys


def step(i):
    return i + 1


def main(enough):
    i = 0
    while True:
        i = step(i)
        if i == enough:
            os.write(1, b"%d\n" % os.getpid())


main(int(sys.argv[1]))
