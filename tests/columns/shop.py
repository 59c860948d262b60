"""Something for every table: processes, threads, calls, exceptions, variables, changes of objects."""

import subprocess
import sys
import threading


class Order:
    def __init__(self, number):
        self.number = number
        self.prices = []

    def add(self, price):
        self.prices.append(price)
        return len(self.prices)

    def total(self):
        total = 0
        for price in self.prices:
            total += price
        return total


def parse(text):
    try:
        return int(text)
    except ValueError:
        return None


def fill(number, texts):
    order = Order(number)
    for text in texts:
        price = parse(text)
        if price is not None:
            order.add(price)
    return order.total()


def main(orders):
    texts = ["1", "it's", "22", "'\"\\", "ж", "333"]
    totals = {}
    for number in range(orders):
        totals[number] = fill(number, texts[: number % 7])
    threads = [threading.Thread(target=fill, args=(n, texts)) for n in (-1, -2)]
    for thread in threads:
        thread.start()
        thread.join()
    return totals


if __name__ == "__main__":
    main(int(sys.argv[1]))
    if len(sys.argv) > 2:
        subprocess.run([sys.executable, __file__, sys.argv[2]], check=True)
