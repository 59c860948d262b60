"""Values that came a long way. A comment says which variable to ask about there."""
import math
from os import path as where

LIMIT = 10


class Order:
    rate = 3

    def __init__(self, items, bonus=2):
        self.items = items
        self.total = 0
        self.__secret = bonus

    def add(self, price, *more, times=1):
        self.total = self.total + price * times
        return self.total

    def secret(self):
        return self.__secret

    @property
    def first(self):
        return self.items[0]


class Vector:
    def __init__(self, x):
        self.x = x

    def __add__(self, other):
        made = Vector(self.x + other.x)
        return made


def same(value):
    return value


def keep(function):
    def wrapper(*args, **kwargs):
        result = function(*args, **kwargs)
        return result

    return wrapper


@keep
def decorated(first, second):
    third = second
    return third


def count(upto):
    for number in range(upto):
        doubled = number * 2
        yield doubled


def given(*values, key="k", **named):
    one = values[1]
    two = named["two"]
    three = key
    return one, two, three  # one two three


async def inner(word):
    answer = word
    return answer


async def outer():
    got = await inner("hi")
    return got  # got


def drive(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value


def fail(text):
    raise ValueError(text)


def plain(start):
    a = start
    b = a
    c, d = b, 7
    c, d = d, c
    return d  # d c b


def loops(prices):
    best = 0
    for price in prices:
        if price > best:
            best = price
    return best  # best price


def caught():
    try:
        fail("no")
    except ValueError as error:
        kept = error
    return kept  # kept


def receiver(order):
    method = order.add
    value = method(4, 5, times=2)
    return value  # value


def comprehended(values):
    doubled = [value * 2 for value in values]
    last = doubled[-1]
    return last  # last doubled


def nested(number):
    inside = number

    def change():
        nonlocal inside
        inside = number + 1

    before = inside
    change()
    return inside  # before inside


def choose(flag, left, right):
    chosen = left if flag else right
    other = flag and right
    return chosen  # chosen other


def main():
    v1 = plain(5)
    order = Order([20, 2])
    order.add(order.items[1], times=3)
    v2 = order.total
    v3 = same(value=order.secret())
    v4 = order.first
    v5 = (Vector(1) + Vector(2)).x
    v6 = decorated(1, 9)
    total = 0
    for v7 in count(3):
        total += v7
    v8 = len(order.items)
    v9 = LIMIT
    table = {"a": 1, "b": v9}
    table["c"] = v8
    v10 = table["b"]
    v11 = table["c"]
    order.items.append(v6)
    v12 = order.items[2]
    text = f"{v9}-{v8}"
    v13 = max(v8, v9)
    v14 = order.rate
    (x, y), z = (1, v9), 3
    first, *rest = order.items
    v15 = math.pi
    v16 = where
    v17 = [same(v) for v in (v9,)][0]
    with open("/dev/null") as handle:
        data = handle.read()
    v18 = drive(outer())
    v19 = sorted([3, 1], key=lambda item: item)
    v20 = count
    given(1, v9, two=LIMIT)
    loops([3, v9, 5])
    caught()
    receiver(order)
    comprehended([1, v9])
    nested(3)
    choose(False, 1, v9)
    return v1  # v1 v2 v3 v4 v5 v6 v7 total v8 v9 v10 v11 v12 text v13 v14 x y z first rest v15 v16 v17 data v18 v19 v20 order


main()
