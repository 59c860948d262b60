"""Cells: nonlocal, late binding, a closure that outlives its maker."""


def counter():
    n = 0

    def increment():
        nonlocal n
        n += 1
        return n

    return increment


one, two = counter(), counter()
one(), one(), two()
late = [lambda: i for i in range(3)]
bound = [lambda i=i: i for i in range(3)]
print([f() for f in late], [f() for f in bound])
