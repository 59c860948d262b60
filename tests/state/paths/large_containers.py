"""Containers of more items than are told at once, and what C code does to sequences."""

import heapq, bisect, array, random
def main():
    dp = [0] * 1000
    dp[700] = "x"
    a = dp[700]
    dp[-1] = "last"
    dp[500:510] = range(10)
    dp[100:900:100] = [1] * 8
    del dp[0]
    dp.insert(0, "first")
    dp.append("app")
    dp.pop(3)
    v = dp[-1]
    d = {i: i * i for i in range(500)}
    d[400] = "changed"
    d.pop(3)
    d.update({n: -n for n in range(600, 700)})
    w = d[650]
    grid = [[0] * 60 for _ in range(60)]
    grid[50][55] = 5
    grid[59][59] += 1
    x = grid[50]
    h = []
    for i in (5, 3, 8, 1, 9, 2):
        heapq.heappush(h, i)
    heapq.heappop(h)
    heapq.heapify(h)
    heapq.heapreplace(h, 100)
    s = []
    for i in (5, 3, 8, 1, 9, 2):
        bisect.insort(s, i)
    s.sort(reverse=True)
    s.reverse()
    s.sort(key=lambda q: -q)
    r = random.Random(1)
    r.shuffle(s)
    ar = array.array("i", range(100))
    ar[70] = -1
    ar.append(5)
    ar[2:4] = array.array("i", [7, 7])
    ba = bytearray(200)
    ba[150] = 9
    st = set(range(300))
    st.add(1000)
    st.discard(5)
    st -= {1, 2, 3}
    n = len(st)
    big = ["y" * 30] * 200
    big[120] = "changed"
    z = big[120]
    t = tuple(range(300))
    u = t[250]
    m = {"k": list(range(200))}
    m["k"][150] = "deep"
    o = m["k"][150]
    l2 = dp[:]
    l2.clear()
    l2.extend(range(120))
    l2 *= 2
    l2[200] = -1
    l2.remove(5)
    p = l2[199]
    return dp
k = main()
k[800] = 1
j = k[800]
