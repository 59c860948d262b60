"""Counts up for ever, in the way the argument says. The Nth time the marked line begins, N is known."""

import os
import sys


class Box:
    pass


def step(i):
    return i + 1


def calls():
    i = 0
    while True:
        i = step(i)  # calls


def variables():
    i = 0
    while True:
        i += 1  # variables


def attributes():
    box = Box()
    box.n = i = 0
    while True:
        i += 1
        box.n = i  # attributes


def items():
    box = {"n": 0}
    i = 0
    while True:
        i += 1
        box["n"] = i  # items


def lists():
    box = [0]
    i = 0
    while True:
        i += 1
        box[0] = i  # lists


def generators():
    def numbers():
        i = 0
        while True:
            i += 1
            yield i

    box = Box()
    box.n = 0
    for i in numbers():
        box.n = i  # generators


os.write(1, b"%d\n" % os.getpid())
globals()[sys.argv[1]]()
