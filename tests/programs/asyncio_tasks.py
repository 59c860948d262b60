"""gather, TaskGroup, cancellation, a queue: the order of tasks is asyncio's, not the clock's."""
import asyncio


async def child(n):
    await asyncio.sleep(0)
    if n == 2:
        raise ValueError(n)
    return n


async def waits():
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print("cancelled")
        raise


async def produce(queue):
    for i in range(3):
        await queue.put(i)
    await queue.put(None)


async def consume(queue):
    while (item := await queue.get()) is not None:
        print("item", item)


async def main():
    print(await asyncio.gather(child(1), child(2), child(3), return_exceptions=True))
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(child(2))
            group.create_task(waits())
    except* ValueError as errors:
        print(errors.exceptions)
    queue = asyncio.Queue(1)
    await asyncio.gather(produce(queue), consume(queue))


asyncio.run(main())
