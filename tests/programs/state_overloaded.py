"""Changes made by code of the program that no call names: properties, descriptors, operators."""
import operator


class Guarded:
    def __init__(self):
        self.count = 0

    @property
    def value(self):
        return self._value

    @value.setter
    def value(self, new):
        self.count += 1
        self._value = new

    @value.deleter
    def value(self):
        del self._value


class Typed:
    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __get__(self, instance, owner):
        return self if instance is None else getattr(instance, self.name, None)

    def __set__(self, instance, value):
        instance.__dict__[self.name] = int(value)


class Measured:
    width = Typed()
    height = Typed()


class Proxy:
    def __init__(self):
        object.__setattr__(self, "data", {})
        object.__setattr__(self, "log", [])

    def __setattr__(self, name, value):
        self.log.append(name)
        self.data[name] = value

    def __delattr__(self, name):
        self.log.append("-" + name)
        del self.data[name]

    def __setitem__(self, key, value):
        self.data[key] = [value]

    def __delitem__(self, key):
        self.data.pop(key, None)


class Stack(list):
    """No list to the comparison, but it changes one."""

    def push(self, item, log):
        self.append(item)
        log.extend(self)


class Matrix:
    def __init__(self, data):
        self.data = data

    def __iadd__(self, other):
        self.data.append(other)
        return self

    def __setitem__(self, at, value):
        self.data[at] = value

    def __getitem__(self, at):
        return self.data[at]

    def __delitem__(self, at):
        del self.data[at]


def operators():
    log, under = [], [0, 0]
    m = Matrix(under)
    m += 5
    m[0] = "set"
    m[1] += 7
    del m[0]
    stack = Stack()
    stack.push(1, log); stack.push(2, log)
    outer = [m.data, log]
    m.data = under[:]
    m.data.append(None)
    return under, log, outer


def attributes():
    g = Guarded()
    g.value = 1; g.value = [g.value]
    g.value += [2]
    del g.value
    t = Measured(); t.width = "3"; t.height = 4.5
    t.width += 1
    r = Proxy(); r.name = 1; r["k"] = 2
    r.name = 3; del r.name; del r["k"]
    operator.setitem(r.data, "o", 1); operator.delitem(r.data, "o")
    r.log[:] = []
    return g.count, vars(t), r.data


print(attributes(), operators())
