"""C-call heavy: len/append/isinstance/dict.get/str methods/min/abs."""
from contract import run


def kernel(n):
    out = []
    d = {"a": 1, "b": 2}
    s = "hello world"
    tot = 0
    for i in range(n):
        out.append(i)
        if isinstance(i, int):
            tot += len(out)
        tot += d.get("a", 0)
        tot += abs(-i)
        if s.startswith("hello"):
            tot += ord(s[i % 11])
        tot += min(i, 7)
        if len(out) > 1000:
            out.clear()
        tot += hash(i) & 1
    return tot


def work(n):
    tot = 0
    for _ in range(n):
        tot += kernel(1000)
    return tot


run(work, 2500)
