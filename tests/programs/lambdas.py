"""lambda and walrus, conditional expressions, chained comparison, short circuits."""
pick = lambda x: x if x else -1
nested = lambda a: (lambda b: a + b)
print(pick(0), pick(2), nested(1)(2))
if (n := len("abc")) > 2 and (m := n * 2) or print("never"):
    print(n, m)
while (n := n - 1) > 0:
    print(n)
print(1 < n + 3 < 5 > 2, [y for x in range(4) if (y := x % 2)], 0 or "" or "last")
assert n == 0, "not reached"
