"""What there is."""


class Shortage(Exception):
    pass


class Item:
    def __init__(self, name, price, count):
        self.name = name
        self.price = price
        self.count = count


class Stock:
    def __init__(self, items):
        self.items = {item.name: item for item in items}

    def take(self, item, count):
        if count > item.count:
            raise Shortage(f"{count} of {item.name}, but {item.count} left")
        item.count -= count
