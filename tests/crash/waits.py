"""Runs until a signal comes."""
import signal
import sys


def handler(number, frame):
    print("handled", flush=True)
    sys.exit(7)


def spin():
    print("ready", flush=True)
    while True:
        pass


if sys.argv[1] == "handled":
    signal.signal(signal.SIGTERM, handler)
spin()
