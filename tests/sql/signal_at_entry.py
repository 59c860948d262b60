"""A signal handler raises wherever it happens to run, most often where a function begins."""
import signal


class Timeout(Exception):
    pass


def on_alarm(signum, frame):
    raise Timeout()


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def first():
    return second()


def second():
    return 1


def calls():
    while True:
        first()


class Reader:
    @property
    def value(self):
        return second()

    def read(self):
        while True:
            self.value


def run(work):
    signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        work()
    except Timeout:
        return "timed out"


for work in lambda: fib(60), calls, Reader().read:
    print({run(work) for _ in range(5)})
