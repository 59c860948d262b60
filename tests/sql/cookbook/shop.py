"""A small shop with the usual troubles: what docs/sql.md asks about."""
import sqlite3
import threading
import time

import prices
from stock import Item, Stock, Shortage


class Order:
    def __init__(self, number, customer):
        self.number = number
        self.customer = customer
        self.lines = []
        self.state = "new"
        self.note = None

    def add(self, item, count):
        self.lines.append((item, count))

    def total(self):
        total = 0
        for item, count in self.lines:
            total += prices.price(item, count)
        if total > 1000:
            total -= 50
        return total

    def ship(self):
        if self.state == "cancelled":
            raise ValueError("a cancelled order")
        self.state = "shipped"


def find_customer(customers, name):
    for customer in customers:
        if customer["name"] == name:
            return customer


def city_of(order, customers):
    customer = find_customer(customers, order.customer)
    return customer["city"].upper() if customer else None


def customers_of(orders):
    """One query for each order, where one for all would do."""
    db = sqlite3.connect(":memory:")
    db.execute("create table customer (name, city)")
    db.executemany("insert into customer values (?, ?)", [("ada", "Rome"), ("bob", "Oslo"), ("eve", "Bern")])
    found = []
    for order in orders:
        row = db.execute("select name, city from customer where name = ?", [order.customer]).fetchone()
        if row is not None:
            found.append({"name": row[0], "city": row[1]})
    return found


def place(order, stock):
    try:
        for item, count in order.lines:
            stock.take(item, count)
    except Shortage as shortage:
        order.state = "cancelled"
        raise RuntimeError(f"order {order.number} cannot be placed") from shortage
    order.state = "placed"


class Quiet:
    """hasattr swallows what this raises."""

    @property
    def rating(self):
        raise AttributeError("no rating yet")


def report(orders, done):
    lines = []
    time.sleep(0.01)
    for order in orders:
        lines.append(f"{order.number}: {order.state}")
    done.set()
    return lines


def main():
    stock = Stock([Item("tea", 4, 50), Item("cup", 12, 8), Item("pot", 400, 2)])
    orders = []
    for number, customer in enumerate(["ada", "bob", "mia"], 1):
        order = Order(number, customer)
        order.add(stock.items["tea"], number)
        order.add(stock.items["cup"], 2 * number)
        orders.append(order)
    orders[2].add(stock.items["pot"], 3)
    totals = [order.total() for order in orders]
    for order in orders:
        try:
            place(order, stock)
        except RuntimeError as error:
            order.note = str(error)
    customers = customers_of(orders)
    cities = [city_of(order, customers) for order in orders]
    for order in orders:
        try:
            order.ship()
        except ValueError:
            order.note = "not shipped"
    rated = hasattr(Quiet(), "rating")
    done = threading.Event()
    worker = threading.Thread(target=report, args=(orders, done), name="report")
    worker.start()
    done.wait()
    worker.join()
    print(totals, cities, rated)


if __name__ == "__main__":
    main()
