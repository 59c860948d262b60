"""Objects that count every time somebody asks them something; the recorder must not."""

asked = []


def special(name):
    def method(self, *args, **kwargs):
        asked.append(name)
        raise RuntimeError(f"{name} was called")
    return method


NAMES = """__repr__ __str__ __bytes__ __format__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __hash__ __bool__ __getattr__
__dir__ __len__ __length_hint__ __iter__ __next__ __reversed__ __contains__ __getitem__ __index__
__int__ __float__ __complex__ __call__ __enter__ __exit__ __get__ __buffer__ __instancecheck__
__subclasscheck__ __reduce__ __reduce_ex__ __sizeof__ __missing__ __copy__ __deepcopy__""".split()


class Meta(type):
    __repr__ = special("meta __repr__")
    __eq__ = special("meta __eq__")
    __hash__ = type.__hash__
    __instancecheck__ = special("meta __instancecheck__")
    __getattr__ = special("meta __getattr__")
    __len__ = special("meta __len__")
    __bool__ = special("meta __bool__")


def hostile(base, **more):
    body = {name: special(name) for name in NAMES if name != "__hash__" or base is not str}
    body |= {"__hash__": base.__hash__} if base in (int, float, str, bytes) else {}

    def __getattribute__(self, name):
        asked.append(f"__getattribute__ {name}")
        raise RuntimeError(name)

    body["__getattribute__"] = __getattribute__
    body["__class__"] = property(special("__class__"))
    body["__dict__"] = property(special("__dict__"))
    return Meta("Hostile" + base.__name__, (base,), body | more)


def take(value):
    return value


def keep(*values, **named):
    return values


def run():
    objects = []
    for base in (object, list, dict, set, tuple, int, float, str, bytes, bytearray, frozenset, Exception):
        cls = hostile(base)
        made = base.__new__(cls)
        object.__setattr__(made, "own", 1) if base is object else None
        objects.append(made)
        take(made)
        take([made, made])
        take({"key": made})
        keep(made, name=made)
        take(cls)
        take((x for x in [made]))
    slotted = hostile(object, __slots__=("slot",)).__new__
    return len(objects)


def finalized():
    class Last:
        def __init__(self):
            self.left = [1]

        def __del__(self):
            take(self)
            take([self])

    Last()


def half_made():
    class Half:
        def __new__(cls):
            self = object.__new__(cls)
            take(self)
            return self

        def __init__(self):
            take(self)
            self.whole = True
            take(self)

    Half()
    take(object.__new__(Half))


if __name__ == "__main__":
    print(run())
    finalized()
    half_made()
    print(asked)
