"""What `modules.py` imports."""

counter = 0
items = []
conf = {"a": 1}
def bump():
    global counter
    counter += 1
    items.append(counter)
def setconf(v):
    conf["a"] = v
def rebind():
    global items
    items = ["new"]
def bydict():
    globals()["counter"] = 100
    globals().update(conf={"a": "z"})
class Reg(type):
    reg = {}
    def __new__(m, n, b, ns):
        c = super().__new__(m, n, b, ns)
        m.reg[n] = c
        c.made = len(m.reg)
        return c
class A(metaclass=Reg):
    total = 0
    @classmethod
    def add(cls, n): cls.total += n
    @staticmethod
    def reset(): A.total = 0
    def inst(self): type(self).total += 10; self.__class__.total += 1
