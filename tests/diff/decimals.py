import sys
from decimal import Decimal

price = Decimal(sys.stdin.readline())
total = price * 2
print("sold")
