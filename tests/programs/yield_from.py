"""Delegation: to a generator, to a list, to an iterator with send and throw."""


def inner():
    x = yield 1
    try:
        yield x
    except KeyError:
        yield "k"
    return "r"


class Hand:
    def __iter__(self):
        return self

    def __next__(self):
        return self.send(None)

    def send(self, value):
        if value == "end":
            raise StopIteration("over")
        return value

    def throw(self, error):
        return "thrown"


def outer():
    result = yield from inner()
    yield from [result, 2]
    yield (yield from Hand())


g = outer()
print(next(g), g.send("s"), g.throw(KeyError), next(g), next(g))
print(next(g), g.throw(ValueError()), g.send("end"), list(g))
