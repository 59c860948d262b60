"""Generators and coroutines store into objects, from their first line on."""

import asyncio
import contextlib


class State:
    def __init__(self):
        self.n = 0
        self.items = {}


def counting(state):
    state.n += 1
    yield state
    state.n -= 1
    state.items["left"] = state.n


def receiving(state):
    while True:
        state.items["got"] = yield state.n
        state.n += 10


async def coroutine(state):
    state.n = 50
    await asyncio.sleep(0)
    state.items["n"] = state.n
    return state.n


async def asynchronous(state):
    state.n = 60
    yield 1
    state.n = 61


@contextlib.contextmanager
def managed(state):
    state.n += 1
    try:
        yield state
    finally:
        state.n -= 1


async def run(state):
    await coroutine(state)
    async for _ in asynchronous(state):
        seen = state.n
    return seen


def main():
    state = State()
    for _ in counting(state):
        seen = state.n
    sending = receiving(state)
    next(sending)
    sending.send("a")
    sending.send("b")
    seen = state.n
    with managed(state):
        seen = state.n
    seen = state.n
    asyncio.run(run(state))
    seen = [setattr(state, "n", n) for n in range(2)]
    seen = list(state.items.setdefault(key, key) for key in "xy")
    return seen


end = main()
