"""throw() into a fresh generator, one that lets it out, and one that stops in answer."""


def plain():
    yield 1


def stops():
    try:
        yield 1
    except ValueError:
        return "stopped"


for started in (False, True):
    g = plain()
    if started:
        next(g)
    try:
        g.throw(ValueError("v"))
    except ValueError:
        print("out")
g = stops()
next(g)
try:
    g.throw(ValueError)
except StopIteration as stop:
    print(stop.value)
