"""Ends by SystemExit from a function, through a finally and an exit handler."""
import atexit
import sys


@atexit.register
def last():
    print("last")


def main():
    try:
        sys.exit(3)
    finally:
        print("leaving")


main()
