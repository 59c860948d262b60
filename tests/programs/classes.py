"""Class bodies, inheritance, super, mro, class scope, nested classes."""


class A:
    count = 0
    items = [i for i in range(2)]

    def __init__(self, name):
        self.name = name
        A.count += 1

    def who(self):
        return "A:" + self.name

    class Nested:
        if True:
            flag = 1


class B(A):
    def who(self):
        return "B" + super().who()


class C(A):
    def who(self):
        return "C" + super(C, self).who()


class D(B, C):
    def __repr__(self):
        return self.who()


for _ in range(20):
    D("x").who()
print(D("d"), A.count, A.Nested.flag, [k.__name__ for k in D.__mro__])
