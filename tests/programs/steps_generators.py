"""Generators are one call each however often suspended: nested, interleaved, delegating, left, closed, thrown into."""


def count(n):
    for i in range(n):
        yield i
    return "counted"


def squares(source):
    for i in source:
        j = i * i
        yield j


def flatten(tree):
    for node in tree:
        if isinstance(node, list):
            yield from flatten(node)
        else:
            yield node


def delegates():
    result = yield from count(2)
    yield result
    result = yield from squares(count(2))
    yield result


def echo():
    got = None
    while True:
        try:
            got = yield got
        except KeyError:
            got = "key"
        except ValueError:
            return "thrown"
        if got == "end":
            return "ended"


def between():
    try:
        result = yield from echo()
    except OSError:
        result = yield "handled"
    return result


def outermost():
    result = yield from between()
    yield result


def fails():
    yield 1
    raise ValueError("failed")


def cleans():
    try:
        yield "begun"
        yield "more"
    finally:
        print("closed")


def empty():
    return
    yield


def endless():
    n = 0
    while True:
        yield n
        n += 1


def consumer():
    left, right = count(3), squares(count(3))
    for a, b in zip(left, right):
        print(a, b)
    total = sum(x for x in squares(count(3)) if x)
    return total


def first(source):
    for item in source:
        return item


print(list(flatten([1, [2, [3], 4], 5])))
print(list(delegates()))
print(consumer())
e = echo()
next(e)
print(e.send(1), e.throw(KeyError))
try:
    e.send("end")
except StopIteration as stop:
    print(stop.value)
for thrown in (KeyError, ValueError, OSError, TypeError):
    o = outermost()
    next(o)
    try:
        print(o.throw(thrown), o.send("sent"))
    except (StopIteration, TypeError) as end:
        print(type(end).__name__)
left = outermost()
next(left)
left.close()
f = fails()
print(next(f))
try:
    next(f)
except ValueError as error:
    print(error)
c = cleans()
print(next(c))
c.close()
print(list(empty()), first(endless()))
one, other = endless(), endless()
print(next(one), next(other), next(one), next(other))
del one, other
g = (a + b for a in count(2) for b in count(2))
print(next(g), *g)
for i in count(2): print(i)
