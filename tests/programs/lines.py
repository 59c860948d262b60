"""Several statements on a line, statements over several lines, loops on one line."""


def g(*a, **k): return a


a = 1; b = g(a) if a else g(b); c = g(g(a), g(b) or g(a))
for i in range(2): g(i); g(b)
while a: a -= 1
value = g(
    g(1),
    [g(2) for _ in range(2)],
    k=(g(3)
       if a
       else g(4)),
)
try: g(1); raise KeyError
except KeyError: g(2)
finally: g(3)
text = f"{g(1)} {g(2)!r:>{9}}"
def one(): x = yield 1; yield x
list(one()); assert g(0), \
    g(1)
class K: a = 1; b = g(a)
