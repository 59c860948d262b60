"""send, throw, close, a return value, and for over a generator."""


def echo(n):
    got = None
    try:
        while n:
            try:
                got = yield got
            except KeyError:
                got = "caught"
            n -= 1
        return "done"
    finally:
        got = None


g = echo(3)
next(g)
print(g.send(1), g.throw(KeyError("k")), g.send(2) if False else "")
try:
    g.send(3)
except StopIteration as stop:
    print(stop.value)
closed = echo(2)
next(closed)
closed.close()
for item in echo(2):
    print(item)
