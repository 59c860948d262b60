"""Every way to pass an argument."""


def f(a, b=2, /, c=3, *rest, d, e=5, **more):
    return (a, b, c, rest, d, e, sorted(more))


def default(box=[]):
    box.append(len(box))
    return box


f(1, d=4)
f(*[1, 2, 3, 4], **{"d": 4, "z": 9})
f(1, *(2,), c=3, d=4, **{}, k=1)
default()
default()
try:
    f()
except TypeError as error:
    print(error)
