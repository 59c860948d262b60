"""Half of the time in one long call of C code, half in many short calls of Python code."""


def busy():
    return sum(range(6_000_000))


def short(a, b):
    return a + b


def chatty():
    total = 0
    for i in range(60_000):
        total = short(total, i)
    return total


busy()
chatty()
