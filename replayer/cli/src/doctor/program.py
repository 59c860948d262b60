"""What `dashcam doctor` records: every construct that sends control somewhere, the same each time."""
import asyncio
import threading


class Number:
    def __init__(self, value):
        self.value = value

    def __add__(self, other):
        return Number(self.value + other.value)

    def __getitem__(self, index):
        if index >= self.value:
            raise IndexError(index)
        return index

    def __bool__(self):
        return self.value > 0

    @property
    def double(self):
        return self.value * 2


class Manager:
    def __init__(self, swallows):
        self.swallows = swallows

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        return self.swallows


def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def count(n):
    try:
        for i in range(n):
            if (yield i):
                return "asked to stop"
    except ValueError as error:
        yield str(error)
    finally:
        pass


def delegate(n):
    result = yield from count(n)
    yield result


def silent(items):
    i = 0
    try:
        while True:
            items[i]
            i += 1
    except LookupError:
        return i


def loops():
    total = 0
    for i in range(20):
        if i % 2:
            continue
        if i > 15:
            break
        total += i
    else:
        total = -1
    while total and total > 3:
        total -= 7 if total & 1 else 5
    return [x for x in range(5) if x], {x: y for x, y in zip("ab", (1, 2))}, any(x > 2 for x in range(5))


def exceptions(n):
    caught = []
    for i in range(n):
        try:
            try:
                if i % 4 == 0:
                    raise KeyError(i)
                if i % 4 == 1:
                    [][i]
                if i % 4 == 2:
                    with Manager(True):
                        raise TypeError("swallowed")
                caught.append(i)
            except KeyError as error:
                raise ValueError(i) from error
            finally:
                caught.append(-i)
        except (ValueError, IndexError) as error:
            caught.append(type(error).__name__)
    try:
        raise ExceptionGroup("two", [OSError(1), RuntimeError(2)])
    except* OSError:
        caught.append("OSError")
    except* RuntimeError:
        caught.append("RuntimeError")
    return caught


def generators():
    seen = list(delegate(3))
    stopped = count(5)
    next(stopped)
    try:
        stopped.send(True)
    except StopIteration as stop:
        seen.append(stop.value)
    thrown = delegate(5)
    next(thrown)
    seen.append(thrown.throw(ValueError("thrown in")))
    thrown.close()
    return seen


def match(subject):
    match subject:
        case {"kind": str(kind), **rest} if rest:
            return kind, rest
        case [first, *_, last]:
            return first, last
        case Number(value=0) | None:
            return "nothing"
        case _:
            return "other"


async def ticks(n):
    for i in range(n):
        await asyncio.sleep(0)
        yield i


async def tasks():
    async def one(n):
        return [i async for i in ticks(n)]

    async with asyncio.timeout(10):
        return await asyncio.gather(one(2), one(3))


def work():
    number = Number(2) + Number(3)
    results = [fibonacci(8), list(number), number.double, bool(number), silent([1, 2, 3]), loops(), exceptions(8)]
    results += [generators(), [match(x) for x in ({"kind": "k", "n": 1}, (1, 2, 3), None, 4)]]
    results.append(sorted([3, 1, 2], key=lambda x: -x))
    exec("results.append(len(results))")
    return results


work()
asyncio.run(tasks())
thread = threading.Thread(target=work)
thread.start()
thread.join()
