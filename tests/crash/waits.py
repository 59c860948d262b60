"""Runs until a signal comes."""
import os
import signal
import sys


def handler(number, frame):
    os.write(1, b"handled\n")  # print() may be what the signal interrupted
    sys.exit(7)


def spin():
    print("ready", flush=True)
    while True:
        pass


if sys.argv[1] == "handled":
    signal.signal(signal.SIGTERM, handler)
spin()
