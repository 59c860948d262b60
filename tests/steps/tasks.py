"""The independent witness of tasks: which task each line belongs to.

    python tasks.py SCOPE PROGRAM

Runs PROGRAM as `__main__` and prints a JSON array after what it prints itself: for each LINE event in code of files
that begin with SCOPE, in order, as `sys.monitoring` reports them: the line, and the number of the asyncio task that
is current, or null outside of one. Tasks are numbered in the order of their first line.
"""
import asyncio
import json
import os
import sys

M = sys.monitoring
SCOPE, PROGRAM = sys.argv[1:]
lines, tasks = [], []


def line(code, number):
    if code.co_filename.startswith(SCOPE):
        loop = asyncio._get_running_loop()
        task = None if loop is None else asyncio.current_task(loop)
        if task is not None and task not in tasks:
            tasks.append(task)  # kept, so that no other task gets its address
        lines.append([number, None if task is None else tasks.index(task)])


sys.argv = [PROGRAM]
sys.path[0] = os.path.dirname(PROGRAM)
main = type(sys)("__main__")
main.__file__ = PROGRAM
sys.modules["__main__"], keep = main, sys.modules["__main__"]
with open(PROGRAM, encoding="utf-8") as file:
    source = compile(file.read(), PROGRAM, "exec")
M.use_tool_id(M.PROFILER_ID, "tasks")
# Which lines are reported depends on what other events are on: a recording has all of them on.
OTHERS = [getattr(M.events, kind) for kind in ("PY_START", "PY_RESUME", "PY_RETURN", "PY_YIELD", "CALL", "BRANCH",
                                               "JUMP", "INSTRUCTION")]
for kind in OTHERS:
    M.register_callback(M.PROFILER_ID, kind, lambda *_: None)
M.register_callback(M.PROFILER_ID, M.events.LINE, line)
M.set_events(M.PROFILER_ID, M.events.LINE | sum(OTHERS))
exec(source, main.__dict__)
M.set_events(M.PROFILER_ID, 0)
print()
print(json.dumps(lines))
