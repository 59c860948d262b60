import asyncio
import sys
import threading
import weakref


class Odd:
    def __getattr__(self, name):
        raise AttributeError(name)

    def __len__(self):
        raise TypeError("no length")

    def __iter__(self):
        return iter([1])


class Count:
    left = 2

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            raise StopIteration
        self.left -= 1


class Items:
    def __getitem__(self, index):
        if index > 1:
            raise IndexError(index)


class Dies:
    def __del__(self):
        raise ValueError("in __del__")


def gone(_):
    raise ValueError("in callback")


def values():
    yield 1
    yield 2


def ended():
    raise LookupError("ends a thread")


async def task():
    raise LookupError("ends a task")


async def main():
    try:
        await asyncio.create_task(task())
    except LookupError:
        pass


hasattr(Odd(), "a")
getattr(Odd(), "b", None)
list(Odd())
for _ in Count():
    pass
list(Count())
for _ in Items():
    pass
sys.unraisablehook = lambda _: None
Dies()
kept = Odd()
reference = weakref.ref(kept, gone)
del kept
first = values()
next(first)
first.close()
try:
    {Odd.__len__: 1}[len(Odd())]
except TypeError:
    pass
threading.excepthook = lambda _: None
thread = threading.Thread(target=ended)
thread.start()
thread.join()
asyncio.run(main())
sys.exit(3)
