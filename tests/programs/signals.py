"""Handlers that run inside raise_signal(): the one place where a Python callback cannot get in between."""
import signal


class Stop(Exception):
    pass


def note(number, frame):
    print("signal", number == signal.SIGUSR1, frame.f_code.co_name)


def stop(number, frame):
    raise Stop


def work():
    for i in range(3):
        signal.raise_signal(signal.SIGUSR1)


signal.signal(signal.SIGUSR1, note)
work()
signal.signal(signal.SIGUSR1, stop)
try:
    work()
except Stop:
    print("stopped")
