"""Goes on after its recorder is gone, and says when it has finished."""
import os
import sys


def work():
    return sum(i for i in range(1000))


parent = os.getppid()
print("ready", flush=True)
while os.getppid() == parent:
    work()
print(work())
open(sys.argv[1], "w").close()
