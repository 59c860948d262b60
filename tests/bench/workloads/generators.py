"""Generators that delegate to generators: walking a tree."""
from contract import run


class Node:
    def __init__(self, left, value, right):
        self.left = left
        self.value = value
        self.right = right

    def __iter__(self):
        if self.left:
            yield from self.left
        yield self.value
        if self.right:
            yield from self.right


def tree(values):
    if not values:
        return None
    middle = len(values) // 2
    return Node(tree(values[:middle]), values[middle], tree(values[middle + 1 :]))


def kernel(n):
    root = tree(range(500))
    total = 0
    for i in range(n):
        total += sum(value for value in root if value % 3 != i % 3)
    return total


run(kernel, 1_300)
