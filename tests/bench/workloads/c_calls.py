"""Builtins and their methods, called from a loop."""
from contract import run


def kernel(n):
    out = []
    table = {"a": 1, "b": 2}
    text = "hello world"
    total = 0
    for i in range(n):
        out.append(i)
        if isinstance(i, int):
            total += len(out)
        total += table.get("a", 0) + abs(-i)
        if text.startswith("hello"):
            total += ord(text[i % 11])
        total += min(i, 7) + (hash(i) & 1)
        if len(out) > 1000:
            out.clear()
    return total


run(kernel, 450_000)
