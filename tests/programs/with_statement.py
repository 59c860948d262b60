"""Context managers: several, suppressing, failing on entry and on exit, left by return and break."""


class Manager:
    def __init__(self, name, suppress=False, fail=None):
        self.name, self.suppress, self.fail = name, suppress, fail

    def __enter__(self):
        if self.fail == "enter":
            raise OSError(self.name)
        return self

    def __exit__(self, kind, value, trace):
        print("exit", self.name, kind and kind.__name__)
        if self.fail == "exit":
            raise IndexError(self.name)
        return self.suppress


with Manager("a") as a, Manager("b", suppress=True) as b:
    raise KeyError
for bad in ("enter", "exit"):
    try:
        with Manager("outer"), Manager("inner", fail=bad):
            print("body")
    except (OSError, IndexError) as error:
        print(type(error).__name__)


def leave():
    for i in range(3):
        with Manager(i):
            if i:
                return i


print(leave())
