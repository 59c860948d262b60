"""async def, await, async for, async with, asynchronous generators and comprehensions."""
import asyncio


class Ticker:
    def __init__(self, n):
        self.n = n

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.n:
            raise StopAsyncIteration
        self.n -= 1
        await asyncio.sleep(0)
        return self.n


class Manager:
    async def __aenter__(self):
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, kind, value, trace):
        return kind is KeyError


async def agen(n):
    try:
        for i in range(n):
            got = yield i
            if got:
                yield got
    finally:
        await asyncio.sleep(0)


async def main():
    async for i in Ticker(2):
        print(i)
    else:
        print("else")
    print([i async for i in agen(3) if i], {i: await double(i) for i in range(2)})
    async with Manager() as m, Manager():
        raise KeyError
    g = agen(2)
    print(await anext(g), await g.asend("got"))
    await g.aclose()
    try:
        await g.athrow(ValueError)
    except (ValueError, StopAsyncIteration) as error:
        print(type(error).__name__)


async def double(x):
    return x * 2


asyncio.run(main())
