"""Every method of lists, deques, bytearrays and arrays that changes them."""
import array
import bisect
import heapq
import random
from collections import deque


def lists():
    a = [3, 1, 2]
    same = a
    a.append(5)
    a.extend([4, 4])
    a.extend(x * 10 for x in (1, 2))
    a.insert(1, "in")
    out = a.pop()
    out = a.pop(1)
    a.remove(4)
    a.sort()
    a.sort(key=lambda x: -x, reverse=True)
    a.reverse()
    a += [7]
    a *= 2
    a[0] = "first"; a[-1] = a[0]
    a[1:3] = []
    a[::2] = [None] * len(a[::2])
    a[1:1] = "ab"
    del a[0]; del a[-2:]
    del a[::2]
    b = a.copy()
    b += b
    a.clear()
    a = a + b
    b[:] = (1, 2)
    b += (x for x in "cd"); b.append(b[0])
    return same, a, b, out


def watched_sort():
    items, seen = [3, 1, 2], []

    def key(x):
        seen.append(len(items))
        return x

    items.sort(key=key)
    items.sort(key=lambda x: seen.append(x) or -x, reverse=False)
    try:
        items.sort(key=lambda x: items.append(x) or x)
    except ValueError as error:
        seen = error.args
    return items, seen


def deques():
    d = deque([1, 2, 3], maxlen=5)
    d.append(4); d.appendleft(0)
    d.append(5)
    d.rotate(2)
    out = d.pop(), d.popleft()
    d.extend("ab"); d.extendleft("cd")
    d.pop(); d.insert(1, "i"); d.remove(d[2])
    d[0] = "set"; del d[-1]
    d.reverse()
    d += ["more"]
    e = deque()
    for i in range(70):
        e.append(i)
        if len(e) > 3:
            e.popleft()
    e *= 2
    d.clear()
    return d, e, out


def bytes_and_arrays():
    b = bytearray(b"abc")
    b += b"def"; b.append(0); b.extend([1, 2])
    b[0] = 255; b[1:3] = b"XYZ"
    del b[::2]
    b.insert(0, 39); out = b.pop()
    b *= 2; b.reverse(); b.remove(39)
    a = array.array("i", [1, 2])
    a.append(3); a[0] = -1
    a.extend([4, 5]); a += a; del a[1:3]
    a.pop(); a.insert(0, 9); a.reverse()
    f = array.array("d"); f.append(0.5); f.fromlist([1.0, float("inf")])
    b.clear()
    return b, a, f, out


def algorithms():
    heap = [5, 3, 8, 1]
    heapq.heapify(heap)
    heapq.heappush(heap, 2)
    low = heapq.heappop(heap)
    low = heapq.heapreplace(heap, 9), heapq.heappushpop(heap, 0)
    ordered = [1, 3, 5]
    bisect.insort(ordered, 4); bisect.insort(ordered, 0, key=lambda x: x)
    cards = list(range(6))
    random.Random(1).shuffle(cards)
    return heap, low, ordered, cards


for function in (lists, watched_sort, deques, bytes_and_arrays, algorithms):
    result = function()
    print(function.__name__, result)
