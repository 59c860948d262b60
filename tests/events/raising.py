"""Raises where functions have returned None just before, so often that records are cut at every place there is."""


def returns_none():
    pass


def find(table, key):
    try:
        returns_none()
        return table[key]
    except KeyError:
        returns_none()
        raise LookupError(key) from None


for i in range(30_000):
    try:
        find({}, i)
    except LookupError:
        pass
