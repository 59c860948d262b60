"""A small shop: what the commands and examples of the documentation are run on."""
import sqlite3
import threading


class Item:
    def __init__(self, price):
        self.price = price


def parse(text):
    return float(text) if text.replace(".", "").isdigit() else None


class Order:
    def __init__(self, prices):
        self.items = [Item(parse(price)) for price in prices]
        self.discount = 0

    def total(self):
        total = 0
        for item in self.items:
            total += item.price or 0
        self.discount = total * 0.1
        return total - self.discount


def load(path):
    with sqlite3.connect(path) as shop:
        return shop.execute("select ?", (path,)).fetchone()


def late():
    raise KeyError("too late")


def main():
    global order
    load(":memory:")
    thread = threading.Thread(target=late)
    thread.start()
    thread.join()
    order = Order(["7.50", "x", "9"])
    print(order.total())


if __name__ == "__main__":
    main()
