"""Ends in the way its argument names, just after a call that must be in the recording."""
import ctypes
import os
import signal
import sys


def marker():
    return 1


def sigkill():
    os.kill(os.getpid(), signal.SIGKILL)


def os_exit():
    os._exit(0)


def os_exit_like_a_signal():
    os._exit(143)


def segfault():
    ctypes.string_at(0)


def abort():
    os.abort()


def uncaught():
    raise ValueError("nobody handles this")


def sys_exit():
    sys.exit(3)


def sys_exit_text():
    sys.exit("a text, for standard error")


def return_():
    return None


print("before", flush=True)
how = globals()[sys.argv[1]]
marker()
how()
print("after")
