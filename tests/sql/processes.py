"""Starts a forked child, which ends with status 3, and another Python, which raises."""

import os
import subprocess
import sys

TOTAL = 0


def work(rounds):
    total = 0
    for number in range(rounds):
        total += number
    return total


if len(sys.argv) == 1:
    pid = os.fork()
    if pid == 0:
        TOTAL = work(10)
        os._exit(TOTAL % 7)
    os.waitpid(pid, 0)
    TOTAL = work(3)
    subprocess.run([sys.executable, __file__, "5"], stderr=subprocess.DEVNULL)
else:
    work(int(sys.argv[1]))
    raise ValueError("as planned")
