"""Variables across jumps: exceptions, matches, recursion."""

def broken(n):
    done = []
    try:
        a = n; b = a * 2; done.append(b); c = 1 // n; d = done.pop()
    except ZeroDivisionError:
        a = "failed"
    else:
        b = d
    finally:
        done.append(a)
    try:
        done[0], done[5], e = 1, 2, 3
    except IndexError:
        done.append("left")
    try:
        try:
            b = {}["missing"]
        finally:
            b = "finally"
    except KeyError as error:
        done += list(error.args)
    return a, b, done


def leaves(n):
    found = []
    for i in range(n):
        try:
            if i == 1:
                continue
            if i == 3:
                break
            found.append(i)
        finally:
            found.append(-i)
    while True:
        try:
            return found, i
        finally:
            found = i = None


def passes_through(depth):
    mark = [depth]
    if depth == 0:
        raise LookupError("bottom")
    try:
        passes_through(depth - 1)
    except LookupError:
        mark.append("seen")
        if depth < 2:
            raise
    return mark


class Pair:
    __match_args__ = ("a", "b")

    def __init__(self, a, b):
        self.a, self.b = a, b


def matches(subject):
    match subject:
        case [x, y]:
            found = x + y
        case [x, *rest] if len(rest) > 2:
            found = rest
        case {"k": value, **others}:
            found = value, others
        case Pair(a, b=[*found]):
            found = a, found
        case Pair(a=(1 | 2) as found):
            found = [found]
        case int() | float() as number:
            found = number
        case str(word):
            found = word[0]
        case _:
            found = None
    return found


def falls(n, acc=()):
    n -= 1
    acc += (n,)
    return falls(n, acc) if n else acc


for case in ([1, 2], [1, 2, 3, 4], {"k": 1, "z": 2}, 5, "w", None, [1], Pair(1, [2]), Pair(2, 3), Pair(3, 4)):
    answer = matches(case)
    print(answer)
print(broken(0), broken(2), leaves(5), passes_through(3), falls(5))
