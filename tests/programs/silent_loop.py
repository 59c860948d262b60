"""Loops without a branch: only an exception ends them."""


def walk(d):
    i = 0
    while True:
        d[i]
        i += 1


def drain(it):
    while 1:
        next(it)


for call in (lambda: walk({0: 1, 1: 1, 2: 1}), lambda: drain(iter([1, 2]))):
    try:
        call()
    except (KeyError, StopIteration) as error:
        print(type(error).__name__)
