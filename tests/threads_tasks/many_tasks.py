"""Ten thousand tasks, all alive at once."""
import asyncio


async def grandchild(n, gate):
    await gate.wait()
    return n


async def child(n, gate):
    return await grandchild(n, gate) + 1


async def main():
    gate = asyncio.Event()
    tasks = [asyncio.create_task(child(n, gate)) for n in range(10_000)]
    await asyncio.sleep(0)
    gate.set()
    print(sum(await asyncio.gather(*tasks)))


asyncio.run(main())
