"""Generator expressions whose iterable cannot be gone over, or is asked by code in Python."""


class Three:
    def __iter__(self):
        count = 3
        return iter(range(count))


class Refuses:
    def __iter__(self):
        raise ValueError("no iterator")


def total(values, factor):
    products = (value * factor for value in values)
    return sum(products)


def within(rows):
    return [sum(item for item in row) for row in rows]


found = [total(Three(), 2), total([1, 2], 3)]
for wrong in (Refuses(), 7, None):
    try:
        total(wrong, 4)
    except (TypeError, ValueError) as error:
        found.append(type(error).__name__)
try:
    within([[1], Three(), Refuses()])
except ValueError as error:
    found.append(str(error))
print(found)
