"""large.py [ROUNDS]: a long program to travel in: orders over a stock of objects, a tree, a graph, formulas that are
parsed and evaluated by recursion, generators and exceptions. The same every time; a round is some 115,000 events."""
import sys
from collections import deque


class Random:
    """The same numbers on every Python."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 1103515245 + 12345) % 2147483648
        return (self.state >> 8) % n

    def choice(self, items):
        return items[self.below(len(items))]


class Shortage(Exception):
    def __init__(self, item, wanted):
        super().__init__(f"{wanted} of {item.name}, but {item.stock} left")
        self.item = item
        self.wanted = wanted


class Item:
    def __init__(self, number, name, price):
        self.number = number
        self.name = name
        self.price = price
        self.stock = 40
        self.sold = 0

    def take(self, count):
        if count > self.stock:
            raise Shortage(self, count)
        self.stock -= count
        self.sold += count
        return count * self.price


class Customer:
    def __init__(self, name, city):
        self.name = name
        self.city = city
        self.orders = []
        self.balance = 0.0


class Order:
    def __init__(self, number, customer):
        self.number = number
        self.customer = customer
        self.lines = []
        self.state = "new"
        self.total = 0.0

    def add(self, item, count):
        self.lines.append((item, count))

    def place(self):
        taken = []
        try:
            for item, count in self.lines:
                price = item.take(count)
                taken.append((item, count))
                self.total += price
        except Shortage as shortage:
            for item, count in taken:
                item.stock += count
                item.sold -= count
            self.state = "refused"
            self.total = 0.0
            shortage.item.stock += 25
            raise
        self.state = "placed"
        self.customer.balance -= self.total
        self.customer.orders.append(self.number)
        del self.customer.orders[:-8]


class Node:
    """A node of a binary tree, by key."""

    def __init__(self, key, value):
        self.key = key
        self.value = value
        self.left = None
        self.right = None

    def insert(self, key, value):
        if key == self.key:
            self.value = value
        elif key < self.key:
            if self.left is None:
                self.left = Node(key, value)
            else:
                self.left.insert(key, value)
        elif self.right is None:
            self.right = Node(key, value)
        else:
            self.right.insert(key, value)

    def depth(self):
        left = self.left.depth() if self.left else 0
        right = self.right.depth() if self.right else 0
        return 1 + max(left, right)

    def walk(self):
        if self.left:
            yield from self.left.walk()
        yield self.key, self.value
        if self.right:
            yield from self.right.walk()


class Place:
    """A node of the graph."""

    def __init__(self, name):
        self.name = name
        self.neighbours = []
        self.visits = 0

    def connect(self, other, length):
        self.neighbours.append((other, length))
        other.neighbours.append((self, length))


def roads(random, count):
    places = [Place(f"place {number}") for number in range(count)]
    for number, place in enumerate(places[1:], 1):
        place.connect(places[random.below(number)], 1 + random.below(9))
    for _ in range(count):
        a, b = random.choice(places), random.choice(places)
        if a is not b:
            a.connect(b, 1 + random.below(9))
    return places


def distances(start):
    found = {start.name: 0}
    queue = deque([start])
    while queue:
        place = queue.popleft()
        place.visits += 1
        here = found[place.name]
        for other, length in place.neighbours:
            far = here + length
            if far < found.get(other.name, 1000):
                found[other.name] = far
                queue.append(other)
    return found


class Formula:
    def __init__(self, operator, left, right):
        self.operator = operator
        self.left = left
        self.right = right

    def value(self, names):
        left = self.left.value(names) if isinstance(self.left, Formula) else self.left
        right = self.right.value(names) if isinstance(self.right, Formula) else self.right
        if isinstance(left, str):
            left = names[left]
        if isinstance(right, str):
            right = names[right]
        if self.operator == "+":
            return left + right
        if self.operator == "-":
            return left - right
        if self.operator == "*":
            return left * right % 1000003
        return left // right


class Parser:
    def __init__(self, words):
        self.words = words
        self.at = 0

    def next(self):
        word = self.words[self.at]
        self.at += 1
        return word

    def operand(self):
        word = self.next()
        if word == "(":
            inner = self.formula()
            self.at += 1
            return inner
        return int(word) if word.isdigit() else word

    def formula(self):
        left = self.operand()
        while self.at < len(self.words) and self.words[self.at] != ")":
            operator = self.next()
            left = Formula(operator, left, self.operand())
        return left


def words(random, depth):
    """A formula, `depth` brackets deep."""
    if depth == 0:
        yield random.choice(["a", "b", "c", "17", "4"])
        return
    yield "("
    yield from words(random, depth - 1)
    yield random.choice("+-*/")
    yield random.choice(["a", "b", "3", "250"])
    yield ")"


def above(least, rows):
    for row in rows:
        if row["total"] > least:
            yield row


def summaries(orders):
    for order in orders:
        yield {"number": order.number, "customer": order.customer.name, "total": order.total, "state": order.state}


class Shop:
    def __init__(self, seed):
        self.random = Random(seed)
        self.items = [Item(n, f"item {n}", 1 + n % 17) for n in range(60)]
        self.customers = [Customer(f"customer {n}", f"city {n % 7}") for n in range(40)]
        self.places = roads(self.random, 24)
        self.tree = Node(500, "root")
        self.counts = {}
        self.refused = []
        self.number = 0

    def orders(self, count):
        placed = []
        for _ in range(count):
            self.number += 1
            order = Order(self.number, self.random.choice(self.customers))
            for _ in range(1 + self.random.below(4)):
                order.add(self.random.choice(self.items), 1 + self.random.below(5))
            try:
                order.place()
            except Shortage as shortage:
                self.refused.append((order.number, str(shortage)))
                del self.refused[:-20]
            else:
                placed.append(order)
                city = order.customer.city
                self.counts[city] = self.counts.get(city, 0) + 1
        return placed

    def calculate(self, count):
        total = 0
        for at in range(count):
            formula = Parser(list(words(self.random, 6 + self.random.below(14)))).formula()
            names = {"a": at, "b": self.number % 97, "c": total % 13}
            try:
                total += formula.value(names)
            except ZeroDivisionError:
                total += 1
        return total

    def index(self, orders):
        if self.number % 700 < 30:
            self.tree = Node(500, "root")
        for order in orders:
            self.tree.insert(self.random.below(1000), order.number)
        return self.tree.depth()

    def round(self):
        orders = self.orders(30)
        best = list(above(60, summaries(orders)))
        depth = self.index(orders)
        smallest = [key for key, _ in self.tree.walk()][:5]
        far = max(distances(self.random.choice(self.places)).values())
        total = self.calculate(8)
        return len(best) + depth + sum(smallest) + far + total


def main(rounds):
    shop = Shop(20)
    checksum = 0
    for _ in range(rounds):
        checksum = (checksum * 31 + shop.round()) % 1000000007
    return checksum


if __name__ == "__main__":
    print("result", main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
