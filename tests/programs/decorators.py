"""Function, class and stacked decorators, with and without arguments."""
import functools


def times(n):
    def decorate(f):
        @functools.wraps(f)
        def wrapper(*args, **kwargs):
            return [f(*args, **kwargs) for _ in range(n)]

        return wrapper

    return decorate


def register(cls):
    cls.known = True
    return cls


@times(2)
@times(1)
def hello(who):
    return who.upper()


@register
class Thing:
    @staticmethod
    def static(x):
        return x

    @classmethod
    def make(cls):
        return cls()

    @functools.lru_cache
    def cached(self, n):
        return n if n < 2 else self.cached(n - 1) + self.cached(n - 2)


print(hello("a"), Thing.known, Thing.static(1), Thing.make().cached(5))
