"""Everything CALL can name: functions, methods, builtins, classes, descriptors, instances."""
import collections
import functools
import math
import textwrap


class Adder:
    def __call__(self, x):
        return x + 1

    def method(self):
        return 1

    @classmethod
    def make(cls):
        return cls()

    class Inner:
        pass


class Words(list):
    pass


adder = Adder.make()
bound, append = adder.method, [].append
adder(1), adder.method(), bound(), append(1), Adder.method(adder), Adder.Inner()
math.sqrt(4), len("a"), int("3"), collections.deque([1]).append(2), list.append([], 1), "a".upper()
functools.partial(len, "ab")(), textwrap.dedent(" a"), dict.fromkeys("a"), collections.OrderedDict(a=1)
str.join(",", "ab"), object.__init__(adder), [].__len__(), Words().append(1), type("T", (), {})()
words = Words()
extend = words.extend
extend([1]), collections.Counter("a").most_common(1), (lambda: 0)(), type(adder)()
try:
    None()
except TypeError as error:
    print(error)
try:
    int("x")
except ValueError as error:
    print(error)
