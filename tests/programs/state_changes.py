"""Changes by C code and by instructions, each with the rows of `mutations` it makes: operation, key and value, where
a dash is nothing."""
import array
import bisect
import collections
import heapq
import ctypes
import operator
import threading
import weakref
from types import SimpleNamespace


class Conf:
    pass


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_int)]


def attributes():
    c = Conf()
    setattr(c, "host", "h")  #: setattr | host | 'h'
    setattr(c, "port", 80)  #: setattr | port | 80
    setattr(c, "port", 80)  #: setattr | port | 80
    vars(c)["k"] = 1  #: set attribute | k | 1
    c.__dict__["k"] = 2  #: set attribute | k | 2
    c.__dict__.update(m=1, n=2)  #: dict.update | m | 1 & dict.update | n | 2
    delattr(c, "host")  #: delattr | host | -
    del c.__dict__["k"]  #: delete attribute | k | -
    c.__dict__.pop("m")  #: dict.pop | m | -
    object.__setattr__(c, "o", 3)  #: object.__setattr__ | o | 3
    object.__delattr__(c, "o")  #: object.__delattr__ | o | -
    c.__setattr__("q", 4)  #: object.__setattr__ | q | 4
    operator.setitem(vars(c), "r", 5)  #: _operator.setitem | r | 5
    return c


def dicts():
    d = {}
    d.__setitem__((1, 2), "t")  #: dict.__setitem__ | (1, 2) | 't'
    d[None] = 0  #: set item | None | 0
    d[1.5] = 1  #: set item | 1.5 | 1
    d["long" * 20] = 2  #: set item | 'longlonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglong' | 2
    d[frozenset({1})] = 3  #: set item | frozenset({1}) | 3
    d.setdefault("s", 4)  #: dict.setdefault | 's' | 4
    d.setdefault("s", 5)
    d.pop("s")  #: dict.pop | 's' | -
    d.pop("none", None)
    d.update({"u": 1, "v": 2})  #: dict.update | 'u' | 1 & dict.update | 'v' | 2
    d.update(w=3)  #: dict.update | 'w' | 3
    d |= {"x": 1}  #: in place | 'x' | 1
    d.popitem()  #: dict.popitem | 'x' | -
    operator.setitem(d, "op", 9)  #: _operator.setitem | 'op' | 9
    operator.delitem(d, "op")  #: _operator.delitem | 'op' | -
    del d[None]  #: delete item | None | -
    d.clear()  #: dict.clear | (1, 2) | - & dict.clear | 1.5 | - & dict.clear | 'longlonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglong' | - & dict.clear | frozenset({1}) | - & dict.clear | 'u' | - & dict.clear | 'v' | - & dict.clear | 'w' | -


def counters():
    n = collections.Counter()
    n["a"] += 1  #: set item | 'a' | 1
    n["b"] += 1  #: set item | 'b' | 1
    n.update("ab")
    n.subtract("a")
    del n["a"]
    o = collections.OrderedDict(a=1)
    o["b"] = 2  #: set item | 'b' | 2
    o.move_to_end("a")  #: collections.OrderedDict.move_to_end | - | OrderedDict({'b': 2, 'a': 1})
    o.popitem(last=False)  #: collections.OrderedDict.popitem | 'b' | -
    g = collections.defaultdict(list)
    g["k"]  #: set item | 'k' | []
    g[(1,)] = 2  #: set item | (1,) | 2


def lists():
    l = [1, 2, 3]
    l.insert(0, "i")  #: list.insert | 0 | 'i'
    l.insert(-1, "j")  #: list.insert | 3 | 'j'
    l.insert(99, "e")  #: list.insert | 5 | 'e'
    l.pop()  #: list.pop | 5 | -
    l.pop(0)  #: list.pop | 0 | -
    l.pop(-2)  #: list.pop | 2 | -
    l.remove(2)  #: list.remove | 1 | -
    l.extend("xy")  #: list.extend | 2 | 'x' & list.extend | 3 | 'y'
    l[True] = "b"  #: set item | 1 | 'b'
    l += ["z"]  #: in place | 4 | 'z'
    l[1:2] = [7]  #: set slice | 1 | 7
    l.reverse()  #: list.reverse | - | ['z', 'y', 'x', 7, 1]
    l.sort(key=str)  #: list.sort | - | [1, 7, 'x', 'y', 'z']
    del l[0]  #: delete item | 0 | -
    del l[0:2]  #: delete slice | - | ['y', 'z']
    l.clear()  #: list.clear | - | []
    list.append(l, 5)  #: list.append | 0 | 5
    l *= 2  #: in place | 1 | 5
    operator.iadd(l, [6])  #: _operator.iadd | 2 | 6
    heapq.heappush(l, 1)  #: _heapq.heappush | - | [1, 5, 6, 5]
    heapq.heappop(l)  #: _heapq.heappop | - | [5, 5, 6]
    bisect.insort(l, 4)  #: _bisect.insort_right | 0 | 4


def others():
    s = {1}
    s.add((2, 3))  #: set.add | (2, 3) | (2, 3)
    s.add(1)
    s.discard(1)  #: set.discard | 1 | -
    s.update({8, 9})  #: set.update | 8 | 8 & set.update | 9 | 9
    s.remove(8)  #: set.remove | 8 | -
    s.pop()  #: set.pop | (2, 3) | -
    q = collections.deque([1, 2], maxlen=4)
    q.append(3)  #: collections.deque.append | 2 | 3
    q.appendleft(0)  #: collections.deque.appendleft | 0 | 0
    q.popleft()  #: collections.deque.popleft | 0 | -
    q.pop()  #: collections.deque.pop | 2 | -
    q[0] = "q"  #: set item | 0 | 'q'
    q.rotate(1)  #: collections.deque.rotate | - | deque([2, 'q'], maxlen=4)
    q.insert(1, "m")  #: collections.deque.insert | 1 | 'm'
    q.extend("z")  #: collections.deque.extend | 3 | 'z'
    a = array.array("i", [1, 2])
    a.append(3)  #: array.array.append | 2 | 3
    a.insert(0, 9)  #: array.array.insert | 0 | 9
    a.pop()  #: array.array.pop | 3 | -
    a[1] = 7  #: set item | 1 | 7
    a.extend([4])  #: array.array.extend | 3 | 4
    b = bytearray(b"ab")
    b.append(99)  #: bytearray.append | 2 | 99
    b[0] = 65  #: set item | 0 | 65
    b.pop()  #: bytearray.pop | 2 | -
    b.extend(b"zz")  #: bytearray.extend | 2 | 122 & bytearray.extend | 3 | 122
    b += b"!"  #: in place | 4 | 33
    n = SimpleNamespace(a=1)
    n.a = 2  #: set attribute | a | 2
    setattr(n, "b", 3)  #: setattr | b | 3


attributes()
dicts()
counters()
lists()
others()
