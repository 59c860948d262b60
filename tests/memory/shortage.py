"""Runs out of memory again and again, each time somewhere else, and goes on.

Argument: how many KiB of address space there are to use up."""
import gc
import resource
import sys

HEADROOM = int(sys.argv[1]) << 10
SIZES = [1 << 20, 1 << 16, 1 << 12, 600, 200, 40]
UNLIMITED = resource.getrlimit(resource.RLIMIT_AS)


def used():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def make(number):
    """Functions and classes that nobody has met when memory runs out."""
    names = {}
    exec(
        f"def called{number}(a, b=(1, 2)):\n    c = [a, b, 'text{number}']\n    return c\n"
        f"class Class{number}:\n    def __init__(self, value):\n        self.own{number} = value\n"
        f"def raises{number}(a):\n    d = {{'key{number}': a}}\n    raise KeyError('text{number}', d)\n",
        names,
    )
    return [names[f"called{number}"], names[f"Class{number}"], names[f"raises{number}"]]


def fill(size):
    kept = []
    try:
        while True:
            kept.append(bytes(size))
    except MemoryError:
        return kept


def use(functions):
    for function in functions:
        try:
            function(len)
        except (KeyError, MemoryError):
            pass


def round_of(functions, sizes):
    kept = [None] * len(sizes)
    for i, size in enumerate(sizes):
        kept[i] = fill(size)
        use(functions[i::len(sizes)])
    return kept


functions = [made for number in range(90) for made in make(number)]
recovered = 0
for turn in range(6):
    resource.setrlimit(resource.RLIMIT_AS, (used() + HEADROOM, UNLIMITED[1]))
    some = functions[turn::6]
    try:
        round_of(some, SIZES[: turn + 1])
    except MemoryError:
        pass
    resource.setrlimit(resource.RLIMIT_AS, UNLIMITED)
    gc.collect()
    recovered += len(round_of(some, [])) == 0
print("recovered", recovered, "times", flush=True)
