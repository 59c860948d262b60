"""Coroutines without an event loop: send, throw, close, __await__."""


class Awaitable:
    def __init__(self, *values):
        self.values = values

    def __await__(self):
        got = yield from self.values
        return got


async def worker(n):
    try:
        await Awaitable(*range(n))
        return "finished"
    except KeyError:
        return "thrown"
    finally:
        await Awaitable()


def drive(coroutine, throw_at=None):
    step = 0
    try:
        while True:
            if step == throw_at:
                coroutine.throw(KeyError())
            coroutine.send(None)
            step += 1
    except StopIteration as stop:
        return stop.value


print(drive(worker(2)), drive(worker(3), 1), drive(worker(0)))
closed = worker(1)
closed.send(None)
closed.close()
never = worker(1)
never.close()
