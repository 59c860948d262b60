"""A generator that goes on more often than what is known of a suspended frame is left to be found, and one
whose variables are written meanwhile."""


def counts(limit):
    n = 0
    while n < limit:
        seen = n
        yield seen
        n += 1
    yield limit


def counts_for_long():
    short, long, total = counts(3), counts(1300), 0
    first = next(short)
    for value in long:
        total += value
    return first, next(short), list(short), total


def written_from_outside():
    g = counts(10)
    next(g)
    # Has an effect from 3.13 on.
    g.gi_frame.f_locals["n"] = 8
    return list(g)


print(counts_for_long(), written_from_outside())
