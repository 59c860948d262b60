"""Two threads, of which one does as the word says; a third if there are two words."""
import sys
import threading


def work(n):
    return n + 1


def run(numbers):
    for n in numbers:
        work(n)


names = [("steady", [1, 2, 3]), ("other", [len(sys.argv[1])])]
if len(sys.argv) > 2:
    names.append(("late", [1]))
threads = [threading.Thread(target=run, args=(n,), name=name) for name, n in names]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
