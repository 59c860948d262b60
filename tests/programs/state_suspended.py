"""Variables of what is suspended and goes on: generators, coroutines, tasks."""
import asyncio


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


def remembers(box):
    held, n = box, len(box)
    while n < 6:
        yield n
        held.append("inside")
        n = len(box)
    box = yield held


def changed_outside():
    box = []
    g = remembers(box)
    next(g)
    box.append("outside")
    next(g); box.append("again")
    box += [1]
    for n in g:
        box.insert(0, n) if type(n) is int else box.clear()
        if len(box) > 9 or not box:
            break
    return box


print(generators(), drive(), changed_outside())
print(asyncio.run(together()))
