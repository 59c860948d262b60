"""Runs a module beside a tool of sys.monitoring that does nothing: `empty_tool.py MODULE ARGS…`."""
import runpy
import sys

m = sys.monitoring
m.use_tool_id(4, "empty")
names = """PY_START PY_RESUME PY_RETURN PY_YIELD PY_UNWIND PY_THROW CALL C_RETURN C_RAISE RAISE RERAISE
EXCEPTION_HANDLED STOP_ITERATION""".split()


def nothing(*args):
    pass


events = 0
for name in names:
    event = getattr(m.events, name)
    m.register_callback(4, event, nothing)
    if not name.startswith("C_"):
        events |= event
m.set_events(4, events)
module = sys.argv[1]
del sys.argv[1]
runpy.run_module(module, run_name="__main__", alter_sys=True)
