"""`python -m dashcam …` is `dashcam …`, recording with this interpreter unless told otherwise."""

import os
import signal
import sys

from . import _program

arguments = sys.argv[1:]
if arguments[:1] == ["record"]:
    arguments[1:1] = ["--own-python", sys.executable]
# This Python ignores them; the one that runs the program shall find them as subprocess would leave them.
for number in (signal.SIGPIPE, signal.SIGXFSZ):
    signal.signal(number, signal.SIG_DFL)
program = _program("dashcam")
os.execv(program, [program, *arguments])
