"""Unpacking, slices, merging, augmented assignment to every kind of target."""
a, (b, *c) = 1, (2, 3, 4)
d = {"x": [1, 2, 3], **{"y": 2}}
d["x"][1] += 5
d["x"][:2] = [9]
e = [*c, *d, *"z"]
for i, (j, k) in enumerate([(1, 2), (3, 4)]):
    a += i * j - k


class O:
    pass


o = O()
o.n = 1
o.n **= 3
del d["y"], o.n
s = "abcdef"[1:-1:2]
try:
    x, y = [1, 2, 3]
except ValueError as error:
    print(error)
print(a, b, c, d, e, s, a @ b if False else None)
