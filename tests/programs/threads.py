"""Threads that share nothing but a lock."""
import threading

lock = threading.Lock()
totals = {}


def work(name, n):
    total = 0
    for i in range(n):
        if i % 3 == 0:
            continue
        total += square(i)
    try:
        {}[name]
    except KeyError:
        with lock:
            totals[name] = total


def square(i):
    return i * i


threads = [threading.Thread(target=work, args=(f"t{n}", 100 * n), name=f"t{n}") for n in (1, 2, 3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(totals.items()))
