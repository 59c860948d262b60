"""__del__, weak references, a finalizer in the middle of an expression; the collector is off, so that
it runs only when asked."""
import gc
import sys
import weakref

gc.disable()


class Noisy:
    def __init__(self, n):
        self.n = n
        self.me = None

    def __del__(self):
        print("del", self.n)
        if self.n == 3:
            raise ValueError("in __del__")


def gone(reference):
    print("gone")


sys.unraisablehook = lambda info: print("unraisable", info.exc_type.__name__)
a = Noisy(1)
reference = weakref.ref(a, gone)
a = Noisy(2)
Noisy(3)
print(len([Noisy(4), Noisy(5)]))
cycle = Noisy(6)
cycle.me = cycle
del cycle
gc.collect()


def drops():
    try:
        local = Noisy(7)
        raise KeyError
    except KeyError:
        pass


drops()
del a
