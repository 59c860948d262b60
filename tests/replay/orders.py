"""Somebody is paid for shopping. Ends by SIGKILL."""
import os
import signal


class Order:
    def __init__(self, customer):
        self.customer = customer
        self.prices = []
        self.discount = 0

    def add(self, price):
        self.prices.append(price)
        self.discount += 10

    def total(self):
        total = 0
        for price in self.prices:
            total += price
        return total - self.discount


order = Order("王小明 \x1b[31m")
for price in range(3, 6):
    order.add(price)
due = order.total()
for n in range(1000):
    due += n
os.kill(os.getpid(), signal.SIGKILL)
