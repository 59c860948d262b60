"""Every pattern: literal, capture, sequence, mapping, class, or, guard, star."""


class Point:
    __match_args__ = ("x", "y")

    def __init__(self, x, y):
        self.x = x
        self.y = y


def name(v):
    match v:
        case 0 | 1:
            return "small"
        case [first, *rest] if rest:
            return "many", first
        case [only]:
            return "one", only
        case {"k": int(k), **more}:
            return k, more
        case Point(x=0, y=y):
            return "axis", y
        case Point(a, b) if a > b:
            return "below"
        case str() as text:
            return text
        case None:
            return "none"
        case _:
            return "other"


for v in (0, 1, [1, 2], [3], {"k": 1, "z": 2}, {"k": ""}, Point(0, 2), Point(2, 1), Point(1, 2), "s", None, 2.5):
    print(name(v))
