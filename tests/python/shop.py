"""What the tests of the Python API look at."""

import threading


class Item:
    def __init__(self, name, price):
        self.name = name
        self.price = price


def price(items, rate=0.5):
    total = 0
    for item in items:
        total += item.price * rate
    return total


def parse(text):
    if not text:
        raise ValueError("nothing <b>to</b> parse", 3)
    return {"text": text, b"k": (1, 2.5, None, True), 3: {1, 2}}


def worker(n):
    done = [n] * 3
    return done


def main():
    items = [Item("tea", 4), Item("jam", 6)]
    same = items
    for text in ("a", "b", ""):
        try:
            parse(text)
        except ValueError as error:
            last = error
    password = "hunter2"
    markup = "<script>alert('&')</script>"
    thread = threading.Thread(target=worker, args=(7,))
    thread.start()
    thread.join()
    result = price(items)  # here
    return result


main()
