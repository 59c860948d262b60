"""`python -m dashcam …` is `dashcam …`, except that it records with this interpreter unless the
user names another one."""

import os
import signal
import sys

from . import _program

arguments = sys.argv[1:]
if arguments[:1] == ["record"]:
    arguments[1:1] = ["--own-python", sys.executable]
# This Python ignores these signals. The Python that runs the program must find their default
# actions, as subprocess would restore them.
for number in (signal.SIGPIPE, signal.SIGXFSZ):
    signal.signal(number, signal.SIG_DFL)
program = _program("dashcam")
os.execv(program, [program, *arguments])
