"""Totals a day's orders per customer. It runs to the end, prints a report, and the report is wrong."""
import json
import re
import sys
from dataclasses import dataclass, field

PRICE = re.compile(r"^\s*(?:EUR\s*)?(\d+(?:\.\d{2})?)\s*$")
FEED = """
{"customer": "ada",   "items": [["lamp", "EUR 24.50"], ["bulb", "3.20"]]}
{"customer": "brian", "items": [["desk", "199.00"], ["chair", "89.90"]]}
{"customer": "ada",   "items": [["shade", "12,75"]], "coupon": "WELCOME"}
{"customer": "cleo",  "items": [["rug", "EUR 140.00"], ["mat", "9.95"]], "coupon": "TEN"}
{"customer": "brian", "items": [["shelf", "1.049,00"]]}
{"customer": "dora",  "items": [["clock", "31.00"]], "coupon": "TEN"}
{"customer": "dora",  "items": []}
not an order
"""
COUPONS = {"TEN": 10}


@dataclass
class Order:
    customer: str
    items: list
    coupon: str | None = None
    cents: int = field(default=0, init=False)

    def total(self):
        self.cents = sum(parse_price(text) for _, text in self.items)
        if self.coupon:
            self.cents -= discount(self.cents, self.coupon)
        return self.cents


def parse_price(text):
    try:
        whole = PRICE.match(text).group(1)
        return round(float(whole) * 100)
    except AttributeError:
        return 0


def discount(cents, coupon):
    percent = COUPONS.get(coupon, 0)
    if percent:
        return cents * percent // 100
    return 0


def read(feed):
    for line in feed.strip().splitlines():
        try:
            yield Order(**json.loads(line))
        except json.JSONDecodeError as error:
            print(f"skipped: {error}", file=sys.stderr)


def main():
    totals = {}
    for order in read(FEED):
        totals[order.customer] = totals.get(order.customer, 0) + order.total()
    for customer, cents in sorted(totals.items(), key=lambda pair: -pair[1]):
        print(f"{customer:8}{cents / 100:10.2f}")


main()
