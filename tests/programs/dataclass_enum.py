"""Classes the standard library writes for us: dataclasses, enums, named tuples, abstract bases."""
import abc
import collections
import dataclasses
import enum


class Colour(enum.Enum):
    RED = 1
    BLUE = 2

    def next(self):
        return Colour(3 - self.value)


@dataclasses.dataclass(frozen=True)
class Pixel:
    x: int
    colour: Colour = Colour.RED

    def __post_init__(self):
        if self.x < 0:
            raise ValueError(self.x)


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...


print(Colour.RED.next(), Pixel(1), Pixel(1) == Pixel(1), hash(Pixel(2)) == hash(Pixel(2)))
for bad in (lambda: Pixel(-1), Shape, lambda: setattr(Pixel(1), "x", 2), lambda: Colour(9)):
    try:
        bad()
    except Exception as error:
        print(type(error).__name__)
print(collections.namedtuple("P", "a b")(1, b=2).b)
