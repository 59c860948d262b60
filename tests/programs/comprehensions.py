"""List, set and dict; nested; with a condition, a call, an exception."""
words = ["pear", "fig", "apple"]
print([w for w in words if "p" in w])
print(sorted({len(w) for w in words}))
print({w: [c for c in w if c > "f"] for w in words})
print([[r * c for c in range(3)] for r in range(3)])


def total(rows):
    try:
        return [1 // n for row in rows for n in row]
    except ZeroDivisionError:
        return [n for n in rows]


print(total([[1, 2], [1]]), total([[1], [0]]))
