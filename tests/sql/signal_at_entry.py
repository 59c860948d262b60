"""A signal handler raises wherever it happens to run, most often where a function begins."""
import signal


class Timeout(Exception):
    pass


def on_alarm(signum, frame):
    raise Timeout()


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def count():
    while True:
        yield fib(1)


def run(work):
    signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        work()
    except Timeout:
        return "timed out"


print({run(lambda: fib(60)) for _ in range(5)})
print({run(lambda: sum(count())) for _ in range(5)})
