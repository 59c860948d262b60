"""Two threads that take turns all the time."""
import sys
import threading

sys.setswitchinterval(1e-6)


def down(n):
    if n:
        down(n - 1)


def job():
    down(5)


def work():
    for _ in range(101):
        job()


threads = [threading.Thread(target=work, name=name) for name in ("one", "two")]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
