"""Does something, says so, and waits to be killed."""

import time

import shop

shop.main(20)
print("ready", flush=True)
while True:
    time.sleep(0.1)
