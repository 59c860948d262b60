"""Properties, data descriptors, __getattr__, __slots__, cached_property."""
import functools


class Positive:
    def __set_name__(self, owner, name):
        self.slot = "_" + name

    def __get__(self, instance, owner=None):
        return self if instance is None else getattr(instance, self.slot)

    def __set__(self, instance, value):
        if value < 0:
            raise ValueError(value)
        setattr(instance, self.slot, value)

    def __delete__(self, instance):
        delattr(instance, self.slot)


class Box:
    size = Positive()

    @property
    def area(self):
        return self.size**2

    @area.setter
    def area(self, value):
        self.size = int(value**0.5)

    @functools.cached_property
    def slow(self):
        return self.area + 1

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return name


class Slotted:
    __slots__ = ("x",)


box = Box()
box.size = 3
box.area = 16
print(box.size, box.area, box.slow, box.slow, box.other, hasattr(box, "_no"))
try:
    box.size = -1
except ValueError:
    del box.size
s = Slotted()
s.x = 1
try:
    s.y = 2
except AttributeError as error:
    print(type(error).__name__)
