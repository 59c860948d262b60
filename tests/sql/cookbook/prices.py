"""What things cost."""
import time


def discount(count):
    if count >= 5:
        return 10
    if count >= 100:
        return 50
    return 0


def ask_the_maker(item):
    time.sleep(0.2)
    return item.price


def price(item, count):
    full = item.price * count
    if item.name == "pot":
        full = ask_the_maker(item) * count
    return full - full * discount(count) // 100
