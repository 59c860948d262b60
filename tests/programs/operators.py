"""Python called by an operator: arithmetic, comparison, indexing, containment, formatting."""


class V:
    def __init__(self, v):
        self.v = v

    def __add__(self, other):
        return V(self.v + getattr(other, "v", other))

    __radd__ = __add__

    def __iadd__(self, other):
        self.v += 1
        return self

    def __eq__(self, other):
        return self.v == other.v

    def __lt__(self, other):
        return self.v < other.v

    def __hash__(self):
        return hash(self.v)

    def __bool__(self):
        return self.v > 0

    def __len__(self):
        return 3

    def __getitem__(self, i):
        if i > 2:
            raise IndexError(i)
        return i

    def __contains__(self, item):
        return item == self.v

    def __call__(self, *args):
        return args

    def __format__(self, spec):
        return f"{self.v}{spec}"


a, b = V(1), V(2)
a += b
c = 1 + a + b
print(a == b, a != b, a < b, a > b, 2 in a, f"{c:!} {a}", c(1)[0], len(b), list(b), max(a, b).v)
print({a: 1, b: 2}[V(2)], "yes" if V(0) else "no", V(0) or "or", V(1) and "and", not a)
