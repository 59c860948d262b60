"""A thousand generators that nobody finishes; os._exit, so that nobody closes them either."""
import os


def count(start):
    while True:
        yield start
        start += 1


def main():
    generators = [count(n) for n in range(1000)]
    total = 0
    for generator in generators + generators:
        total += next(generator)
    return generators, total


generators, total = main()
print(len(generators), total, flush=True)
os._exit(0)
