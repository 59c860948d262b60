"""Variables across jumps: exceptions, generators, coroutines, matches, recursion."""
import asyncio


def broken(n):
    done = []
    try:
        a = n; b = a * 2; done.append(b); c = 1 // n; d = done.pop()
    except ZeroDivisionError:
        a = "failed"
    else:
        b = d
    finally:
        done.append(a)
    try:
        done[0], done[5], e = 1, 2, 3
    except IndexError:
        done.append("left")
    try:
        try:
            b = {}["missing"]
        finally:
            b = "finally"
    except KeyError as error:
        done += list(error.args)
    return a, b, done


def leaves(n):
    found = []
    for i in range(n):
        try:
            if i == 1:
                continue
            if i == 3:
                break
            found.append(i)
        finally:
            found.append(-i)
    while True:
        try:
            return found, i
        finally:
            found = i = None


def passes_through(depth):
    mark = [depth]
    if depth == 0:
        raise LookupError("bottom")
    try:
        passes_through(depth - 1)
    except LookupError:
        mark.append("seen")
        if depth < 2:
            raise
    return mark


def chunks(items):
    received, sent = [], 0
    try:
        for item in items:
            sent += 1
            got = yield item
            received.append(got)
    except ValueError as error:
        got = yield error.args
    finally:
        received.append("closed")


def delegates():
    before = "start"
    result = yield from inner([1, 2])
    before = result
    other = [0]
    result = yield from other
    other.append(result)
    return before


def inner(values):
    total = 0
    while values:
        total += values.pop()
        x = yield total
        total += x or 0
    return total


def generators():
    g = chunks("abc")
    first = next(g)
    second = g.send({"to": 1})
    thrown = g.throw(ValueError(7))
    g.close()
    d = delegates()
    out = [next(d), d.send(10), d.send(None)]
    out += d
    pairs = [(a, b) for a, b in zip(inner([5, 6]), "xy")]
    many = [inner([k]) for k in range(3)]
    turns = [next(one) for one in many]
    return first, second, thrown, out, pairs, turns


class Later:
    def __await__(self):
        got = yield "waiting"
        return [got]


async def by_hand(n):
    kept = [n]
    kept += await Later()
    n += 1
    async with Door(kept) as door:
        door["in"] = n
    return kept, door


class Door:
    def __init__(self, log):
        self.log = log

    async def __aenter__(self):
        self.log.append("enter")
        return {}

    async def __aexit__(self, *exc):
        self.log.append(await Later())


def drive():
    c = by_hand(1)
    sent = [c.send(None)]
    sent.append(c.send("a"))
    try:
        c.send("b")
    except StopIteration as stop:
        result = stop.value
    return sent, result


async def ticks(n):
    for i in range(n):
        await asyncio.sleep(0)
        yield i


async def worker(name, log):
    local = []
    async for i in ticks(2):
        local.append(i)
        log.append(name + str(i))
    doubled = [i * 2 async for i in ticks(2)]
    return local, doubled


async def together():
    log = []
    results = await asyncio.gather(worker("a", log), worker("b", log))
    return results, log


def matches(subject):
    match subject:
        case [x, y]:
            found = x + y
        case [x, *rest] if len(rest) > 2:
            found = rest
        case {"k": value, **others}:
            found = value, others
        case int() | float() as number:
            found = number
        case str(word):
            found = word[0]
        case _:
            found = None
    return found


def falls(n, acc=()):
    n -= 1
    acc += (n,)
    return falls(n, acc) if n else acc


for case in ([1, 2], [1, 2, 3, 4], {"k": 1, "z": 2}, 5, "w", None, [1]):
    answer = matches(case)
    print(answer)
print(broken(0), broken(2), leaves(5), passes_through(3), generators(), drive(), falls(5))
print(asyncio.run(together()))
