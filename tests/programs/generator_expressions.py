"""Lazily nested, abandoned half-way, and driven by C."""
squares = (n * n for n in range(5) if n % 2)
pairs = ((a, b) for a in range(3) for b in (c for c in range(a)))
print(next(squares), sum(squares), list(pairs))
print(any(n > 1 for n in range(4)), all(n for n in [1, 0, 2]), max(len(w) for w in "a bb".split()))
left = (n for n in range(9))
next(left)
del left
