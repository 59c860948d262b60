"""Greenlets hand control to each other: in turns, directly, by exceptions, and in two threads."""
import sys
import threading

# Where the library is.
sys.path.insert(0, sys.argv[1])
import greenlet


def inner(n):
    got = greenlet.getcurrent().parent.switch(("from", n))
    return got * 10


def worker(start):
    total = start
    for i in range(3):
        total += inner(i)
    return total


def turns():
    lets = [greenlet.greenlet(worker) for _ in range(4)]
    seen = [let.switch(100 * k) for k, let in enumerate(lets)]
    while not all(let.dead for let in lets):
        for k, let in enumerate(lets):
            if not let.dead:
                seen.append(let.switch(k + 1))
    return seen


def ping(other, count):
    for i in range(count):
        other.switch(i)
    return "ping is done"


def pong(first):
    got = [first]
    while True:
        try:
            got.append(pinger.switch())
        except LookupError as error:
            return got, str(error)


def many():
    # Each gets the memory of the one before.
    return sum(greenlet.greenlet(lambda n: n + 1).switch(n) for n in range(50))


pinger = greenlet.greenlet(ping)
ponger = greenlet.greenlet(pong)


def main():
    print(turns())
    print(pinger.switch(ponger, 3), ponger.dead)
    ponger.parent = greenlet.getcurrent()
    print(ponger.throw(LookupError, "thrown"))
    print(many())


main()
thread = threading.Thread(target=lambda: print(turns()[-1]), name="other")
thread.start()
thread.join()
