"""StopIteration: seen by for, by next, raised in a generator, escaping one."""


def leaks():
    yield 1
    raise StopIteration("becomes RuntimeError")


class Three:
    n = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.n += 1
        if self.n > 3:
            raise StopIteration(self.n)
        return self.n


try:
    list(leaks())
except RuntimeError as error:
    print(error, type(error.__cause__).__name__)
print([n for n in Three()], next(iter(()), "default"))
three = Three()
while True:
    try:
        next(three)
    except StopIteration as stop:
        print(stop.value)
        break
