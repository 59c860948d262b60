"""Coroutines and tasks: what others do while one is suspended, ends that no Python code sees."""
import asyncio


async def leaf(name):
    await asyncio.sleep(0)
    return name


async def middle(name, n):
    found = []
    for i in range(n):
        found.append(await leaf(f"{name}{i}"))
    return found


async def fails():
    await asyncio.sleep(0)
    raise ValueError("failed")


async def ticks(n):
    for i in range(n):
        await asyncio.sleep(0)
        yield i


class Manager:
    async def __aenter__(self):
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *exception):
        await asyncio.sleep(0)
        return True


async def worker(queue, found):
    while True:
        item = await queue.get()
        if item is None:
            break
        found.append(item)
        queue.task_done()


async def waits(event):
    try:
        await event.wait()
    except asyncio.CancelledError:
        await asyncio.sleep(0)
        raise


async def between(event):
    try:
        await waits(event)
    finally:
        print("cleaned up")


async def shielded(event):
    try:
        await between(event)
    except asyncio.CancelledError:
        return await leaf("survived")


async def never_awaits():
    return "at once"


def callback(done):
    done.append("called")


async def main():
    print(await middle("a", 2))
    print(await asyncio.gather(middle("b", 2), leaf("c"), never_awaits()))
    async with Manager():
        await fails()
    print([i async for i in ticks(2)])
    async for i in ticks(2):
        print(i)
    queue, found = asyncio.Queue(), []
    tasks = [asyncio.create_task(worker(queue, found)) for _ in range(2)]
    for item in (1, 2, 3, None, None):
        queue.put_nowait(item)
    await asyncio.gather(*tasks)
    print(sorted(found))
    waiting = asyncio.create_task(waits(asyncio.Event()))
    await asyncio.sleep(0)
    waiting.cancel()
    done = await asyncio.gather(waiting, fails(), return_exceptions=True)
    print([type(one).__name__ for one in done])
    waiting = asyncio.create_task(shielded(asyncio.Event()))
    await asyncio.sleep(0)
    waiting.cancel()
    print(await waiting)
    asyncio.get_running_loop().call_soon(callback, done)
    await asyncio.wait_for(leaf("d"), 60)
    return len(done)


print(asyncio.run(main()))
