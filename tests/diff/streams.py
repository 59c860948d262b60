import io
import sys

order = io.StringIO(sys.stdin.readline())
copies = [order, order]
print("sold")
