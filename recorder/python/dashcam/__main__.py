"""`python -m dashcam …` is `dashcam …`, recording with this interpreter unless told otherwise."""

import os
import sys

from . import _program

arguments = sys.argv[1:]
if arguments[:1] == ["record"] and not any(a.startswith("--python") for a in arguments):
    arguments[1:1] = ["--python", sys.executable]
program = _program("dashcam")
os.execv(program, [program, *arguments])
