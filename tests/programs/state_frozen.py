"""What 3.15 has new among the builtins; where there is none, the next to it."""
import builtins

frozendict = getattr(builtins, "frozendict", dict)


class Settings(frozendict):
    pass


def made(pairs):
    empty = frozendict()
    one = frozendict(pairs)
    two = frozendict(one, more=[1])
    two["more"].append(2)
    own = Settings(a=1)
    own.extra = one
    both = one | two
    keys = list(both)
    within = [one, {"in": two}]
    first = one["x"]
    grown = {**two}
    grown["y"] = one
    return empty, one, two, own, both, keys, within, first, grown


def handed(mapping, items):
    total = 0
    for key, value in mapping.items():
        total += value
    for item in items:
        total += item
    pairs = [(key, mapping[key]) for key in mapping]
    text = "".join(key for key in mapping)
    return total, pairs, text


def loops(items):
    seen = []
    for item in items:
        for other in (1, 2):
            for third in [item, other]:
                seen.append(third)
    for index, item in enumerate(items):
        if index == 1:
            items.append(item)
        if index > 3:
            break
    else:
        seen = None
    while items:
        last = items.pop()
    return seen, last


results = [made({"x": 1}) for _ in range(3)]
results.append(handed(frozendict(a=1, b=2), [3, 4]))
results.append(loops(["p", "q"]))
