"""Where stepping over a call begins and ends: several calls on a line, lambdas, calls that nobody wrote."""
import functools


def one(x):
    return x + 1


def two(x, y):
    x = one(x) + one(y)
    return x


@functools.total_ordering
class Money:
    def __init__(self, n):
        self.n = n

    def __lt__(self, other):
        return self.n < other.n

    def __eq__(self, other): return self.n == other.n

    def __add__(self, other):
        return Money(
            self.n
            + other.n,
        )

    @property
    def cents(self):
        return self.n * 100


def traced(function):
    @functools.wraps(function)
    def wrapper(*args):
        result = function(*args)
        return result
    return wrapper


def also(function):
    function.also = True
    return function


@also
@traced
def decorated(n):
    if n > 1:
        return decorated(n - 1) + decorated(n - 2)
    return n


def fact(n): return 1 if n < 2 else n * fact(n - 1)


def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and even(n - 1)


class Body:
    table = [one(i) for i in range(2)]
    first, *rest = table

    class Inner:
        value = two(1, 2)

    def method(self): return self.Inner.value


def nothing(): pass


print(two(one(1), one(one(2))), one(two(3, 4)) + one(5)); nothing(); nothing()
print(sorted([3, 1, 2], key=lambda n: -n), list(map(lambda a: one(a), (1, 2))), max(1, 2, key=one))
print((Money(1) + Money(2)).cents, Money(1) >= Money(2), sum([Money(1), Money(2)], Money(0)).n)
print(decorated(3), fact(4), even(3))
print(Body().method(), Body.first, Body.rest)
for i in range(3): one(i)
i = 0
while i < 3: i = one(i)
print(functools.reduce(lambda a, b: two(a, b), [1, 2, 3]), functools.partial(two, 1)(2))
print(
    one(
        two(
            1,
            2,
        ),
    ),
    one(3),
)
