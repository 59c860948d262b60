"""Containers of more items than the recorder keeps, which grow and shrink past that number."""

# Another object comes to stand there, which was written before:
# Writes not followed: made[0].x made[1].x made[2].x made[4].x made[5].x

from collections import Counter, OrderedDict, defaultdict, deque

KEPT = 1 << 14


def lists():
    items = list(range(KEPT - 20))
    for i in range(30):
        items.append(-i)
        if i % 5 == 4:
            last = items.pop()
    items[KEPT - 1] = "at the edge"
    items[KEPT + 1] = "beyond"
    items[-1] = "last"
    for i in range(12):
        items.pop()
    items.append("again")
    items.pop(3)
    items.insert(5, "new")
    del items[KEPT - 10]
    items[8000] = "middle"
    while len(items) > KEPT - 12:
        del items[-1]
    items.extend(range(30))
    items.pop(0)
    return items


def stack():
    items = []
    for i in range(KEPT + 20):
        items.append(i)
    for i in range(40):
        top = items.pop()
    items.append("end")
    return items


def dicts():
    table = {}
    for i in range(KEPT // 2 + 20):
        table[i] = i
    for i in range(30):
        table.pop(i)
    table[100] = "hundred"
    table[KEPT // 2 + 5] = "late"
    table.pop(KEPT // 2 + 6)
    del table[KEPT // 2 + 7]
    table.setdefault(KEPT, []).append("new")
    table.setdefault(100, "there already")
    gone = table.pop("none", "nothing")
    for i in range(40, 60):
        del table[i]
    table.popitem()
    table[0] = "back"
    return table


class Cache(dict):
    """A cache that forgets what is oldest, by its own methods."""

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        if len(self) > 40:
            self.pop(next(iter(self)))

    def __delitem__(self, key):
        super().pop(key)


def caches():
    cache = Cache()
    for i in range(90):
        cache[i] = i * i
    del cache[80]
    cache[60] = "sixty"
    size = len(cache)
    plain = {}
    for i in range(300):
        plain[i] = str(i)
        if len(plain) > 100:
            plain.pop(next(iter(plain)))
    recent = OrderedDict()
    for i in range(200):
        recent[i % 70] = i
        recent.move_to_end(i % 70)
        if len(recent) > 50:
            recent.popitem(last=False)
    counts = Counter()
    for i in range(400):
        counts[i % 130] += 1
    counts.pop(5)
    groups = defaultdict(list)
    for i in range(400):
        groups[i % 120].append(i)
    groups.pop(7)
    return cache, plain, recent, counts, groups, size


class Stack(list):
    """Changes itself by methods of the class it is derived from, within a method of its own."""

    def __setitem__(self, at, value):
        while len(self) <= at:
            super().append(None)
        super().__setitem__(at, value)

    def __iadd__(self, other):
        for item in other:
            super().append(item)
        return self


def stacks():
    own = Stack()
    own[3] = "three"
    own += [4, 5]
    own[1] = "one"
    own.pop()
    queue = deque(range(200))
    for i in range(50):
        queue.append(-i)
        queue.popleft()
    queue.appendleft("front")
    queue.pop()
    size = len(queue)
    return own, queue, size


class Point:
    def __init__(self, x):
        self.x = x


def objects():
    points = [Point(i) for i in range(300)]
    by_x = {}
    for point in points:
        by_x[point.x] = point
    points[250].x = "changed"
    by_x[270].x = "too"
    first = by_x.pop(0)
    first.x = -1
    made = [Point(0)]
    for i in range(20):
        made.append(Point(i))
        made.pop(0)
    return points, by_x, made


lists()
stack()
dicts()
caches()
stacks()
objects()
