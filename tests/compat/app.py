"""What the recordings in this folder are of."""
import datetime
import decimal
import threading


class Order:
    def __init__(self, customer):
        self.customer = customer
        self.prices = []
        self.discount = decimal.Decimal("0.5")

    def add(self, price):
        self.prices.append(price)

    def total(self):
        total = decimal.Decimal(0)
        for price in self.prices:
            total += price
        return total - self.discount


def prices(count):
    for n in range(count):
        yield decimal.Decimal(n) / 4


def parse(text):
    try:
        return decimal.Decimal(text)
    except decimal.InvalidOperation as error:
        raise ValueError(text) from error


def work(number, done):
    order = Order(f"customer {number}")
    for price in prices(3 + number):
        order.add(price)
    done[number] = order.total()


def main():
    day = datetime.date(2026, 11, 30)
    done = {}
    threads = [threading.Thread(target=work, args=(number, done)) for number in range(2)]
    for thread in threads:
        thread.start()
        thread.join()
    texts = ["1.5", "x"]
    texts.sort(key=len, reverse=True)
    found = []
    for text in texts:
        try:
            found.append(parse(text))
        except ValueError:
            found.append(None)
    password = "not in here"
    return day, done, found, max(done), len(password)


main()
raise SystemExit(3)
